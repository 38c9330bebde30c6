"""Who is in: members follow the rule, the history says since when, and a failure keeps the last good members."""

import datetime as dt
import threading
from typing import Any

import duckdb
import numpy as np
import pytest
from django.db import connection, transaction
from pyroaring import BitMap64

from cdp.core.errors import RejectedError, RetryableError
from cdp.events.flush import events_flush
from cdp.events.models import OutboxMessage
from cdp.identity.services import merge_undo, profile_erase, profiles_merge
from segments.audiences import evaluating
from segments.audiences.engine import TooCostlyError
from segments.audiences.memberships import bitmap_read, membership_replace
from segments.audiences.models import Audience, Membership, SegmentBitmap, SegmentSize
from segments.audiences.services import (
    changes_forget,
    memberships_follow,
    segment_archive,
    segment_claim,
    segment_evaluate,
    segments_claim_next,
    segments_evaluate_due,
    segments_in_order,
)
from segments.definition.models import Segment
from tests.integration.audience_people import BOUGHT, FRENCH, did, evaluate, french, members_of, number_of, save
from tests.integration.people import DAY, HOUR, NOW, say

pytestmark = pytest.mark.django_db


def changes() -> list[dict[str, Any]]:
    return [
        message.payload for message in OutboxMessage.objects.filter(topic="membership_changed").order_by("outbox_no")
    ]


def test_members_follow_people() -> None:
    one, two = french("u1", "u2")
    say("u3", country="DE")
    save("french", FRENCH)
    done = evaluate("french")
    assert (done.state, done.size, done.joined, done.left) == ("ready", 2, 2, 0)
    assert members_of("french") == [one, two]

    later = NOW + HOUR
    say("u2", later, country="DE")
    say("u3", later, country="FR")
    done = evaluate("french", later)
    three = number_of("u3")
    assert (done.size, done.joined, done.left) == (2, 1, 1)
    assert members_of("french") == [one, three]
    history = Membership.objects.order_by("profile_no").values_list("profile_no", "entered_at", "exited_at", "version")
    assert list(history) == [(one, NOW, None, 1), (two, NOW, later, 1), (three, later, None, 1)]
    segment = Segment.objects.get()
    assert (segment.state, segment.size, segment.evaluated_at, segment.evaluated_version) == ("ready", 2, later, 1)
    assert (segment.due_at, segment.leased_until) == (later + HOUR, None)
    sizes = SegmentSize.objects.order_by("at").values_list("at", "size", "joined", "left")
    assert list(sizes) == [(NOW, 2, 2, 0), (later, 2, 1, 1)]
    assert [(c["joined"], c["left"]) for c in changes()] == [(2, 0), (1, 1)]


def test_a_second_run_changes_nothing() -> None:
    french("u1", "u2")
    save("french", FRENCH)
    evaluate("french")
    before = list(Membership.objects.values_list())
    done = evaluate("french", NOW + HOUR)
    assert (done.size, done.joined, done.left) == (2, 0, 0)
    assert list(Membership.objects.values_list()) == before
    assert len(changes()) == 1


def test_returning_opens_a_second_stay() -> None:
    (one,) = french("u1")
    save("french", FRENCH)
    for hours, country in enumerate(["FR", "DE", "FR"]):
        at = NOW + hours * HOUR
        say("u1", at, country=country)
        evaluate("french", at)
    stays = Membership.objects.filter(profile_no=one).order_by("entered_at").values_list("entered_at", "exited_at")
    assert list(stays) == [(NOW, NOW + HOUR), (NOW + 2 * HOUR, None)]


def test_behaviour_counts_from_tail_and_from_files_and_ends_by_time() -> None:
    one, two, three = number_of("u1"), number_of("u2"), number_of("u3")
    did("u1", days_ago=29)
    did("u2", days_ago=3)
    save("recent", BOUGHT)
    save("quiet", BOUGHT | {"operator": "equals", "value": 0})
    evaluate("recent")
    assert members_of("recent") == [one, two]
    events_flush(NOW)
    did("u3", days_ago=0.5)
    evaluate("recent", NOW + HOUR)
    evaluate("quiet", NOW + HOUR)
    assert members_of("recent") == [one, two, three]
    assert members_of("quiet") == []
    evaluate("recent", NOW + 2 * DAY)
    assert members_of("recent") == [two, three]


