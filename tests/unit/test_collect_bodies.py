"""Bodies: what is read, what is refused, and that nothing ever breaks the reader."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.collect.bodies import MAX_ITEMS, body_inflate, envelope_read
from cdp.core.errors import RejectedError

LIMIT = 10_000


def test_plain_and_packed_bodies_are_the_same() -> None:
    assert body_inflate(b"abc", "", LIMIT) == b"abc"
    assert body_inflate(b"abc", "identity", LIMIT) == b"abc"
    assert body_inflate(gzip.compress(b"abc"), "gzip", LIMIT) == b"abc"
    assert body_inflate(gzip.compress(b"abc") + gzip.compress(b"def"), "GZIP", LIMIT) == b"abcdef"


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (b"x" * (LIMIT + 1), "", "too_large"),
        (gzip.compress(b"x" * (LIMIT + 1)), "gzip", "too_large"),
        (gzip.compress(b"x" * LIMIT) + gzip.compress(b"x"), "gzip", "too_large"),
        (gzip.compress(b"abc")[:-4], "gzip", "encoding"),
        (b"no gzip", "gzip", "encoding"),
        (b"abc", "br", "encoding"),
    ],
)
def test_bodies_that_are_refused(body: bytes, encoding: str, code: str) -> None:
    with pytest.raises(RejectedError) as caught:
        body_inflate(body, encoding, LIMIT)
    assert caught.value.code == code


@given(st.binary(max_size=300), st.sampled_from(["", "gzip", "deflate"]))
def test_inflate_answers_or_refuses(body: bytes, encoding: str) -> None:
    try:
        assert len(body_inflate(body, encoding, 200)) <= 200
    except RejectedError as error:
        assert error.code in {"too_large", "encoding"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()), st.booleans())
def test_envelope_answers_or_refuses(body: bytes, is_batch: bool) -> None:
    try:
        envelope = envelope_read(body, is_batch=is_batch)
    except RejectedError as error:
        assert error.code in {"json", "too_large"}
    else:
        assert all(isinstance(item, bytes) for item in envelope.items)


def test_what_holds_for_all_items() -> None:
    body = b'{"batch": [{"a": 1}, 2], "writeKey": "k", "sentAt": 5, "context": {"ip": "x"}}'
    envelope = envelope_read(body, is_batch=True)
    assert (envelope.items, envelope.write_key, envelope.sent_at) == ([b'{"a": 1}', b"2"], "k", 5)
    assert envelope.context == {"ip": "x"}
    assert envelope_read(b'{"batch": [], "writeKey": 3, "context": []}', is_batch=True).write_key is None


def test_the_largest_batch() -> None:
    fits = json.dumps({"batch": [1] * MAX_ITEMS}).encode()
    assert len(envelope_read(fits, is_batch=True).items) == MAX_ITEMS
    with pytest.raises(RejectedError, match="2,500"):
        envelope_read(json.dumps({"batch": [1] * (MAX_ITEMS + 1)}).encode(), is_batch=True)


def test_half_an_emoji_is_replaced_and_whole_ones_stay() -> None:
    body = b'{"batch": ["\\ud83d\\ude00", "\\ud83d", "\\ude00x"]}'
    items = [json.loads(item) for item in envelope_read(body, is_batch=True).items]
    assert items == ["\U0001f600", "\ufffd", "\ufffdx"]


def test_python_writes_nan_and_infinity() -> None:
    body = b'{"batch": [{"n": NaN}, {"n": -Infinity, "t": "NaN"}, {"n": 1}]}'
    items = [json.loads(item) for item in envelope_read(body, is_batch=True).items]
    assert items == [{"n": None}, {"n": None, "t": "NaN"}, {"n": 1}]
    with pytest.raises(RejectedError):
        envelope_read(b'{"batch": [NaN', is_batch=True)
