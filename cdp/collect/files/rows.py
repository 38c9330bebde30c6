"""From a row to what it says: calls about people, orders and events, or consents.

Every call gets an id that is the same whenever the row comes again, so that a repeated file changes nothing: the file's own
id where it has one, else a digest of the row and how often that row has come before.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cdp.collect.consent_marks import purpose_find
from cdp.collect.files.cells import amount_cell, count_cell, moment_cell, plain_cell, text_cell
from cdp.collect.files.entries import ACTIONS, ORDER_STATUS, STATUS_EVENTS, ConsentLine, Entry
from cdp.collect.files.mapping import IDENTIFIERS, ColumnMapping
from cdp.collect.files.reading import Row
from cdp.collect.messages import Message, call_check
from cdp.core.errors import Problem, RejectedError


@dataclass(slots=True)
class RowReader:
    """Reads the rows of one file in order; remembers how often equal rows came, where the file has no ids of its own."""

    mapping: ColumnMapping
    stated_at: dt.datetime
    received_at: dt.datetime
    default_currency: str
    purposes: frozenset[str] = frozenset()
    seen: Counter[bytes] = field(default_factory=Counter)
    numbers: dict[int, int] = field(default_factory=dict)

    def settle(self) -> None:
        """The rows read so far are stored; until then reading one again gives it the same number."""
        self.numbers.clear()

    def skip(self, row: Row) -> None:
        """Pass over a row that an earlier run has stored, so that later equal rows keep their number."""
        if not row.fault and self._is_numbered():
            self.seen[_digest(row.cells)] += 1

    def read(self, row: Row) -> Entry:
        """What the row says. Raises RejectedError naming the field and the fix."""
        if row.fault:
            raise RejectedError(row.fault[0].upper() + row.fault[1:] + ".", code="line")
        if any(isinstance(cell, str) and "\x00" in cell for cell in row.cells):
            raise RejectedError("The character U+0000 cannot be stored; remove it.", code="characters")
        match self.mapping.kind:
            case "profiles":
                return self._profile(row)
            case "orders":
                return self._order(row)
            case "events":
                return self._event(row)
            case "consents":
                return self._consent(row)

    def _is_numbered(self) -> bool:
        own_id = {"orders": "order_id", "events": "message_id"}.get(self.mapping.kind)
        return own_id is not None and own_id not in self.mapping.fields

    def _cell(self, row: Row, name: str) -> object:
        position = self.mapping.fields.get(name)
        return None if position is None else row.cells[position]

    def _text(self, row: Row, name: str) -> str:
        return text_cell(self._cell(row, name))

    def _moment(self, row: Row, name: str) -> dt.datetime:
        return moment_cell(self._cell(row, name), name, self.mapping.date_format)

    def _identifiers(self, row: Row) -> dict[str, str]:
        found = {name: text for name in IDENTIFIERS if (text := self._text(row, name))}
        if not found:
            wanted = [name for name in IDENTIFIERS if name in self.mapping.fields]
            raise RejectedError(
                f"The row names nobody: {', '.join(wanted)} is empty.", code="required", field=wanted[0]
            )
        return found

    def _numbered_id(self, row: Row) -> str:
        """An id out of the row and its number among equal rows: two equal purchases stay two."""
        digest = _digest(row.cells)
        if row.line not in self.numbers:
            self.seen[digest] += 1
            self.numbers[row.line] = self.seen[digest]
        return f"row-{digest.hex()}-{self.numbers[row.line]}"

    def _profile(self, row: Row) -> Entry:
        identifiers = self._identifiers(row)
        traits = {
            key: value
            for key, position in self.mapping.traits.items()
            if (value := plain_cell(row.cells[position])) is not None
        }
        if (signed_up := self._text(row, "signed_up_at")) != "":
            traits["signed_up_at"] = moment_cell(signed_up, "signed_up_at", self.mapping.date_format).isoformat()
        stated_at, stamp = self.stated_at, ""
        if self._text(row, "updated_at"):
            stated_at = self._moment(row, "updated_at")
            stamp = stated_at.isoformat()
        digest = _digest([*sorted(identifiers.items()), *sorted(traits.items(), key=lambda pair: pair[0]), stamp])
        return Entry(
            row.line, (_message("identify", f"profile-{digest.hex()}", stated_at, identifiers, traits=traits),)
        )

    def _order(self, row: Row) -> Entry:
        identifiers = self._identifiers(row)
        ordered_at = self._moment(row, "ordered_at")
        amount = amount_cell(self._cell(row, "amount"), "amount", decimal_comma=self.mapping.decimal_comma)
        properties: dict[str, Any] = {
            key: value
            for key, position in self.mapping.properties.items()
            if (value := plain_cell(row.cells[position])) is not None
        }
        order_id = self._text(row, "order_id") or self._numbered_id(row)
        status = self._status(row)
        properties |= {"order_id": order_id, "revenue": amount, "currency": self._currency(row)}
        if (items := count_cell(self._cell(row, "items"), "items")) is not None:
            properties["quantity"] = items
        updated_at = self._moment(row, "updated_at") if self._text(row, "updated_at") else None
        messages = [_message("track", f"order-{order_id}", ordered_at, identifiers, "Order Completed", properties)]
        if status in STATUS_EVENTS:
            changed = {"order_id": order_id, "currency": properties["currency"]}
            at = updated_at or ordered_at
            messages.append(
                _message("track", f"order-{order_id}-{status}", at, identifiers, STATUS_EVENTS[status], changed)
            )
        update = None
        if updated_at is not None and status == "completed":
            version = f"order-{order_id}-{updated_at.isoformat()}"
            update = _message("track", version, updated_at, identifiers, "Order Updated", properties)
        return Entry(row.line, tuple(messages), update)

    def _status(self, row: Row) -> str:
        text = self._text(row, "status").lower()
        if text not in ORDER_STATUS:
            raise RejectedError(
                "status must be completed, refunded or cancelled (or a usual word for one of them).",
                code="status",
                field="status",
            )
        return ORDER_STATUS[text]

    def _currency(self, row: Row) -> str:
        code = self._text(row, "currency").upper() or self.mapping.currency or self.default_currency
        if len(code) != 3 or not (code.isascii() and code.isalpha()):
            raise RejectedError(
                "currency must be a code of three letters, like USD.", code="currency", field="currency"
            )
        return code

    def _event(self, row: Row) -> Entry:
        identifiers = self._identifiers(row)
        properties = self._object(row, "properties") | {
            key: value
            for key, position in self.mapping.properties.items()
            if (value := plain_cell(row.cells[position])) is not None
        }
        context = self._object(row, "context")
        stamped = context.get("traits")
        told = {key: identifiers[key] for key in ("email", "phone") if key in identifiers}
        if told:
            context = context | {"traits": (stamped if isinstance(stamped, dict) else {}) | told}
        notes: list[Problem] = []
        message = call_check(
            {
                "type": self._text(row, "type").lower() or "track",
                "messageId": self._text(row, "message_id") or self._numbered_id(row),
                "userId": identifiers.get("user_id"),
                "anonymousId": identifiers.get("anonymous_id"),
                "previousId": self._text(row, "previous_id") or None,
                "groupId": self._text(row, "group_id") or None,
                "event": self._text(row, "event") or None,
                "name": self._text(row, "event") or None,
                "timestamp": self._moment(row, "occurred_at").isoformat(),
                "properties": properties,
                "traits": self._object(row, "traits"),
                "context": context | _context(identifiers),
            },
            received_at=self.received_at,
            notes=notes,
            is_somebody=True,
        )
        return Entry(row.line, (message,), notes=tuple(notes))

    def _object(self, row: Row, name: str) -> dict[str, Any]:
        value = self._cell(row, name)
        if value is None or value == "":
            return {}
        if not isinstance(value, dict):
            raise RejectedError(f"{name} must be an object.", code="type", field=name)
        return value

    def _consent(self, row: Row) -> Entry:
        identifiers = self._identifiers(row)
        purpose = purpose_find(self._text(row, "purpose"), self.purposes)
        if purpose is None:
            raise RejectedError(
                f"No purpose has this key. Known: {', '.join(sorted(self.purposes))}.",
                code="unknown_purpose",
                field="purpose",
            )
        action = ACTIONS.get(self._text(row, "action").lower().replace(" ", "_").replace("-", "_"))
        if action is None:
            raise RejectedError(
                "action must be granted, denied or withdrawn (or a usual word for one of them).",
                code="unknown_action",
                field="action",
            )
        occurred_at = self._moment(row, "occurred_at")
        if occurred_at > self.received_at + dt.timedelta(hours=24):
            raise RejectedError("occurred_at lies in the future.", code="timestamp", field="occurred_at")
        digest = _digest([*sorted(identifiers.items()), purpose, action, occurred_at.isoformat()]).hex()
        evidence: dict[str, object] = {name: text for name in ("url", "form") if (text := self._text(row, name))}
        return Entry(
            row.line,
            consent=ConsentLine(
                identifiers=tuple(identifiers.items()),
                purpose=purpose,
                action=action,
                occurred_at=occurred_at,
                method=self._text(row, "method") or "import",
                key=self._text(row, "record_id")[:200] or f"row-{digest}",
                notice_version=self._text(row, "notice_version"),
                locale=self._text(row, "locale"),
                jurisdiction=self._text(row, "jurisdiction"),
                evidence=evidence,
            ),
        )


def _digest(parts: Sequence[object]) -> bytes:
    """16 bytes of the parts as text; equal exactly when all are."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()[:16]


def _context(identifiers: dict[str, str]) -> dict[str, Any]:
    """Where ``absorbing.identifiers_of`` looks for what has no place at the top of a call."""
    context: dict[str, Any] = {}
    if "external_id" in identifiers:
        context["externalIds"] = [{"id": identifiers["external_id"]}]
    if "device_id" in identifiers:
        context["device"] = {"id": identifiers["device_id"]}
    return context


def _message(
    kind: str,
    message_id: str,
    at: dt.datetime,
    identifiers: dict[str, str],
    name: str = "",
    properties: dict[str, str | Decimal | int] | None = None,
    traits: dict[str, Any] | None = None,
) -> Message:
    """A call out of checked cells; identity checks the identifiers themselves."""
    context = _context(identifiers)
    told = {key: identifiers[key] for key in ("email", "phone") if key in identifiers}
    if told:
        context["traits"] = told
    return Message(
        type=kind,
        message_id=message_id,
        timestamp=at,
        user_id=identifiers.get("user_id"),
        anonymous_id=identifiers.get("anonymous_id"),
        name=name,
        properties=properties or {},
        traits=traits or {},
        context=context,
    )