def test_segments_of_segments_follow_in_order() -> None:
    one, two = french("u1", "u2")
    did("u1")
    save("recent", BOUGHT)
    save("french_buyers", FRENCH, {"type": "segment", "segment": "recent"})
    save("others", {"type": "segment", "segment": "french_buyers"}, kind="none")
    assert [segment.key for segment in segments_in_order()] == ["recent", "french_buyers", "others"]
    Segment.objects.filter(key="recent").update(due_at=NOW)
    Segment.objects.exclude(key="recent").update(due_at=NOW - HOUR)  # due longer, but has to wait for what it names
    done = segments_evaluate_due(NOW)
    assert [Segment.objects.get(segment_no=d.segment_no).key for d in done] == ["recent", "french_buyers", "others"]
    assert (members_of("french_buyers"), members_of("others")) == ([one], [two])
    assert segments_evaluate_due(NOW) == []

    did("u2", days_ago=0)
    later = NOW + HOUR / 2
    evaluate("recent", later)
    assert Segment.objects.get(key="french_buyers").due_at == later
    assert {d.joined for d in segments_evaluate_due(later)} == {1, 0}
    assert (members_of("french_buyers"), members_of("others")) == ([one, two], [])


def test_a_failure_keeps_the_last_good_members(monkeypatch: pytest.MonkeyPatch) -> None:
    french("u1")
    save("french", FRENCH)
    evaluate("french")
    before = members_of("french")

    def too_costly(*_: object) -> None:
        raise TooCostlyError("This took longer than 300 seconds and was stopped. Narrow the rule.")

    french("u2")
    monkeypatch.setattr(evaluating, "members_find", too_costly)
    done = evaluate("french", NOW + HOUR)
    segment = Segment.objects.get()
    assert (done.state, segment.state) == ("failed", "failed")
    assert segment.error == "This took longer than 300 seconds and was stopped. Narrow the rule."
    assert (segment.size, segment.evaluated_at, segment.leased_until) == (1, NOW, None)
    assert segment.due_at > NOW + HOUR
    assert members_of("french") == before
    monkeypatch.undo()
    assert evaluate("french", NOW + 2 * HOUR).size == 2
    assert (Segment.objects.get().state, Segment.objects.get().error) == ("ready", "")


def test_a_busy_engine_postpones_and_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    french("u1")
    save("french", FRENCH)
    evaluate("french")

    def busy(*_: object) -> None:
        raise RetryableError("Many counts are under way.", retry_after_seconds=5)

    monkeypatch.setattr(evaluating, "members_find", busy)
    assert evaluate("french", NOW + HOUR).state == "postponed"
    segment = Segment.objects.get()
    assert (segment.state, segment.error, segment.leased_until) == ("ready", "", None)
    assert segment.due_at == NOW + HOUR + dt.timedelta(seconds=5)
    assert len(members_of("french")) == 1


def test_announcements_nobody_takes_are_closed_after_a_week() -> None:
    french("u1")
    save("french", FRENCH)
    evaluate("french")
    message = OutboxMessage.objects.get(topic="membership_changed")
    assert changes_forget(message.due_at + 6 * DAY) == 0
    assert changes_forget(message.due_at + 8 * DAY) == 1
    assert changes_forget(message.due_at + 8 * DAY) == 0


def test_a_bug_is_noted_and_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    save("french", FRENCH)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret@example.com")

    monkeypatch.setattr(evaluating, "members_find", broken)
    with pytest.raises(ZeroDivisionError):
        evaluate("french")
    segment = Segment.objects.get()
    assert segment.state == "failed"
    assert "ZeroDivisionError" in segment.error
    assert "secret" not in segment.error


def test_lost_files_are_a_failure_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    save("french", FRENCH)

    def lost(*_: object) -> None:
        raise duckdb.IOException("No files found that match /secret/path")

    monkeypatch.setattr(evaluating, "members_find", lost)
    assert evaluate("french").state == "failed"
    assert "/secret" not in Segment.objects.get().error


def test_a_trait_that_is_gone_fails_with_its_path() -> None:
    from cdp.profiles.models import Trait

    save("french", FRENCH)
    Trait.objects.filter(key="country").update(is_declared=False)
    assert evaluate("french").state == "failed"
    assert Segment.objects.get().error == 'No trait "country" exists. (where.conditions[0].trait)'


def test_a_newer_rule_discards_a_count_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    french("u1")
    save("french", FRENCH)
    find = evaluating.members_find

    def slow(*values: Any) -> Any:
        found = find(*values)
        save("french", FRENCH | {"value": "DE"}, now=NOW)
        return found

    monkeypatch.setattr(evaluating, "members_find", slow)
    assert evaluate("french").state == "discarded"
    assert not Membership.objects.exists()
    assert not SegmentBitmap.objects.exists()
    monkeypatch.undo()
    (done,) = segments_evaluate_due(NOW)
    assert (done.state, done.size, Segment.objects.get().evaluated_version) == ("ready", 0, 2)


def test_a_lost_lease_writes_nothing() -> None:
    french("u1")
    segment_no = save("french", FRENCH).segment_id
    first, second = segment_claim(segment_no, NOW), segment_claim(segment_no, NOW)
    assert first is not None
    assert segment_evaluate(segment_no, NOW, claim=first).state == "discarded"
    assert not Membership.objects.exists()
    assert segment_evaluate(segment_no, NOW, claim=second).state == "ready"


