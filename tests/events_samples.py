"""Factories of the event store tests, and the store in plain Python that its answers are compared with."""

import dataclasses
import datetime as dt
import json
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.core.time import UTC
from cdp.events.reader import events_open
from cdp.events.records import NewEvent, NewOrder

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NAMES = ("Product Viewed", "Product Added", "Order Completed", 'a "quoted", name\nof two lines', "")


def event_make(number: int = 1, **overrides: Any) -> NewEvent:
    values: dict[str, Any] = {
        "source_no": 1,
        "message_id": f"m-{number}",
        "kind": "track",
        "name": "Product Viewed",
        "occurred_at": NOW - dt.timedelta(minutes=number % 1000),
        "received_at": NOW,
        "identifier_no": IdentifierNo(number),
        "profile_no": ProfileNo(number),
        "properties": b'{"category":"shoes","quantity":2}',
    } | overrides
    return NewEvent(**values)


def events_random(rng: random.Random, count: int, *, now: dt.datetime = NOW, people: int = 40) -> list[NewEvent]:
    """Events of the last four months, some of them orders, with unruly texts."""
    rows = []
    for _ in range(count):
        person = rng.randrange(1, people + 1)
        properties = {
            "category": rng.choice(["shoes", "hats", None, 'tab\there "and" there', "naïve ☂"]),
            "quantity": rng.choice([1, 2, -3, None, 250]),
            "extra": {"deep": [rng.random()]},
        }
        is_order = rng.random() < 0.3
        rows.append(
            event_make(
                rng.getrandbits(40),
                source_no=rng.randrange(1, 4),
                name=rng.choice(NAMES),
                occurred_at=now - dt.timedelta(seconds=rng.randrange(120 * 86_400), microseconds=rng.randrange(10**6)),
                received_at=now - dt.timedelta(seconds=rng.randrange(3 * 86_400)),
                identifier_no=IdentifierNo(person * 10 + rng.randrange(3)),
                profile_no=ProfileNo(person),
                order_id=f"o-{rng.randrange(10**6)}" if is_order else None,
                amount=Decimal(rng.randrange(-50_000, 10**7)).scaleb(-2) if is_order else None,
                currency="EUR" if is_order else None,
                properties=json.dumps(properties, ensure_ascii=rng.random() < 0.5).encode(),
            )
        )
    return rows


def order_make(**overrides: Any) -> NewOrder:
    values: dict[str, Any] = {
        "source_no": 1,
        "order_id": "o-1",
        "identifier_no": IdentifierNo(1),
        "ordered_at": NOW,
        "amount": Decimal("10.0000"),
        "currency": "EUR",
        "items": 1,
        "status": "completed",
        "updated_at": NOW,
    } | overrides
    return NewOrder(**values)


def relation_read(sql: str = "SELECT * FROM events ORDER BY event_no", **limits: Any) -> pa.Table:
    """The answer of a query over everything that the reader sees now."""
    with events_open(**limits) as snapshot, duckdb.connect() as duck:
        snapshot.register(duck)
        return duck.sql(sql).to_arrow_table()


def numbers_read() -> list[int]:
    """Every event number that the reader sees, ascending, doubles included."""
    numbers: list[int] = relation_read("SELECT event_no FROM events ORDER BY 1")["event_no"].to_pylist()
    return numbers


@dataclasses.dataclass
class PlainStore:
    """What the event store must answer: a dictionary, and corrections applied when asked."""

    rows: dict[int, NewEvent] = dataclasses.field(default_factory=dict)
    overlay: dict[int, int] = dataclasses.field(default_factory=dict)
    erased: set[int] = dataclasses.field(default_factory=set)

    def append(self, numbers: Sequence[int], rows: Sequence[NewEvent]) -> None:
        assert not self.rows.keys() & set(numbers)
        self.rows |= dict(zip(numbers, rows, strict=True))

    def answer(self) -> list[dict[str, Any]]:
        """Rows as ``relation_read`` gives them, typed columns ``p_category`` and ``p_quantity`` included."""
        return [self._row(number, row) for number, row in sorted(self.rows.items()) if not self._is_erased(row)]

    def _is_erased(self, row: NewEvent) -> bool:
        return row.identifier_no in self.erased

    def _row(self, number: int, row: NewEvent) -> dict[str, Any]:
        properties = json.loads(row.properties)
        quantity = properties.get("quantity")
        return {
            "event_no": number,
            "source_no": row.source_no,
            "kind": row.kind,
            "name": row.name,
            "occurred_at": row.occurred_at.replace(tzinfo=None),
            "received_at": row.received_at.replace(tzinfo=None),
            "identifier_no": row.identifier_no,
            "profile_no": self.overlay.get(row.identifier_no, row.profile_no),
            "order_id": row.order_id,
            "amount": row.amount,
            "currency": row.currency,
            "message_id": row.message_id,
            "p_category": properties.get("category"),
            "p_quantity": None if quantity is None else Decimal(quantity),
            "properties": row.properties.decode(),
        }
