"""Single calls: what clients send, what is refused, what waits in the inbox."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.collect.bodies import Envelope
from cdp.collect.messages import Accepted, Message, Refused, _Item, items_check, message_read
from cdp.core.time import UTC

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def check(*items: Any, sent_at: object = None, kind: str | None = None) -> tuple[list[Accepted], list[Refused]]:
    raw = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
    return items_check(Envelope(raw, None, sent_at), kind=kind, sent_at_header=None, received_at=NOW)


def accepted(item: dict[str, Any], **extra: Any) -> Message:
    taken, refused = check(item, **extra)
    assert refused == []
    return message_read(taken[0].payload)


def refused(item: Any, **extra: Any) -> tuple[str, str]:
    taken, found = check(item, **extra)
    assert taken == []
    return found[0].problem.field, found[0].problem.code


def track(**overrides: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": "m", "userId": "u", "event": "E"} | overrides


def test_ids_may_be_numbers_null_or_empty() -> None:
    message = accepted(track(userId=17, anonymousId=None))
    assert (message.user_id, message.anonymous_id) == ("17", None)
    assert accepted(track(userId="", anonymousId=1.0)).anonymous_id == "1"
    assert accepted(track(userId=" u ", messageId=5)).message_id == "5"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (track(userId=None), ("userId", "required")),
        (track(userId=True), ("userId", "type")),
        (track(userId=["u"]), ("userId", "type")),
        (track(userId="x" * 201), ("userId", "length")),
        (track(userId="NULL"), ("userId", "blocked")),
        (track(userId="a\x00"), ("userId", "characters")),
        (track(messageId="x" * 201), ("messageId", "length")),
        (track(messageId={}), ("messageId", "type")),
        (track(event=None), ("event", "required")),
        (track(event="  "), ("event", "required")),
        (track(event=3), ("event", "type")),
        (track(event="x" * 201), ("event", "length")),
        (track(type="purchase"), ("type", "type")),
        (track(type=None), ("type", "type")),
        (track(properties="x"), ("properties", "type")),
        (track(properties=[1]), ("properties", "type")),
        (track(traits=3), ("traits", "type")),
        (track(context="x"), ("context", "type")),
        (track(timestamp="soon"), ("timestamp", "timestamp")),
        (track(timestamp=[1]), ("timestamp", "timestamp")),
        (track(timestamp="0001-01-01T00:00:00+23:00"), ("timestamp", "timestamp")),
        (track(timestamp=1e300), ("timestamp", "timestamp")),
        (track(properties={"a": {"b": ["\x00"]}}), ("", "characters")),
        (track(properties={"pad": "x" * 33_000}), ("", "too_large")),
        ({"type": "alias", "userId": "u"}, ("previousId", "required")),
        ({"type": "alias", "anonymousId": "a", "previousId": "p"}, ("userId", "required")),
        ({"type": "group", "userId": "u"}, ("groupId", "required")),
        (b'{"type": "track", "properties": {"n": 1e999}}', ("properties", "type")),
        (b'{"type": "track", "properties": {"a": ' + b"[" * 32 + b"]" * 32 + b"}}", ("", "depth")),
        (b'{"type": "track", "properties": {"a": ' + b"[" * 15_000 + b"]" * 15_000 + b"}}", ("", "json")),
        (b'{"type": "track", "userId": "\xff"}', ("", "json")),
        (b'"text"', ("", "type")),
        (b"[1]", ("", "type")),
    ],
)
def test_what_is_refused(item: Any, expected: tuple[str, str]) -> None:
    assert refused(item) == expected


def test_the_deepest_call() -> None:
    deep = json.loads("[" * 31 + "]" * 31)
    assert accepted(track(properties={"a": deep})).properties == {"a": deep}


def test_php_writes_empty_objects_as_lists() -> None:
    assert accepted(track(properties=[], context=[])).properties == {}


def test_address_decides_the_kind_of_a_single_call() -> None:
    assert accepted(track(type="identify"), kind="track").type == "track"
    assert accepted({"userId": "u", "name": "Home"}, kind="page").name == "Home"
    assert accepted({"userId": "u", "properties": {"name": "Home"}}, kind="screen").name == "Home"


def test_missing_message_id_is_a_digest_that_ignores_when_it_was_sent() -> None:
    first = accepted(track(messageId=None, sentAt="2026-11-23T11:00:00Z"))
    again = accepted(track(messageId="", sentAt="2026-11-23T11:05:00Z"))
    other = accepted(track(messageId=None, event="F"))
    assert first.message_id == again.message_id
    assert first.message_id.startswith("sha256-")
    assert other.message_id != first.message_id


def test_clock_skew_is_corrected_by_the_clients_own_clock() -> None:
    ahead = accepted(track(timestamp="2038-01-19T03:14:00Z", sentAt="2038-01-19T03:14:07Z"))
    assert ahead.timestamp == NOW - dt.timedelta(seconds=7)
    behind = accepted(track(originalTimestamp="2026-11-20T00:00:00Z"), sent_at="2026-11-20T01:00:00Z")
    assert behind.timestamp == NOW - dt.timedelta(hours=1)


def test_times_without_a_clock_to_compare() -> None:
    assert accepted(track()).timestamp == NOW
    assert accepted(track(timestamp="2026-11-23T13:00:00+02:00")).timestamp == NOW - dt.timedelta(hours=1)
    assert accepted(track(timestamp=1_764_000_000)).timestamp == dt.datetime.fromtimestamp(1_764_000_000, UTC)
    assert accepted(track(timestamp=1_764_000_000_500)).timestamp.microsecond == 500_000
    assert accepted(track(timestamp="2027-01-01T00:00:00Z")).timestamp == NOW
    soon = NOW + dt.timedelta(hours=23)
    assert accepted(track(timestamp=soon.isoformat())).timestamp == soon
    assert accepted(track(timestamp="2026-11-23T11:00:00Z"), sent_at="nonsense").timestamp == NOW - dt.timedelta(
        hours=1
    )


def test_context_of_the_batch_serves_items_without_one() -> None:
    raw = [json.dumps(track()).encode(), json.dumps(track(messageId="n", context={"a": 2})).encode()]
    taken, _ = items_check(Envelope(raw, None, None, {"a": 1}), kind=None, sent_at_header=None, received_at=NOW)
    assert [message_read(each.payload).context for each in taken] == [{"a": 1}, {"a": 2}]


def test_placeholder_is_left_out_when_somebody_else_is_named() -> None:
    taken, notes = check(track(userId="[object Object]", anonymousId="a"))
    assert message_read(taken[0].payload).user_id is None
    assert [(n.problem.field, n.problem.code, n.is_kept) for n in notes] == [("userId", "blocked", True)]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = list(_Item.__struct_fields__)


@given(
    st.binary(max_size=60)
    | anything.map(lambda v: json.dumps(v).encode())
    | st.dictionaries(st.sampled_from(FIELDS), anything).map(lambda v: json.dumps(v).encode()),
    anything,
)
def test_any_item_is_taken_or_refused(raw: bytes, sent_at: object) -> None:
    taken, notes = items_check(Envelope([raw], None, sent_at), kind="track", sent_at_header=None, received_at=NOW)
    assert len(taken) + sum(not n.is_kept for n in notes) == 1
    for each in taken:
        message = message_read(each.payload)
        assert message.user_id or message.anonymous_id
        assert 1970 <= message.timestamp.year <= 2026
