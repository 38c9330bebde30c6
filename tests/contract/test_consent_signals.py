"""Every vector of golden/vectors/consent.json, through the door and through the command's lines."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cdp.consent.signals.decode import gpc_decode, signal_decode, signal_refused
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.lines import as_of_read, line_answer

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "vectors" / "consent.json").read_text(encoding="utf-8")
)
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def answer_of(vector: dict[str, Any]) -> Any:
    try:
        if vector["kind"] == "gpc":
            found = gpc_decode(vector["headers"])
        else:
            found = signal_decode(vector["kind"], vector["string"], as_of_read(vector.get("as_of"), NOW))
    except SignalError as error:
        found = signal_refused(vector["kind"], error)
    return json.loads(msgspec.json.encode(found))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vector(vector: dict[str, Any]) -> None:
    assert answer_of(vector) == vector["expected"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vector_as_a_line(vector: dict[str, Any]) -> None:
    asked = {key: value for key, value in vector.items() if key not in {"expected", "strictness", "source", "note"}}
    line = line_answer(json.dumps(asked).encode(), NOW)
    assert line.endswith(b"\n")
    assert json.loads(line) == {"id": vector["id"], **vector["expected"]}


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["kind"] == "gpc"], ids=lambda vector: vector["id"])
def test_joined_headers_say_the_same(vector: dict[str, Any]) -> None:
    assert json.loads(msgspec.json.encode(gpc_decode([vector["wsgi_value"]]))) == vector["expected"]
