"""Refused calls through the checks again: taken once, refused with the reason of today, never in part, always recorded."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import Client

from cdp.access.models import AuditEntry
from cdp.collect import messages, replaying
from cdp.collect.models import Reject, Source
from cdp.collect.rejects import reject_sample
from cdp.collect.repeating import repeats_forget
from cdp.collect.selectors import sources_forget
from cdp.collect.services import inbox_drain, rejects_replay
from cdp.core.errors import RetryableError
from cdp.core.time import UTC, utc_now
from cdp.events.models import Event, InboxEvent, Order
from cdp.identity.models import IdentifierType
from cdp.identity.selectors import profile_find
from cdp.identity.services import profile_erase
from cdp.profiles.models import Profile
from tests.integration.collect_calls import post, source_make, track_make, untyped
from tests.integration.test_collect_tail import reader

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    sources_forget()
    repeats_forget()
    yield
    repeats_forget()


def refuse(client: Client, *calls: dict[str, Any], **values: Any) -> list[Reject]:
    """Send calls while every event name is too long; give back what was refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "MAX_NAME_CHARS", 3)
        post(client, {"batch": list(calls)} | values)
    return list(Reject.objects.order_by("reject_no"))


def again(*rejects: Reject) -> list[tuple[str, str]]:
    done = rejects_replay(rejects[0].source_id, [r.reject_no for r in rejects], utc_now(), actor="mira")
    return [(each.outcome, each.problem.code if each.problem else "") for each in done]


def audits() -> list[tuple[str, str, dict[str, Any]]]:
    return list(
        AuditEntry.objects.filter(action__contains="replayed").order_by("pk").values_list("actor", "action", "detail")
    )


def test_a_mended_call_is_taken_once(client: Client) -> None:
    source_make()
    order = track_make(event="Order Completed", properties={"order_id": "o-1", "revenue": 12})
    (reject,) = refuse(client, order)
    assert (reject.code, reject.is_whole, reject.obstacle) == ("length", True, "")
    assert again(reject) == [("accepted", "")]
    assert again(reject) == []
    event, ledger = Event.objects.get(), Order.objects.get()
    assert (event.name, event.message_id, ledger.order_id) == ("Order Completed", "m-1", "o-1")
    assert event.occurred_at.astimezone(UTC).isoformat() == "2026-11-23T10:00:00+00:00"
    reject.refresh_from_db()
    assert (reject.outcome, reject.obstacle, reject_sample(reject)) == ("accepted", "Taken on replay", "")
    assert audits() == [("mira", "reject_replayed", {"accepted": 1})]
    post(client, {"batch": [order]})
    assert not InboxEvent.objects.exists(), "its message id counts as seen"


def test_the_request_around_it_comes_back(client: Client) -> None:
    """A single call's kind is that of its address; a batch's clock and context are those of the batch."""
    source_make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "MAX_NAME_CHARS", 3)
        post(client, untyped(messageId="single"), path="/v1/track")
        body = {"batch": [track_make(messageId="in-batch", timestamp="2026-11-23T10:00:00Z")]}
        post(client, body | {"sentAt": "2026-11-23T10:00:10Z", "context": {"campaign": {"source": "mail"}}})
    assert again(*Reject.objects.order_by("reject_no")) == [("accepted", ""), ("accepted", "")]
    single, in_batch = Event.objects.order_by("event_no")
    assert single.kind == "track"
    received_at = Reject.objects.order_by("reject_no").last().received_at  # type: ignore[union-attr]
    assert (received_at - in_batch.occurred_at).total_seconds() == pytest.approx(10)
    assert json.loads(in_batch.properties)["context"] == {"campaign": {"source": "mail"}}


def test_what_still_does_not_pass_says_why_today(client: Client) -> None:
    source_make()
    (reject,) = refuse(client, track_make(userId=None))
    assert reject.code == "required"
    Reject.objects.update(code="old", reason="Something else.", field="x")
    for _ in range(2):
        assert again(reject) == [("refused", "required")]
    reject.refresh_from_db()
    assert (reject.code, reject.field, reject.outcome, reject.is_whole) == ("required", "userId", "refused", True)
    assert reject_sample(reject)
    assert not Event.objects.exists()
    assert [detail for *_, detail in audits()] == [{"refused": 1}, {"refused": 1}]


def test_what_came_in_since_is_not_counted_twice(client: Client) -> None:
    source_make()
    (reject,) = refuse(client, track_make())
    post(client, {"batch": [track_make()]})
    assert again(reject) == [("duplicate", "")]
    inbox_drain(10, utc_now())
    assert Event.objects.count() == 1
    reject.refresh_from_db()
    assert (reject.obstacle, reject_sample(reject)) == ("Came in since", "")


def test_the_same_call_refused_twice_is_taken_once(client: Client) -> None:
    source_make()
    refuse(client, track_make())
    rejects = refuse(client, track_make())
    assert again(*rejects) == [("accepted", ""), ("duplicate", "")]
    assert Event.objects.count() == 1
    assert audits()[0][1:] == (
        "rejects_replayed",
        {"accepted": 1, "duplicate": 1, "first": rejects[0].reject_no, "last": rejects[1].reject_no},
    )


