"""Every fault of the sandbox, in each network's words: the list ends right and nothing is doubled or lost."""

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import DatabaseError

from cdp.consent import gate
from cdp.core.time import utc_now
from segments.activation.models import Connection, RemovalReceipt, SentEntry, Sync, SyncBatch, SyncOutcome
from segments.activation.policy import SendPolicy
from segments.activation.services import connection_resume
from tests.activation_world import FAST, Stage, consent_withdraw, digest_of, members_set, people_make, stage_make
from tests.sandbox_stage import SandboxTalk, sandbox_thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxTalk]:
    with sandbox_thread(tmp_path / "sandbox") as talk:
        yield talk


@pytest.fixture(params=["google", "meta"])
def stage(request: pytest.FixtureRequest, sandbox: SandboxTalk) -> Stage:
    return stage_make(sandbox, request.param, 24)


def run_of(stage: Stage) -> Sync:
    return Sync.objects.filter(target=stage.target, lane="regular").latest("sync_no")


@pytest.mark.parametrize("kind", ["500", "drop", "timeout_after_apply", "late_apply", "slow"])
def test_a_fault_then_fine(stage: Stage, kind: str) -> None:
    stage.sandbox.fault(stage.network, kind, seconds=0.6, times=2)
    stage.sync()
    assert stage.is_equal(stage.people)
    assert (run_of(stage).state, run_of(stage).accepted) == ("sent", 24)
    assert SyncBatch.objects.get().attempts >= 2


def test_the_network_decides_how_long_to_wait(stage: Stage) -> None:
    stage.sandbox.fault(stage.network, "429", retry_after=30)
    turn = stage.run()
    assert turn.state == "waiting"
    assert turn.wait_seconds is not None
    assert turn.wait_seconds >= 30
    assert stage.run().state == "waiting"
    assert stage.sandbox.requests()["requests"] == {}
    batch = SyncBatch.objects.get()
    assert (batch.state, batch.attempts, batch.unsettled_until) == ("unknown", 1, None)
    stage.clock = lambda: utc_now() + dt.timedelta(seconds=31)
    stage.drain()
    assert stage.is_equal(stage.people)


def test_back_off_grows_and_is_spread() -> None:
    from segments.activation.policy import retry_seconds

    policy = SendPolicy()
    waits = [retry_seconds(policy, attempt, None, seed="s1.add.1") for attempt in range(1, 15)]
    assert waits[0] <= 2
    assert waits[-1] <= policy.longest_retry_seconds
    assert waits[7] > waits[0] * 20
    assert waits[3] != retry_seconds(policy, 4, None, seed="s1.add.2")
    assert retry_seconds(policy, 1, 3600, seed="x") == 3600


def test_refused_rows_are_told(stage: Stage) -> None:
    stage.sandbox.fault(stage.network, "partial", count=5)
    stage.sync()
    run = run_of(stage)
    assert (run.state, run.accepted, run.rejected) == ("partial", 19, 5)
    refused = SyncOutcome.objects.get(sync=run, outcome="rejected")
    assert refused.count == 5
    assert refused.code in {"invalid_format", "invalid_entry"}
    # Who was refused is not known, so everybody's place is unknown and everybody can still be removed.
    assert set(SentEntry.objects.values_list("is_on_list", flat=True)) == {None}
    stage.sync()
    assert run_of(stage).state == "no_change"


def test_one_bad_person_does_not_hold_the_rest(stage: Stage) -> None:
    stage.sandbox.fault(stage.network, "reject_digest", digest=digest_of(7), times=-1)
    stage.sync()
    assert stage.listed == sorted(digest_of(n) for n in stage.people if n != 7)
    run = run_of(stage)
    assert (run.accepted, run.rejected) == (23, 1)
    assert SentEntry.objects.get(profile_no=7).is_on_list is False
    assert SyncOutcome.objects.get(sync=run, outcome="rejected").profile_nos is not None
    stage.sync()
    assert run_of(stage).state == "no_change"
    # Somebody the network refused has nothing to be removed from.
    members_set(stage.segment, [n for n in stage.people if n != 7])
    stage.sync()
    assert not SentEntry.objects.filter(profile_no=7).exists()
    assert "remove" not in " ".join(stage.sandbox.requests()["requests"])


def test_a_network_that_refuses_everything_pauses_the_connection(stage: Stage) -> None:
    stage.policy = SendPolicy(**{**policy_values(FAST), "most_splits": 3})
    for number in stage.people:
        stage.sandbox.fault(stage.network, "reject_digest", digest=digest_of(number), times=-1)
    stage.run()
    assert "refuses every batch" in Connection.objects.get().paused_reason


def policy_values(policy: SendPolicy) -> dict[str, float]:
    return {name: getattr(policy, name) for name in SendPolicy.__slots__}


def test_a_bad_token_pauses_and_resuming_goes_on(stage: Stage) -> None:
    stage.sandbox.fault(stage.network, "auth")
    assert stage.run().state == "paused"
    connection = Connection.objects.get()
    assert connection.paused_at is not None
    assert "sandbox-token" not in connection.paused_reason
    assert stage.run().state == "paused"
    assert stage.listed == []
    connection_resume(connection.key, actor="engineer")
    stage.drain()
    assert stage.is_equal(stage.people)


