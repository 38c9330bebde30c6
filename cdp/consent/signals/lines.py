"""Many signals at once: one JSON object a line goes in, one answer a line comes out, and a bad line spoils no other.

A line: ``{"id", "kind", "string", "as_of"}``; for GPC ``headers`` (a list), or ``wsgi_value``, ``value`` or ``string``.
"""

import datetime as dt
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from cdp.consent.signals.decode import KINDS, SignalKind, gpc_decode, signal_decode, signal_refused
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.values import Value, View
from cdp.core.time import parse_timestamp

# Room for a signal of full size with every character escaped.
MAX_LINE_BYTES = 1 << 20
GPC_KEYS = ("wsgi_value", "value", "string")


def lines_read(stream: BinaryIO) -> Iterator[bytes | None]:
    """Each line that is not blank; None for one that is longer than ``MAX_LINE_BYTES``, which is skipped to its end."""
    while line := stream.readline(MAX_LINE_BYTES):
        if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
            if line.strip():
                yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES)
        yield None


def line_answer(line: bytes | None, now: dt.datetime) -> bytes:
    """The answer as one line of JSON, with the id of the question (null when the line shows none). Never raises for any bytes.

    ``now`` (aware UTC) stands in for a missing ``as_of``.
    """
    answer: dict[str, Value | float] = {"id": None}
    kind: SignalKind | None = None
    try:
        asked = _asked(line)
        answer["id"] = _identity(asked)
        kind = _kind(asked)
        answer |= _answer(kind, asked, now)
    except SignalError as error:
        answer |= signal_refused(kind, error)
        if kind is None:
            answer["message"] = error.message  # the line is at fault, not a signal
    return msgspec.json.encode(answer) + b"\n"


def _asked(line: bytes | None) -> dict[str, object]:
    if line is None:
        raise SignalError("line_too_long", f"A line has at most {MAX_LINE_BYTES:,} bytes.")
    try:
        asked = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        raise SignalError("bad_json", "The line is not JSON in UTF-8.") from None
    if not isinstance(asked, dict):
        raise SignalError("bad_line", 'A line is an object such as {"id": 1, "kind": "tcf", "string": "…"}.')
    return asked


def _identity(asked: dict[str, object]) -> str | float | None:
    found = asked.get("id")
    if isinstance(found, str | int | float | None):
        return found
    raise SignalError("bad_line", "The id is a text or a number.")


def _kind(asked: dict[str, object]) -> SignalKind:
    for kind in KINDS:
        if asked.get("kind") == kind:
            return kind
    raise SignalError("unknown_kind", f"The kind is one of {', '.join(KINDS)}.")


def _answer(kind: SignalKind, asked: dict[str, object], now: dt.datetime) -> View:
    if kind == "gpc":
        headers = asked.get("headers")
        return gpc_decode(
            [*(headers if isinstance(headers, list) else [headers]), *(asked.get(key) for key in GPC_KEYS)]
        )
    text = asked.get("string")
    if text is None:
        text = ""  # a signal that is not there reads as an empty one
    if not isinstance(text, str):
        raise SignalError("not_text", "The string is a JSON string.")
    return signal_decode(kind, text, as_of_read(asked.get("as_of"), now))


def as_of_read(text: object, now: dt.datetime) -> dt.datetime:
    """A day or a time in ISO 8601 as aware UTC; ``now`` when there is none. Raises SignalError."""
    if text is None or text == "":
        return now
    if isinstance(text, str):
        try:
            return parse_timestamp(text)
        except (ValueError, OverflowError):
            pass
    raise SignalError("bad_as_of", "The moment is a day or a time such as 2026-11-23 or 2026-11-23T10:00:00Z.")