def refused_at_the_drain(client: Client) -> list[Reject]:
    """Accepted, then refused by identity for each of its two ids: two rows of one call."""
    IdentifierType.objects.filter(key__in=["user_id", "anonymous_id"]).update(blocked_values=["u-1", "a-1"])
    post(client, {"batch": [track_make(anonymousId="a-1")]})
    inbox_drain(10, utc_now())
    IdentifierType.objects.update(blocked_values=[])
    return list(Reject.objects.order_by("reject_no"))


def test_a_call_refused_after_it_was_accepted(client: Client) -> None:
    source_make()
    first, second = refused_at_the_drain(client)
    assert first.holds_key
    assert second.holds_key
    assert again(first) == [("accepted", "")]
    assert again(second) == []
    second.refresh_from_db()
    assert second.outcome == "duplicate"
    assert Event.objects.count() == 1


def test_such_a_call_refused_once_more_keeps_its_message_id(client: Client) -> None:
    source_make()
    first, _ = refused_at_the_drain(client)
    IdentifierType.objects.filter(key__in=["user_id", "anonymous_id"]).update(blocked_values=["u-1", "a-1"])
    assert again(first) == [("refused", "blocked")]
    post(client, {"batch": [track_make(anonymousId="a-1")]})
    assert not InboxEvent.objects.exists()
    assert not Event.objects.exists()


def test_a_call_refused_by_identity_on_replay_can_still_come_again(client: Client) -> None:
    source_make()
    (reject,) = refuse(client, track_make())
    IdentifierType.objects.filter(key="user_id").update(blocked_values=["u-1"])
    assert again(reject) == [("refused", "blocked")]
    IdentifierType.objects.update(blocked_values=[])
    post(client, {"batch": [track_make()]})
    assert InboxEvent.objects.count() == 1
    assert again(reject) == [("duplicate", "")]


