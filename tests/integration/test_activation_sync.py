"""Wanted against sent: only the difference goes out, nobody without consent, and a second run sends nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from google.ads import datamanager_v1
from google.protobuf import json_format

from cdp.consent.models import ConsentState, DestinationPurpose
from cdp.core.errors import RejectedError
from segments.activation.models import AudienceTarget, Connection, SentEntry, Sync, SyncBatch, SyncOutcome
from segments.activation.services import connection_save, sync_approve, sync_cancel, sync_send_additions
from segments.definition.models import Segment, SegmentVersion
from tests.activation_world import EVERYBODY, Stage, digest_of, members_set, people_make, stage_make
from tests.sandbox_stage import SandboxTalk, sandbox_thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxTalk]:
    with sandbox_thread(tmp_path / "sandbox", record_path=tmp_path / "requests.jsonl") as talk:
        yield talk


@pytest.fixture(params=["google", "meta"])
def stage(request: pytest.FixtureRequest, sandbox: SandboxTalk) -> Stage:
    return stage_make(sandbox, request.param, 40)


def test_nobody_is_added_without_the_consent_that_google_is_told(sandbox: SandboxTalk) -> None:
    stage = stage_make(sandbox, "google", 5)
    connection = stage.target.connection
    connection_save(
        connection.key, connection.title, connection.destination, base_url=connection.base_url, is_sandbox=True,
        settings={**connection.settings, "ad_personalization_purpose": "personalisation"}, actor="test",
    )  # fmt: skip
    stage.sync()
    assert stage.listed == []  # they granted advertising only
    reach = last(stage).reach
    assert (reach["members"], reach["consent"], reach["wanted"]) == (5, 5, 0)


def last(stage: Stage) -> Sync:
    return Sync.objects.filter(target=stage.target, lane="regular").latest("sync_no")


def test_first_sync_then_nothing_then_the_difference(stage: Stage) -> None:
    stage.sync()
    assert stage.is_equal(stage.people)
    first = last(stage)
    assert (first.state, first.to_add, first.accepted, first.rejected) == ("sent", 40, 40, 0)
    assert first.reach == {"members": 40, "held_out": 0, "consent": 0, "suppressed": 0, "identifier": 0, "wanted": 40}

    sent_before = stage.sandbox.requests()["requests"]
    stage.sync()
    second = last(stage)
    assert (second.state, second.to_add, second.to_remove) == ("no_change", 0, 0)
    assert stage.sandbox.requests()["requests"] == sent_before

    newcomers = people_make(3, start=41)
    wanted = stage.people[4:] + newcomers
    members_set(stage.segment, wanted)
    stage.sync()
    third = last(stage)
    assert (third.state, third.to_add, third.to_remove, third.accepted) == ("sent", 3, 4, 7)
    assert stage.is_equal(wanted)
    assert dict(SyncOutcome.objects.filter(sync=third).values_list("code", "count")) == {"added": 3, "removed": 4}


def test_without_consent_nothing_is_even_hashed(stage: Stage) -> None:
    ConsentState.objects.filter(profile_no__in=[1, 2]).update(state="denied")
    ConsentState.objects.filter(profile_no=3).delete()
    stage.sync()
    assert stage.is_equal(stage.people[3:])
    assert not SentEntry.objects.filter(profile_no__in=[1, 2, 3]).exists()
    assert last(stage).reach["consent"] == 3


def test_an_unmapped_destination_sends_nothing(stage: Stage) -> None:
    DestinationPurpose.objects.all().delete()
    stage.sync()
    run = last(stage)
    assert run.state == "failed"
    assert "no purposes" in run.reason
    assert stage.listed == []
    assert Connection.objects.get().paused_at is None


def test_a_segment_that_was_never_counted_fails_its_run_only(stage: Stage) -> None:
    from segments.audiences.models import SegmentBitmap

    SegmentBitmap.objects.all().delete()
    stage.sync()
    assert (last(stage).state, stage.listed) == ("failed", [])


def test_people_without_a_usable_address_are_counted(stage: Stage) -> None:
    from cdp.identity.models import Identifier

    Identifier.objects.filter(profile_no__in=[1, 2]).delete()
    stage.sync()
    assert last(stage).reach["identifier"] == 2
    assert stage.is_equal(stage.people[2:])


def test_a_large_loss_stops_and_waits(stage: Stage) -> None:
    stage.sync()
    members_set(stage.segment, [*stage.people[:20], *people_make(5, start=41)])
    before = stage.sandbox.requests()["requests"]
    stage.sync()
    run = last(stage)
    assert (run.state, run.to_add, run.to_remove, run.on_list_before) == ("stopped", 5, 20, 40)
    assert "50.0%" in run.reason
    assert stage.is_equal(stage.people)
    assert stage.sandbox.requests()["requests"] == before


def test_who_changed_the_rule_cannot_approve_it(stage: Stage) -> None:
    stage.sync()
    members_set(stage.segment, stage.people[:20])
    stage.sync()
    run = last(stage)
    with pytest.raises(RejectedError) as caught:
        sync_approve(run.pk, user_id=stage.author.pk, actor="author", now=run.started_at)
    assert caught.value.code == "own_change"
    assert last(stage).state == "stopped"
    other = User.objects.create(username="other")
    with pytest.raises(RejectedError) as caught:
        sync_approve(run.pk, user_id=other.pk, actor="other", now=run.started_at, expected_removals=7)
    assert caught.value.code == "conflict"
    sync_approve(run.pk, user_id=other.pk, actor="other", now=run.started_at, expected_removals=20)
    stage.drain()
    assert stage.is_equal(stage.people[:20])
    run.refresh_from_db()
    assert (run.state, run.approved_by_id, run.accepted) == ("sent", other.pk, 20)
    with pytest.raises(RejectedError):
        sync_approve(run.pk, user_id=other.pk, actor="other", now=run.started_at)


def test_who_changed_a_segment_that_the_rule_names_cannot_approve_it(stage: Stage) -> None:
    other = User.objects.create(username="other")
    named = Segment.objects.create(key="recent", title="Recent", state="ready")
    within = SegmentVersion.objects.create(
        segment=named, version=1, definition=EVERYBODY, fingerprint="1" * 64, sentence="All", created_by=other
    )
    Segment.objects.filter(pk=named.pk).update(current_version=within)
    rule = {"version": 1, "where": {"type": "all", "conditions": [{"type": "segment", "segment": "recent"}]}}
    SegmentVersion.objects.filter(segment=stage.segment).update(definition=rule)
    stage.sync()
    members_set(stage.segment, stage.people[:20])
    stage.sync()
    with pytest.raises(RejectedError) as caught:
        sync_approve(last(stage).pk, user_id=other.pk, actor="other", now=last(stage).started_at)
    assert caught.value.code == "own_change"


def test_additions_only_and_cancel(stage: Stage) -> None:
    stage.sync()
    newcomers = people_make(5, start=41)
    members_set(stage.segment, [*stage.people[:20], *newcomers])
    stage.sync()
    sync_send_additions(last(stage).pk, actor="other", now=last(stage).started_at)
    stage.drain()
    assert stage.is_equal([*stage.people, *newcomers])
    stage.sync()
    run = last(stage)
    assert run.state == "stopped"
    sync_cancel(run.pk, actor="other", now=run.started_at)
    stage.drain()
    assert last(stage).state == "cancelled"
    assert stage.is_equal([*stage.people, *newcomers])


def test_a_stopped_run_is_planned_anew_and_gives_way(stage: Stage) -> None:
    stage.sync()
    members_set(stage.segment, stage.people[:20])
    stage.sync()
    stopped = last(stage)
    members_set(stage.segment, stage.people[:15])
    stage.sync()
    again = last(stage)
    assert (again.pk, again.to_remove) == (stopped.pk, 25)
    members_set(stage.segment, stage.people[1:])
    stage.sync()
    stopped.refresh_from_db()
    assert stopped.state == "cancelled"
    assert (last(stage).state, last(stage).to_remove) == ("sent", 1)
    assert stage.is_equal(stage.people[1:])


def test_an_empty_segment_stops(stage: Stage) -> None:
    AudienceTarget.objects.update(max_removal_share=1)
    stage.target.refresh_from_db()
    stage.sync()
    members_set(stage.segment, [])
    stage.sync()
    assert last(stage).state == "stopped"
    assert "Nobody qualifies" in last(stage).reason
    assert stage.is_equal(stage.people)


def test_below_the_minimum_is_a_warning(stage: Stage) -> None:
    stage.sync()
    assert "minimum of 100" in last(stage).warnings[0]


def test_a_rule_change_is_told_apart_from_behaviour(stage: Stage) -> None:
    from cdp.core.time import utc_now
    from segments.audiences.models import Membership, SegmentSize

    stage.sync()
    now = utc_now()
    SegmentVersion.objects.create(segment=stage.segment, version=2, definition={}, fingerprint="1" * 64, sentence="x")
    SegmentSize.objects.create(segment_no=stage.segment.pk, at=now, version=2, size=20, joined=0, left=15, took_ms=1)
    for number in stage.people[:15]:
        Membership.objects.create(
            segment_no=stage.segment.pk, profile_no=number, entered_at=now, exited_at=now, version=1
        )
    members_set(stage.segment, stage.people[20:], version=2)
    stage.sync()
    assert last(stage).removal_causes == {"rule_changed": 15, "left": 5}


def test_batches_are_recorded_with_keys_that_never_repeat(stage: Stage) -> None:
    stage.sync()
    members_set(stage.segment, stage.people[2:])
    stage.sync()
    keys = list(SyncBatch.objects.values_list("batch_key", flat=True))
    assert len(keys) == len(set(keys)) == 2
    assert all(key.split(".")[1] in {"add", "remove"} for key in keys)


def test_an_existing_list_is_used_when_its_id_is_entered(sandbox: SandboxTalk) -> None:
    from segments.activation.services import audience_target_save

    stage = stage_make(sandbox, "meta", 5)
    stage.sync()
    list_id = stage.target.external_id or AudienceTarget.objects.get().external_id
    with pytest.raises(RejectedError) as caught:
        audience_target_save("loyal", "meta_test", actor="x", external_id="999")
    assert caught.value.code == "conflict"
    assert AudienceTarget.objects.get().external_id == list_id


def test_nothing_readable_is_sent_or_logged(stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    stage.sandbox.fault(stage.network, "500")
    stage.sync()
    recorded = (tmp_path / "requests.jsonl").read_text(encoding="utf-8")
    assert digest_of(7) in recorded
    assert "person7" not in recorded
    assert "@example" not in recorded
    logged = caplog.text
    assert "batch_sent" in logged
    for number in (7, 23):
        assert digest_of(number) not in logged
        assert f"person{number}@" not in logged
    assert "sandbox-token" not in logged
    assert digest_of(7) not in str(list(SyncBatch.objects.values()))


def test_every_body_that_went_to_google_is_one_of_its_protos(sandbox: SandboxTalk, tmp_path: Path) -> None:
    stage = stage_make(sandbox, "google", 8)
    stage.sync()
    members_set(stage.segment, stage.people[1:])
    stage.sync()
    kinds = {
        "/google/v1/audienceMembers:ingest": datamanager_v1.IngestAudienceMembersRequest,
        "/google/v1/audienceMembers:remove": datamanager_v1.RemoveAudienceMembersRequest,
        "/google/v1/accountTypes/GOOGLE_ADS/accounts/1234567890/userLists": datamanager_v1.UserList,
    }
    seen = set()
    for line in (tmp_path / "requests.jsonl").read_text(encoding="utf-8").splitlines():
        request = json.loads(line)
        if request["method"] == "POST" and request["path"] in kinds:
            json_format.Parse(request["body"], kinds[request["path"]].pb()(), ignore_unknown_fields=False)
            seen.add(request["path"])
    assert seen == set(kinds)


def test_secrets_are_sealed(stage: Stage) -> None:
    row = Connection.objects.get()
    assert b"sandbox-token" not in bytes(row.secrets_encrypted or b"")
    assert "sandbox-token" not in str(row.settings)