def test_a_list_that_cannot_be_made_now_is_made_later(stage: Stage) -> None:
    stage.sandbox.fault(stage.network, "500", operation="create")
    assert stage.run().state == "waiting"
    stage.sync()
    assert stage.is_equal(stage.people)
    assert len(stage.sandbox.lists()) == 1


def test_removals_fail_and_come_back(stage: Stage) -> None:
    stage.sync()
    members_set(stage.segment, stage.people[3:])
    stage.sandbox.fault(stage.network, "timeout_after_apply", seconds=0.6, operation="remove")
    stage.sync()
    assert stage.is_equal(stage.people[3:])
    stage.sandbox.fault(stage.network, "partial", count=1, operation="remove")
    members_set(stage.segment, stage.people[4:])
    stage.turns(8)
    stage.drain()
    assert stage.is_equal(stage.people[4:])


def test_failed_after_acceptance_is_sent_again(sandbox: SandboxTalk) -> None:
    stage = stage_make(sandbox, "google", 24)
    sandbox.fault("google", "failed")
    stage.sync()
    assert stage.is_equal(stage.people)
    assert SyncBatch.objects.get().attempts == 2


def test_failed_for_good_is_told(sandbox: SandboxTalk) -> None:
    stage = stage_make(sandbox, "google", 24)
    sandbox.fault("google", "failed", code="PROCESSING_ERROR_REASON_INVALID_FORMAT")
    stage.sync()
    run = run_of(stage)
    assert (run.state, run.rejected, run.accepted) == ("failed", 24, 0)
    assert stage.listed == []


def test_an_opt_out_leaves_while_a_run_is_stopped(stage: Stage) -> None:
    stage.sync()
    members_set(stage.segment, stage.people[:10])
    stage.sync()
    assert run_of(stage).state == "stopped"
    consent_withdraw(3)
    stage.drain()
    assert stage.is_equal([n for n in stage.people if n != 3])
    assert run_of(stage).state == "stopped"
    receipt = RemovalReceipt.objects.get()
    assert (receipt.profile_no, receipt.cause) == (3, "consent_withdrawn")
    assert receipt.sent_at is not None
    assert receipt.confirmed_at is not None
    assert receipt.received_at <= receipt.wanted_at <= receipt.sent_at <= receipt.confirmed_at


def test_opt_outs_do_not_count_against_the_limit(stage: Stage) -> None:
    stage.sync()
    for number in stage.people[:12]:
        consent_withdraw(number)
    stage.sync()
    assert run_of(stage).state == "no_change"
    assert stage.is_equal(stage.people[12:])
    assert RemovalReceipt.objects.filter(confirmed_at=None).count() == 0
    assert RemovalReceipt.objects.count() == 12


def test_what_no_message_told_is_found_by_the_next_plan(stage: Stage) -> None:
    from cdp.consent.models import ConsentState

    stage.sync()
    ConsentState.objects.filter(profile_no=5).delete()
    stage.sync()
    assert stage.is_equal([n for n in stage.people if n != 5])
    assert RemovalReceipt.objects.get().cause == "consent_withdrawn"


def test_an_opt_out_is_queued_while_the_connection_is_paused(stage: Stage) -> None:
    stage.sync()
    Connection.objects.update(paused_at=utc_now(), paused_reason="test")
    consent_withdraw(3)
    stage.drain_wishes()
    receipt = RemovalReceipt.objects.get()
    assert (receipt.sent_at, receipt.confirmed_at) == (None, None)
    connection_resume(Connection.objects.get().key, actor="x")
    stage.drain()
    assert stage.is_equal([n for n in stage.people if n != 3])


def test_a_gate_that_does_not_answer_sends_nobody_and_removes_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise DatabaseError("down")

    stage.sync()
    members_set(stage.segment, [*stage.people, *people_make(3, start=25)])
    with monkeypatch.context() as patch:
        patch.setattr(gate, "_reasons", down)
        stage.run()
        consent_withdraw(3)
        stage.drain_wishes()
        assert stage.is_equal(stage.people)
        assert not SentEntry.objects.filter(wanted=False).exists()
    stage.clock = lambda: utc_now() + dt.timedelta(seconds=60)
    stage.sync()
    assert stage.is_equal([n for n in range(1, 28) if n != 3])


def test_a_gate_that_fails_between_plan_and_send_holds_the_batch(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.sandbox.fault(stage.network, "429", retry_after=0.05)
    stage.run()
    with monkeypatch.context() as patch:
        patch.setattr(gate, "_reasons", lambda *_: (_ for _ in ()).throw(DatabaseError("down")))
        time.sleep(0.1)
        assert stage.run(plan=False).state == "waiting"
        assert stage.sandbox.requests()["requests"] == {}
    stage.drain()
    assert stage.is_equal(stage.people)
