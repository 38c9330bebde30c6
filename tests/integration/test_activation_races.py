"""The hardest promises: a withdrawal always beats an add, one writer a list, and a kill at any moment changes nothing."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, connections

from cdp.core.time import utc_now
from segments.activation.models import AudienceTarget, RemovalReceipt, SentEntry, SyncBatch
from segments.activation.services import target_run
from segments.activation.writer import OvertakenError, target_writer
from tests.activation_process import sender_start
from tests.activation_world import FAST, Stage, consent_withdraw, digest_of, members_set, people_make, stage_make
from tests.sandbox_stage import SandboxProcess, SandboxTalk, sandbox_thread

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

FAULTS = {
    "google": ("", "", "slow", "429", "500", "drop", "timeout_after_apply", "late_apply", "delay", "failed", "partial"),
    "meta": ("", "", "slow", "429", "500", "drop", "timeout_after_apply", "late_apply", "partial"),
}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxTalk]:
    with sandbox_thread(tmp_path / "sandbox") as talk:
        yield talk


def turn_in_thread(stage: Stage) -> threading.Thread:
    """A worker's turn with a connection of its own."""

    def work() -> None:
        try:
            target_run(stage.target.pk, clock=utc_now, plan=True, policy=FAST)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def withdrawal_rounds(stage: Stage, rounds: int, seed: int) -> None:
    """Each round: new people are being added while one of them, and one of before, withdraws at a random moment."""
    chance = random.Random(seed)
    kept: list[int] = []
    start = 1
    for number in range(rounds):
        newcomers = people_make(4, start=start)
        start += 4
        members_set(stage.segment, kept + newcomers)
        fault = chance.choice(FAULTS[stage.network])
        if fault:
            stage.sandbox.fault(
                stage.network,
                fault,
                seconds=chance.choice([0.1, 0.5, 0.6]),
                retry_after=0.1,
                times=chance.choice([1, 1, 2]),
                operation=chance.choice(["", "add", "remove"]),
                after=chance.choice([0, 0, 1]),
            )
        worker = turn_in_thread(stage)
        time.sleep(chance.choice([0.0, 0.02, 0.05, 0.1, 0.3]) * chance.random())
        leavers = [chance.choice(newcomers), *([chance.choice(kept)] if kept and chance.random() < 0.5 else [])]
        for leaver in leavers:
            consent_withdraw(leaver)
        worker.join()
        stage.drain()
        stage.sandbox.faults_clear()
        kept = [n for n in kept + newcomers if n not in leavers]
        listed = set(stage.listed)
        for leaver in leavers:
            assert digest_of(leaver) not in listed, (
                f"round {number}, fault {fault!r}: a withdrawn person is on the list"
            )
        assert not SentEntry.objects.filter(profile_no__in=leavers).exists()
        allowed = {digest_of(n) for n in kept}
        assert listed <= allowed
        # Partial answers leave people out; late effects may still come, but none of them may bring anybody back.
        kept = [n for n in kept if digest_of(n) in listed]
    time.sleep(1.0)
    assert set(stage.listed) <= {digest_of(n) for n in kept}
    assert not RemovalReceipt.objects.filter(confirmed_at=None).exists()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("network", ["google", "meta"])
def test_a_withdrawal_beats_a_late_add(sandbox: SandboxTalk, network: str) -> None:
    withdrawal_rounds(stage_make(sandbox, network), rounds=12, seed=1)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("network", ["google", "meta"])
def test_a_withdrawal_beats_a_late_add_250_times(sandbox: SandboxTalk, network: str) -> None:
    withdrawal_rounds(stage_make(sandbox, network), rounds=250, seed=2)


@pytest.mark.parametrize("network", ["google", "meta"])
def test_a_withdrawal_between_plan_and_send_sends_nothing(sandbox: SandboxTalk, network: str) -> None:
    """The gate is asked in the moment of sending."""
    stage = stage_make(sandbox, network, 6)
    sandbox.fault(network, "429", retry_after=0.1)
    stage.run()
    consent_withdraw(2)
    stage.drain()
    assert stage.is_equal([1, 3, 4, 5, 6])
    assert SyncBatch.objects.filter(operation="add").get().attempts == 2


