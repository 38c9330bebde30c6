"""One tracking call: what a client may send, what is refused and why, and the form that waits in the inbox.

The spec is Segment's (https://segment.com/docs/connections/spec/), which RudderStack shares; where the two differ both are taken:
``timestamp`` or ``originalTimestamp``, traits at the top or in ``context.traits``, numbers as ids.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cdp.collect.bodies import Envelope
from cdp.collect.times import moment_or_none, occurred_at_resolve
from cdp.core.errors import Problem, RejectedError
from cdp.core.normalise import text_normalise, value_is_blocked

KINDS = frozenset({"track", "identify", "page", "screen", "group", "alias"})
MAX_ITEM_BYTES = 32 * 1024
MAX_NAME_CHARS = 200
MAX_DEPTH = 32
_PATH_IN_ERROR = re.compile(r"at `\$\.?([^`\[]*)")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class _Item(msgspec.Struct):
    """A call as sent. ``Any`` where clients disagree; checked below."""

    type: str = ""
    messageId: str | int | None = None
    userId: str | int | float | None = None
    anonymousId: str | int | float | None = None
    previousId: str | int | float | None = None
    groupId: str | int | float | None = None
    event: str | None = None
    name: str | None = None
    timestamp: Any = None
    originalTimestamp: Any = None
    sentAt: Any = None
    properties: Any = None
    traits: Any = None
    context: Any = None


class Message(msgspec.Struct, rename="camel", omit_defaults=True):
    """A checked call, the payload of an inbox row. ``timestamp`` is when it happened, corrected for the sender's clock."""

    type: str
    message_id: str
    timestamp: dt.datetime
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    group_id: str | None = None
    name: str = ""
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    context: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A call for the inbox."""

    message_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """One thing wrong with one call. ``is_kept`` tells that the rest of the call was taken."""

    index: int
    message_id: str
    problem: Problem
    sample: bytes
    is_kept: bool = False


_item_decoder = msgspec.json.Decoder(_Item)
_message_encoder = msgspec.json.Encoder()
_message_decoder = msgspec.json.Decoder(Message)


def message_read(payload: bytes) -> Message:
    """An inbox payload as the message it was."""
    return _message_decoder.decode(payload)


def call_check(
    fields: dict[str, Any], *, received_at: dt.datetime, notes: list[Problem], is_somebody: bool = False
) -> Message:
    """One call out of a dict with a client's field names, as from a file. Raises RejectedError; ``notes`` gets what was left out.

    ``is_somebody``: other identifiers (an address, a device) say who it is, so neither userId nor anonymousId is needed.
    """
    try:
        item = msgspec.convert(fields, _Item)
    except msgspec.ValidationError as error:
        raise _type_error(error) from error
    return _checked(item, _message_id(item), None, None, None, received_at, notes, is_somebody=is_somebody)


def items_check(
    envelope: Envelope, *, kind: str | None, sent_at_header: str | None, received_at: dt.datetime
) -> tuple[list[Accepted], list[Refused]]:
    """Check every item on its own; ``kind`` is what a single call's address says. Never raises for bad input."""
    accepted: list[Accepted] = []
    refused: list[Refused] = []
    sent_at = envelope.sent_at if envelope.sent_at is not None else sent_at_header
    for index, raw in enumerate(envelope.items):
        notes: list[Problem] = []
        message_id = ""
        try:
            item = _decoded(raw)
            message_id = _message_id(item)
            message = _checked(item, message_id, kind, envelope.context, sent_at, received_at, notes)
            accepted.append(Accepted(message_id, _encoded(message)))
        except RejectedError as error:
            problem = Problem(error.field, error.code, error.message)
            refused.append(Refused(index, message_id, problem, raw))
        else:
            for note in notes:
                refused.append(Refused(index, message_id, note, raw, is_kept=True))
    return accepted, refused


