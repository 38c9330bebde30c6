"""What an e-commerce call says about an order: which one, what happened, how much.

Names and fields are Segment's e-commerce spec v2 (https://segment.com/docs/connections/spec/ecommerce/v2/). ``total`` of a
refund is what was paid back; without it the whole order was.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from cdp.core.errors import RejectedError
from cdp.core.ids import IdentifierNo
from cdp.events.records import NewOrder

type Change = Literal["completed", "updated", "refunded", "cancelled"]

CHANGES: dict[str, Change] = {
    "Order Completed": "completed",
    "Completed Order": "completed",
    "Order Updated": "updated",
    "Order Refunded": "refunded",
    "Order Cancelled": "cancelled",
}
AMOUNT_FIELDS = ("revenue", "total", "value")
CENT_PARTS = Decimal("0.0001")
AMOUNT_LIMIT = Decimal(10) ** 14
INSTANT = dt.timedelta(microseconds=1)
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Money:
    """What a call's properties say of order and money; None where they say nothing that can be read."""

    order_id: str | None
    amount: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class OrderFact:
    """One statement about one order."""

    source_no: int
    order_id: str
    change: Change
    amount: Decimal | None
    currency: str
    items: int | None
    occurred_at: dt.datetime
    identifier_no: IdentifierNo


def amount_read(value: object) -> Decimal | None:
    """A non-negative amount with four decimals, from a number or a plain decimal text; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value).strip())
        if not amount.is_finite() or not 0 <= amount < AMOUNT_LIMIT:
            return None
        return amount.quantize(CENT_PARTS)
    except InvalidOperation:
        return None


def money_read(properties: Mapping[str, Any]) -> Money:
    """Order id, amount (revenue, else total, else value) and currency of any track call."""
    order_id = properties.get("order_id", properties.get("orderId"))
    if isinstance(order_id, int) and not isinstance(order_id, bool):
        order_id = str(order_id)
    currency = properties.get("currency")
    code = currency.strip().upper() if isinstance(currency, str) else ""
    return Money(
        order_id=order_id.strip()[:200] or None if isinstance(order_id, str) else None,
        amount=next((a for a in (amount_read(properties.get(f)) for f in AMOUNT_FIELDS) if a is not None), None),
        currency=code if _CURRENCY.fullmatch(code) else None,
    )


def items_read(properties: Mapping[str, Any]) -> int | None:
    """How many pieces: the quantities of ``products`` (1 where none stands), else ``quantity``."""
    products = properties.get("products")
    if isinstance(products, list) and products:
        counts = [p.get("quantity", 1) if isinstance(p, dict) else 1 for p in products]
        pieces: object = sum(c if isinstance(c, int) and not isinstance(c, bool) and c > 0 else 1 for c in counts)
    else:
        pieces = properties.get("quantity")
    return pieces if isinstance(pieces, int) and not isinstance(pieces, bool) and 0 <= pieces < 2**31 else None


def order_fact_read(
    name: str,
    properties: Mapping[str, Any],
    money: Money,
    *,
    source_no: int,
    identifier_no: IdentifierNo,
    occurred_at: dt.datetime,
    default_currency: str,
) -> OrderFact | None:
    """The statement in a track call whose ``money`` was read before; None for other events.

    Raises RejectedError naming what an order needs and lacks.
    """
    change = CHANGES.get(name)
    if change is None:
        return None
    if money.order_id is None:
        raise RejectedError(f"{name} needs order_id.", code="required", field="properties.order_id")
    amount = money.amount
    if change == "refunded":
        amount = amount_read(properties["total"]) if properties.get("total") is not None else None
        if amount is None and properties.get("total") is not None:
            raise RejectedError("total must be an amount of 0 or more.", code="amount", field="properties.total")
    elif change in {"completed", "updated"} and amount is None:
        raise RejectedError(
            f"{name} needs revenue, total or value: an amount of 0 or more.", code="amount", field="properties.revenue"
        )
    return OrderFact(
        source_no=source_no,
        order_id=money.order_id,
        change=change,
        amount=amount,
        currency=money.currency or default_currency,
        items=items_read(properties),
        occurred_at=occurred_at,
        identifier_no=identifier_no,
    )


def order_state_next(state: NewOrder | None, fact: OrderFact) -> NewOrder:
    """The order after ``fact``. A part refund takes its amount off what the order was worth, whenever it arrives.

    Raises RejectedError ``order_unknown`` for a part refund of an order that nobody told us of.
    """
    if fact.change != "refunded":
        is_gone = fact.change == "cancelled"
        amount = Decimal(0) if is_gone else fact.amount or Decimal(0)
        status = "cancelled" if is_gone else "completed"
        return _stated(fact, amount, status, ordered_at=state.ordered_at if state and is_gone else fact.occurred_at)
    if fact.amount is None:
        return _stated(fact, Decimal(0), "refunded", ordered_at=state.ordered_at if state else fact.occurred_at)
    if state is None:
        raise RejectedError(
            "This order is not known, so nothing was taken off.", code="order_unknown", field="order_id"
        )
    left = max(Decimal(0), state.amount - fact.amount)
    return replace(
        state,
        amount=left,
        status=state.status if left else "refunded",
        updated_at=max(fact.occurred_at, state.updated_at + INSTANT),
    )


def _stated(fact: OrderFact, amount: Decimal, status: str, *, ordered_at: dt.datetime) -> NewOrder:
    return NewOrder(
        source_no=fact.source_no,
        order_id=fact.order_id,
        identifier_no=fact.identifier_no,
        ordered_at=ordered_at,
        amount=amount,
        currency=fact.currency,
        items=fact.items,
        status=status,
        updated_at=fact.occurred_at,
    )