def test_an_add_that_takes_effect_after_its_removal_is_removed_again(sandbox: SandboxTalk) -> None:
    """The request got no answer; the network applies it later than the removal that followed."""
    stage = stage_make(sandbox, "meta", 6)
    sandbox.fault("meta", "late_apply", seconds=0.7)
    stage.run()
    consent_withdraw(2)
    stage.drain()
    time.sleep(0.8)
    assert stage.is_equal([1, 3, 4, 5, 6])
    repeats = [
        o.get("repeats", 0) for o in SyncBatch.objects.filter(operation="remove").values_list("outcome", flat=True)
    ]
    assert max(repeats) >= 1


def test_an_accepted_add_is_outlived_by_the_removal(sandbox: SandboxTalk) -> None:
    """Google takes its time with the add and is quick with the removal."""
    stage = stage_make(sandbox, "google", 6)
    sandbox.fault("google", "delay", seconds=1.2, operation="add")
    stage.run()
    consent_withdraw(2)
    stage.drain()
    time.sleep(1.3)
    assert stage.is_equal([1, 3, 4, 5, 6])
    assert RemovalReceipt.objects.get().confirmed_at is not None


def test_two_workers_one_writer(sandbox: SandboxTalk) -> None:
    stage = stage_make(sandbox, "meta", 30)
    sandbox.fault("meta", "slow", seconds=0.3)
    threads = [turn_in_thread(stage) for _ in range(4)]
    for thread in threads:
        thread.join()
    stage.drain()
    assert stage.is_equal(stage.people)
    assert sandbox.requests() == {"requests": {"meta add": 1}, "repeated": {}}


def test_an_overtaken_writer_writes_nothing_more(sandbox: SandboxTalk) -> None:
    from django.db import transaction

    stage = stage_make(sandbox, "meta", 3)
    with target_writer(stage.target.pk) as writer:
        assert writer is not None
        AudienceTarget.objects.filter(pk=stage.target.pk).update(fence=writer.fence + 1)
        with pytest.raises(OvertakenError), transaction.atomic():
            writer.hold()
    with target_writer(stage.target.pk) as again:
        assert again is not None


def test_a_writer_that_lost_its_connection_lets_go() -> None:
    """The lock goes with the connection: a killed worker blocks nobody."""
    taken: list[bool] = []

    def work() -> None:
        with target_writer(12345) as writer:
            taken.append(writer is not None)
        connections.close_all()

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7400, 12345)")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    connection.close()
    time.sleep(0.1)
    assert taken == [False]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(7400, 12345), pg_advisory_unlock(7400, 12345)")
        assert cursor.fetchone()[0] is True


def kill_rounds(tmp_path: Path, network: str, rounds: int, seed: int) -> None:
    """A sender is killed at random moments until it gets through; the sandbox is killed now and then too."""
    chance = random.Random(seed)
    sandbox = SandboxProcess(tmp_path / "sandbox")
    try:
        stage = stage_make(sandbox, network, 40)
        wanted = stage.people
        for number in range(rounds):
            start = 41 + number * 10
            newcomers = people_make(10, start=start)
            leaver = chance.choice(wanted)
            wanted = [n for n in wanted if n != leaver][3:] + newcomers
            members_set(stage.segment, wanted)
            consent_withdraw(leaver)
            for _ in range(chance.choice([1, 2])):
                process = sender_start(stage.target.pk, 7)
                time.sleep(0.8 + chance.random() * 1.2)
                process.kill()
                process.wait()
                if chance.random() < 0.3:
                    sandbox.kill()
                    sandbox = SandboxProcess(tmp_path / "sandbox", port=sandbox.port)
                    stage.sandbox = sandbox
            last = sender_start(stage.target.pk, 7)
            assert last.wait(timeout=60) == 0
            assert stage.is_equal(wanted), f"round {number}"
        assert not SentEntry.objects.exclude(is_on_list=True).exists()
        counted = sum(SyncBatch.objects.filter(state="processed").values_list("outcome__confirmed", flat=True))
        assert counted >= len(wanted)
    finally:
        sandbox.stop()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("network", ["google", "meta"])
def test_a_killed_sender_loses_and_doubles_nothing(tmp_path: Path, network: str) -> None:
    kill_rounds(tmp_path, network, rounds=2, seed=3)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("network", ["google", "meta"])
def test_a_killed_sender_loses_and_doubles_nothing_50_times(tmp_path: Path, network: str) -> None:
    kill_rounds(tmp_path, network, rounds=25, seed=4)