def test_a_claimed_segment_is_not_claimed_again_until_its_lease_ends() -> None:
    save("french", FRENCH)
    assert segments_claim_next(NOW) is not None
    assert segments_claim_next(NOW) is None
    assert segments_claim_next(NOW + DAY) is not None


def test_erased_people_leave_at_once_and_without_a_trace() -> None:
    one, two = french("u1", "u2")
    save("french", FRENCH)
    save("empty", FRENCH | {"value": "XX"})
    evaluate("french")
    evaluate("empty")
    profile_erase(one, "test", NOW)
    assert memberships_follow(NOW + DAY) == 1
    assert members_of("french") == [two]
    assert not Membership.objects.filter(profile_no=one).exists()
    assert Segment.objects.get(key="french").size == 1
    assert changes()[-1]["left"] == 1
    assert memberships_follow(NOW + 2 * DAY) == 0
    assert evaluate("french", NOW + 2 * DAY).left == 0


def test_somebody_erased_during_the_count_does_not_come_in() -> None:
    one, two = french("u1", "u2")
    segment_no = save("french", FRENCH).segment_id
    profile_erase(one, "test", NOW)
    with transaction.atomic():
        change = membership_replace(segment_no, 1, np.array([one, two]), NOW)
    assert (change.size, change.joined) == (1, 1)
    assert members_of("french") == [two]


def test_merged_people_are_settled_by_the_next_count_and_parted_ones_come_back() -> None:
    one, two = french("u1", "u2")
    save("french", FRENCH)
    evaluate("french")
    Segment.objects.update(due_at=NOW + 30 * DAY)
    decision_no = profiles_merge(one, two, "same person", "test", NOW)
    later = NOW + DAY
    assert memberships_follow(later) == 1
    (done,) = segments_evaluate_due(later)
    assert (done.size, done.left) == (1, 1)
    assert members_of("french") == [one]
    Segment.objects.update(due_at=NOW + 30 * DAY)
    merge_undo(decision_no, "test", later)
    assert memberships_follow(later) == 1
    segments_evaluate_due(later)
    assert members_of("french") == [one, two]


def test_rows_decide_when_the_bitmap_was_lost() -> None:
    one, _ = french("u1", "u2")
    save("french", FRENCH)
    evaluate("french")
    SegmentBitmap.objects.update(bitmap=BitMap64([one, 999]).serialize())
    SegmentBitmap.objects.update(bitmap=BitMap64([one]).serialize())
    done = evaluate("french", NOW + HOUR)
    assert (done.size, done.joined, done.left) == (2, 0, 0)
    assert len(members_of("french")) == 2


def test_archive_is_refused_while_used() -> None:
    version = save("french", FRENCH)
    save("both", {"type": "segment", "segment": "french"})
    evaluate("french")
    Audience.objects.create(
        key="a", title="Ads", segment_id=version.segment_id, purposes=["advertising"], holdout_salt="s"
    )
    with pytest.raises(RejectedError, match="segment “Both”, audience “Ads”") as caught:
        segment_archive("french", actor="test", now=NOW)
    assert caught.value.code == "conflict"
    assert Segment.objects.get(key="french").state == "ready"
    with pytest.raises(RejectedError, match="No segment"):
        segment_archive("nobody", actor="test", now=NOW)


def test_archive_closes_every_stay() -> None:
    (one,) = french("u1")
    save("french", FRENCH)
    evaluate("french")
    segment_archive("french", actor="test", now=NOW + HOUR)
    assert Membership.objects.get(profile_no=one).exited_at == NOW + HOUR
    segment = Segment.objects.get()
    assert (segment.state, segment.size) == ("archived", 0)
    assert segment_claim(segment.segment_no, NOW) is None
    assert segments_evaluate_due(NOW + DAY) == []
    assert len(bitmap_read(segment.segment_no)) == 0
    segment_archive("french", actor="test", now=NOW + 2 * HOUR)
    assert Membership.objects.get(profile_no=one).exited_at == NOW + HOUR


@pytest.mark.django_db(transaction=True)
def test_two_workers_share_what_is_due() -> None:
    french("u1", "u2", "u3")
    for number in range(6):
        save(f"s{number}", FRENCH, {"type": "sample", "share": 0.5 + number / 20, "salt": "x"})
    barrier, done = threading.Barrier(2), []

    def work() -> None:
        barrier.wait()
        try:
            done.extend(segments_evaluate_due(NOW))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(d.segment_no for d in done) == sorted(Segment.objects.values_list("segment_no", flat=True))
    assert {d.state for d in done} == {"ready"}
    assert SegmentSize.objects.count() == 6
