"""The rows that other slices hand to the event store, and what it answers."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cdp.core.errors import RejectedError
from cdp.core.ids import IdentifierNo, ProfileNo

__all__ = ["Claim", "InboxItem", "NewEvent", "NewOrder", "storable"]


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One tracking call as acknowledged. ``payload`` is its JSON, times already corrected for clock skew."""

    source_no: int
    message_id: str
    received_at: dt.datetime
    payload: bytes


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One event after identity resolution; ``properties`` is a JSON object as UTF-8 bytes."""

    source_no: int
    message_id: str
    kind: str
    name: str
    occurred_at: dt.datetime
    received_at: dt.datetime
    identifier_no: IdentifierNo
    profile_no: ProfileNo
    order_id: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    properties: bytes = b"{}"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """One statement about an order. Of two about the same order the one with the later ``updated_at`` holds."""

    source_no: int
    order_id: str
    identifier_no: IdentifierNo
    ordered_at: dt.datetime
    amount: Decimal
    currency: str
    items: int | None
    status: str
    updated_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """One outbox message on loan. ``fence`` proves at the end that the loan is still ours."""

    outbox_no: int
    topic: str
    payload: dict[str, Any]
    attempts: int
    fence: int


def storable(text: str, field: str) -> str:
    """``text``, which PostgreSQL can hold and Parquet too. Raises RejectedError otherwise."""
    try:
        if "\x00" not in text and (text.isascii() or text.encode()):
            return text
    except UnicodeEncodeError:
        pass
    raise RejectedError(f"{field} holds U+0000 or half a character; remove it", code="invalid_text", field=field)