def _decoded(raw: bytes) -> _Item:
    if len(raw) > MAX_ITEM_BYTES:
        raise RejectedError(f"A call holds at most {MAX_ITEM_BYTES // 1024} KB.", code="too_large")
    try:
        item = _item_decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _type_error(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RejectedError("The call is not JSON in UTF-8, or nests too deeply.", code="json") from error
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and not _is_flat((item.properties, item.traits, item.context)):
        raise RejectedError(f"The call nests deeper than {MAX_DEPTH} levels; flatten it.", code="depth")
    return item


def _is_flat(values: Sequence[object]) -> bool:
    """Whether nothing in ``values`` nests deeper than ``MAX_DEPTH`` levels."""
    level: list[object] = list(values)
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        if not inner:
            return True
        level = inner
    return False


def _type_error(error: msgspec.ValidationError) -> RejectedError:
    found = _PATH_IN_ERROR.search(str(error))
    field = found[1].rstrip(".") if found else ""
    return RejectedError(
        f"{field or 'The call'} has a type that is not allowed there, or a number out of range.",
        code="type",
        field=field,
    )


def _encoded(message: Message) -> bytes:
    payload = _message_encoder.encode(message)
    if b"\\u0000" in payload and _NUL.search(payload):
        raise RejectedError("The character U+0000 cannot be stored; remove it.", code="characters")
    return payload


def _message_id(item: _Item) -> str:
    """The sender's id; without one, a digest of the call, so that sending it again has no second effect."""
    if item.messageId is None or item.messageId == "":
        item.messageId = None
        sent_at, item.sentAt = item.sentAt, None
        digest = hashlib.sha256(_message_encoder.encode(item)).hexdigest()
        item.sentAt = sent_at
        return f"sha256-{digest}"
    return text_normalise(item.messageId, field="messageId")


def _id(value: object, field: str, notes: list[Problem]) -> str | None:
    """An id as text. Placeholders ("undefined" …) are left out with a note: they would join strangers."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    text = text_normalise(value, field=field)
    if value_is_blocked(text):
        notes.append(
            Problem(
                field,
                "blocked",
                f"{field} holds a placeholder that is never a person; leave it out when there is none.",
            )
        )
        return None
    return text


def _object(value: object, field: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if value is None or value == []:  # PHP writes an empty object as []
        return {}
    raise RejectedError(f"{field} must be an object.", code="type", field=field)


def _name(item: _Item, kind: str, properties: dict[str, Any]) -> str:
    name = item.event if kind == "track" else item.name
    if kind in {"page", "screen"} and not name and isinstance(properties.get("name"), str):
        name = properties["name"]
    name = (name or "").strip()
    if kind == "track" and not name:
        raise RejectedError("A track call names its event.", code="required", field="event")
    if len(name) > MAX_NAME_CHARS:
        field = "event" if kind == "track" else "name"
        raise RejectedError(f"{field} is longer than {MAX_NAME_CHARS} characters.", code="length", field=field)
    return name if kind in {"track", "page", "screen"} else ""


def _kind(item: _Item, kind: str | None) -> str:
    found = kind or item.type.strip().lower()
    if found not in KINDS:
        raise RejectedError(f"type must be one of {', '.join(sorted(KINDS))}.", code="type", field="type")
    return found


def _checked(
    item: _Item,
    message_id: str,
    kind: str | None,
    shared_context: dict[str, Any] | None,
    shared_sent_at: object,
    received_at: dt.datetime,
    notes: list[Problem],
    *,
    is_somebody: bool = False,
) -> Message:
    kind = _kind(item, kind)
    context = _object(item.context, "context") or shared_context or {}
    properties, traits = _object(item.properties, "properties"), _object(item.traits, "traits")
    user_id, anonymous_id = _id(item.userId, "userId", notes), _id(item.anonymousId, "anonymousId", notes)
    previous_id, group_id = _id(item.previousId, "previousId", notes), _id(item.groupId, "groupId", notes)
    if user_id is None and anonymous_id is None and not is_somebody:
        raise _nobody(notes)
    if kind == "alias" and previous_id is None:
        raise RejectedError("An alias call names the earlier id.", code="required", field="previousId")
    if kind == "alias" and user_id is None:
        raise RejectedError("An alias call names the new id.", code="required", field="userId")
    if kind == "group" and group_id is None:
        raise RejectedError("A group call names its group.", code="required", field="groupId")
    sent_at = moment_or_none(item.sentAt if item.sentAt is not None else shared_sent_at)
    timestamp = item.timestamp if item.timestamp is not None else item.originalTimestamp
    return Message(
        type=kind,
        message_id=message_id,
        timestamp=occurred_at_resolve(timestamp, sent_at, received_at),
        user_id=user_id,
        anonymous_id=anonymous_id,
        previous_id=previous_id,
        group_id=group_id,
        name=_name(item, kind, properties),
        properties=properties,
        traits=traits,
        context=context,
    )


def _nobody(notes: Sequence[Problem]) -> RejectedError:
    if notes:
        return RejectedError(notes[0].message, code="blocked", field=notes[0].field)
    return RejectedError("Send userId or anonymousId, or nobody can be found.", code="required", field="userId")