def test_one_that_fails_stops_no_other(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    source_make()
    rejects = refuse(client, *(track_make(messageId=f"m-{n}", userId=f"u-{n}") for n in range(5)))
    real = replaying.calls_absorb

    def absorb(calls: Any, now: Any) -> Any:
        if any(call.message.message_id == "m-3" for call in calls):
            raise ArithmeticError
        return real(calls, now)

    monkeypatch.setattr(replaying, "calls_absorb", absorb)
    assert again(*rejects) == [("accepted", "")] * 3 + [("refused", "failed"), ("accepted", "")]
    monkeypatch.undo()
    assert again(rejects[3]) == [("accepted", "")]
    assert Event.objects.count() == 5


def test_a_database_at_fault_changes_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    source_make()
    (reject,) = refuse(client, track_make())

    def broken(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(replaying, "calls_absorb", broken)
    with pytest.raises(RetryableError):
        again(reject)
    page = reader("view_reject", "change_reject")
    answer = page.post(f"/admin/sources/refused/{reject.reject_no}/replay/", follow=True)
    assert "the database did not answer" in answer.content.decode()
    monkeypatch.undo()
    assert not audits()
    assert again(reject) == [("accepted", "")]


def test_an_erased_person_stays_out_and_the_sample_goes(client: Client) -> None:
    source_make()
    post(client, {"batch": [track_make(messageId="m-0")]})
    inbox_drain(10, utc_now())
    (reject,) = refuse(client, track_make())
    profile_no = profile_find("user_id", "u-1")
    assert profile_no is not None
    profile_erase(profile_no, "mira", utc_now())
    assert again(reject) == [("refused", "erased")]
    reject.refresh_from_db()
    assert (reject.is_whole, reject_sample(reject)) == (False, "")
    assert profile_find("user_id", "u-1") is None
    assert not Profile.objects.filter(erased_at=None).exists()


def test_what_was_kept_cut_or_mangled_or_taken_cannot_be_replayed(client: Client) -> None:
    source = source_make()
    huge = json.dumps(track_make(messageId="huge", properties={"text": "x" * 40_000})).encode()
    mangled = b'{"type": "track", "messageId": "latin", "event": "caf\xe9", "userId": "u"}'
    kept = json.dumps(track_make(messageId="kept", anonymousId="undefined")).encode()
    post(client, b'{"batch": [' + b",".join([huge, kept]) + b"]}")
    post(client, b'{"batch": [' + mangled + b"]}")
    obstacles = dict(Reject.objects.all().values_list("code", "reject_no"))
    assert set(obstacles) >= {"too_large", "blocked"}
    assert Reject.objects.get(code="too_large").obstacle == "Kept only cut: cannot be replayed"
    assert Reject.objects.get(code="blocked").obstacle == "The rest of the call was taken"
    assert not Reject.objects.replayable().exists()
    assert again(*Reject.objects.all()) == []
    page = reader("view_source", "view_reject", "change_reject")
    body = page.get("/admin/sources/refused/").content.decode()
    assert "Kept only cut: cannot be replayed" in body
    assert "Send again" not in body
    body = page.get(f"/admin/sources/{source.source_no}/replay/too_large/").content.decode()
    assert "No row of this reason can be sent again." in body
    assert "a call that large is kept only cut" in body
    number = obstacles["too_large"]
    answer = page.post(f"/admin/sources/refused/{number}/replay/", follow=True)
    assert "Kept only cut: cannot be replayed" in answer.content.decode()
    assert not audits()


# --- the pages ----------------------------------------------------------------------------------------------------------


def test_who_may_only_look_cannot_replay(client: Client) -> None:
    source = source_make()
    (reject,) = refuse(client, track_make())
    page = reader("view_source", "view_reject")
    body = page.get("/admin/sources/refused/").content.decode()
    assert "Send again" not in body
    one, many = (
        f"/admin/sources/refused/{reject.reject_no}/replay/",
        f"/admin/sources/{source.source_no}/replay/length/",
    )
    assert page.post(one).status_code == 403
    assert page.post(many, {"up_to": str(reject.reject_no)}).status_code == 403
    assert page.get(many).status_code == 403
    assert Client().post(one).status_code == 302
    assert not Event.objects.exists()
    assert not audits()
    allowed = reader("view_reject", "change_reject")
    assert allowed.get(one).status_code == 405
    assert allowed.post("/admin/sources/refused/987654/replay/").status_code == 404
    assert allowed.get("/admin/sources/987654/replay/length/").status_code == 404


def test_one_row_by_its_button(client: Client) -> None:
    source_make()
    good, bad = refuse(client, track_make(), track_make(messageId="m-2", userId=None))
    page = reader("view_source", "view_reject", "change_reject")
    assert page.get("/admin/sources/refused/").content.decode().count(">Send again<") == 2
    answer = page.post(f"/admin/sources/refused/{good.reject_no}/replay/", follow=True)
    assert f"Row {good.reject_no} is accepted now." in answer.content.decode()
    answer = page.post(f"/admin/sources/refused/{bad.reject_no}/replay/", follow=True)
    assert f"Row {bad.reject_no} is still refused: Send userId" in answer.content.decode()
    answer = page.post(f"/admin/sources/refused/{good.reject_no}/replay/", follow=True)
    assert "was not sent again. Taken on replay." in answer.content.decode()
    assert Event.objects.count() == 1
    assert not AuditEntry.objects.filter(action="reject_sample_shown").exists()
    assert "u-1" not in page.get("/admin/sources/refused/").content.decode()


def many_refused(client: Client) -> tuple[Source, str]:
    source = source_make()
    refuse(client, *(track_make(messageId=f"m-{n}", userId=f"u-{n}") for n in range(7)))
    return source, f"/admin/sources/{source.source_no}/replay/length/"


def test_many_are_asked_about_first(client: Client) -> None:
    source, address = many_refused(client)
    page = reader("view_source", "view_reject", "change_reject")
    assert f'href="{address}?field=event"' in page.get("/admin/sources/refused/").content.decode()
    body = page.get(f"{address}?field=event").content.decode()
    assert "Send 7 rows again" in body
    assert page.post(address, {"field": "event"}).status_code == 200, "without the number of the question it only asks"
    assert not Event.objects.exists()
    (up_to,) = set(re.findall(r'name="up_to" value="(\d+)"', body))
    refuse(client, track_make(messageId="late"))
    body = page.post(address, {"field": "event", "up_to": up_to, "after": "0"}).content.decode()
    assert body.count("Accepted now") == 8
    assert Event.objects.count() == 7, "what came after the question waits for the next"
    body = page.post(address, {"field": "event", "up_to": up_to, "after": "0"}).content.decode()
    assert "0 rows sent again" in body
    assert Event.objects.count() == 7
    (entry,) = AuditEntry.objects.filter(action="rejects_replayed")
    assert (entry.subject_id, entry.detail["accepted"]) == (str(source.source_no), 7)


def test_more_than_go_at_once_go_on_from_there(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from cdp.collect import replay_pages

    _, address = many_refused(client)
    monkeypatch.setattr(replay_pages, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(replay_pages, "REPLAY_AT_ONCE", 2)
    page = reader("view_source", "view_reject", "change_reject")
    last = Reject.objects.latest("reject_no").reject_no
    body = page.post(address, {"up_to": str(last), "after": "0"}).content.decode()
    assert "3 more" in body
    assert Event.objects.count() == 4
    (after,) = set(re.findall(r'name="after" value="(\d+)"', body))
    assert "more" not in re.findall(
        r"<h2>(.*?)</h2>", page.post(address, {"up_to": str(last), "after": after}).content.decode()
    )
    assert Event.objects.count() == 7


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_take_it_once(client: Client) -> None:
    source_make()
    rejects = refuse(client, *(track_make(messageId=f"m-{n}", userId=f"u-{n}") for n in range(20)))
    start, counts = threading.Barrier(4), []

    def act() -> None:
        start.wait()
        try:
            counts.append(Counter(outcome for outcome, _ in again(*rejects)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(counts, key=len) == [Counter(), Counter(), Counter(), Counter(accepted=20)]
    assert Event.objects.count() == 20
    assert len(audits()) == 1
