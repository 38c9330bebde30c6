"""Signals line by line: every line gets its answer, whatever stands in it."""

import datetime as dt
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.lines import MAX_LINE_BYTES, as_of_read, line_answer, lines_read
from tests.signal_strings import AS_OF, tcf_string


def answer(asked: object) -> dict[str, object]:
    line = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    found: dict[str, object] = json.loads(line_answer(line, AS_OF))
    return found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"id": 1, "kind": "usp", "string": "1YN"}, {"id": 1, "valid": False, "error": "bad_usp"}),
        ({"id": "a", "kind": "usp"}, {"id": "a", "valid": False, "error": "bad_usp"}),
        ({"id": "a", "kind": "gpp", "string": None}, {"id": "a", "valid": False, "error": "empty"}),
        ({"id": 2**70, "kind": "gpp", "string": 7}, {"id": 2**70, "valid": False, "error": "not_text"}),
        ({"kind": "tcf"}, {"id": None, "valid": False, "error": "illegal_character_or_empty", "usable": False}),
        (
            {"id": 1, "kind": "tcf", "string": tcf_string(), "as_of": "soon"},
            {"id": 1, "valid": False, "error": "bad_as_of", "usable": False},
        ),
    ],
)
def test_a_signal_that_cannot_be_read(asked: object, expected: dict[str, object]) -> None:
    assert answer(asked) == expected


@pytest.mark.parametrize(
    ("asked", "identity", "code"),
    [
        (b"{", None, "bad_json"),
        (b"\xff", None, "bad_json"),
        (b'{"id": "\\ud800"}', None, "bad_json"),
        (b'{"id": NaN}', None, "bad_json"),
        (b"[" * 100_000, None, "bad_json"),
        ([], None, "bad_line"),
        ("tcf", None, "bad_line"),
        ({"id": {"a": 1}, "kind": "tcf"}, None, "bad_line"),
        ({"id": 5}, 5, "unknown_kind"),
        ({"id": 5, "kind": "TCF"}, 5, "unknown_kind"),
        ({"id": 5, "kind": ["tcf"]}, 5, "unknown_kind"),
    ],
)
def test_a_line_that_asks_nothing(asked: object, identity: object, code: str) -> None:
    found = answer(asked)
    assert found.pop("message")
    assert found == {"id": identity, "valid": False, "error": code}


@pytest.mark.parametrize(
    ("asked", "is_on"),
    [
        ({"headers": ["0", "1"]}, True),
        ({"headers": []}, False),
        ({"headers": "1"}, True),
        ({"wsgi_value": "0,1"}, True),
        ({"value": "1"}, True),
        ({"value": True}, True),
        ({"string": "1"}, True),
        ({"headers": ["0"], "value": "0", "string": "0"}, False),
        ({"headers": {"Sec-GPC": "1"}}, False),
        ({}, False),
    ],
)
def test_gpc(asked: dict[str, object], is_on: bool) -> None:
    assert answer({"id": 1, "kind": "gpc", **asked})["gpc"] is is_on


def test_the_moment_of_a_line_decides() -> None:
    asked = {"id": 1, "kind": "tcf", "string": tcf_string(created=dt.date(2025, 9, 1))}
    assert answer(asked)["usable"] is False
    assert answer({**asked, "as_of": "2026-10-01"})["usable"] is True
    assert answer({**asked, "as_of": "2026-10-01T23:00:00-05:00"})["usable"] is False


@pytest.mark.parametrize("text", ["nope", "2026-13-01", "9999-12-31T23:59:59-14:00", 20261123, ["2026-11-23"]])
def test_no_moment(text: object) -> None:
    with pytest.raises(SignalError) as error:
        as_of_read(text, AS_OF)
    assert error.value.code == "bad_as_of"


def test_lines_of_any_length() -> None:
    long = b"x" * (3 * MAX_LINE_BYTES + 5)
    just = b"y" * (MAX_LINE_BYTES - 1)
    found = list(lines_read(io.BytesIO(b"a\n\n  \n" + long + b"\nb\r\n" + just + b"\nc")))
    assert found == [b"a\n", None, b"b\r\n", just + b"\n", b"c"]
    assert json.loads(line_answer(None, AS_OF))["error"] == "line_too_long"
    assert list(lines_read(io.BytesIO(long))) == [None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["id", "kind", "string", "as_of", "headers", "value", "wsgi_value"]


@given(
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from(["tcf", "gpp", "usp", "gpc"])).map(
        lambda asked: json.dumps(asked).encode()
    )
)
def test_one_line_of_json_for_any_line(line: bytes) -> None:
    found = line_answer(line, AS_OF)
    assert found.count(b"\n") == 1
    assert json.loads(found).keys() >= {"id"}
