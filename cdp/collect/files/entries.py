"""What a row can say, and the words that files use for it."""

import datetime as dt
from dataclasses import dataclass

from cdp.collect.messages import Message
from cdp.core.errors import Problem

ORDER_STATUS = {
    "completed": "completed", "complete": "completed", "paid": "completed", "fulfilled": "completed", "shipped": "completed",
    "delivered": "completed", "closed": "completed", "": "completed",
    "refunded": "refunded", "returned": "refunded",
    "cancelled": "cancelled", "canceled": "cancelled", "voided": "cancelled",
}  # fmt: skip
STATUS_EVENTS = {"refunded": "Order Refunded", "cancelled": "Order Cancelled"}
ACTIONS = {
    "granted": "granted", "grant": "granted", "yes": "granted", "true": "granted", "1": "granted", "accepted": "granted",
    "opt_in": "granted", "optin": "granted", "opted_in": "granted", "subscribed": "granted", "allowed": "granted",
    "denied": "denied", "deny": "denied", "no": "denied", "false": "denied", "0": "denied", "rejected": "denied",
    "declined": "denied", "opt_out": "denied", "optout": "denied", "opted_out": "denied",
    "withdrawn": "withdrawn", "revoked": "withdrawn", "unsubscribed": "withdrawn",
    "expired": "expired", "pending": "pending", "confirmed": "confirmed", "objected": "objected",
    "restricted": "restricted", "lifted": "lifted",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """One consent of a file, its person still unresolved."""

    identifiers: tuple[tuple[str, object], ...]
    purpose: str
    action: str
    occurred_at: dt.datetime
    method: str
    key: str
    notice_version: str
    locale: str
    jurisdiction: str
    evidence: dict[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that could be read. Its first message decides whether the row is new; ``update`` counts where that one is known."""

    line: int
    messages: tuple[Message, ...] = ()
    update: Message | None = None
    consent: ConsentLine | None = None
    notes: tuple[Problem, ...] = ()
