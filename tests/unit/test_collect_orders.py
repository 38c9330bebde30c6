"""Orders out of e-commerce calls."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.collect.order_facts import OrderFact, amount_read, items_read, money_read, order_fact_read, order_state_next
from cdp.core.errors import RejectedError
from cdp.core.ids import IdentifierNo
from cdp.core.time import UTC
from cdp.events.records import NewOrder

DAY = dt.datetime(2026, 11, 1, tzinfo=UTC)


def fact(change: str = "completed", amount: str | None = "100", days: int = 0) -> OrderFact:
    worth = None if amount is None else Decimal(amount)
    return OrderFact(1, "o-1", change, worth, "EUR", 2, DAY + dt.timedelta(days=days), IdentifierNo(7))  # type: ignore[arg-type]


def read(name: str, **properties: Any) -> OrderFact | None:
    return order_fact_read(
        name,
        properties,
        money_read(properties),
        source_no=1,
        identifier_no=IdentifierNo(7),
        occurred_at=DAY,
        default_currency="USD",
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [(12, "12.0000"), ("12.30", "12.3000"), (0.1, "0.1000"), (0, "0.0000"), (1e13, "10000000000000.0000")],
)
def test_amounts(value: object, expected: str) -> None:
    assert str(amount_read(value)) == expected


@pytest.mark.parametrize("value", [None, True, "", "12,30", -1, "NaN", "inf", 1e14, [], {}, "1e999999999"])
def test_what_is_no_amount(value: object) -> None:
    assert amount_read(value) is None


@given(
    st.dictionaries(
        st.sampled_from(["order_id", "orderId", "revenue", "total", "value", "currency", "products", "quantity"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    )
)
def test_any_properties_can_be_read(properties: dict[str, Any]) -> None:
    money = money_read(properties)
    assert money.amount is None or 0 <= money.amount < 10**14
    assert items_read(properties) is None or items_read(properties) >= 0  # type: ignore[operator]


def test_completed_order() -> None:
    found = read(
        "Order Completed", order_id=5, total=20, revenue="18.5", currency="eur", products=[{"quantity": 2}, {}]
    )
    assert found is not None
    assert (found.order_id, found.amount, found.currency, found.items) == ("5", Decimal("18.5000"), "EUR", 3)
    assert read("Product Viewed", order_id=5) is None


@pytest.mark.parametrize(
    ("name", "properties", "field"),
    [
        ("Order Completed", {"revenue": 5}, "properties.order_id"),
        ("Order Completed", {"order_id": "o"}, "properties.revenue"),
        ("Order Updated", {"order_id": "o", "total": "x"}, "properties.revenue"),
        ("Order Refunded", {"order_id": "o", "total": "x"}, "properties.total"),
    ],
)
def test_what_an_order_needs(name: str, properties: dict[str, Any], field: str) -> None:
    with pytest.raises(RejectedError) as caught:
        read(name, **properties)
    assert caught.value.field == field


def state_after(*facts: OrderFact) -> NewOrder:
    state: NewOrder | None = None
    for each in facts:
        state = order_state_next(state, each)
    assert state is not None
    return state


def test_part_refunds_add_up_and_the_last_one_closes() -> None:
    part = state_after(fact(), fact("refunded", "30", 1))
    assert (part.amount, part.status) == (Decimal(70), "completed")
    rest = state_after(fact(), fact("refunded", "30", 1), fact("refunded", "80", 2))
    assert (rest.amount, rest.status) == (Decimal(0), "refunded")


def test_full_refund_and_cancellation_keep_the_day_of_the_order() -> None:
    refunded = state_after(fact(), fact("refunded", None, 3))
    assert (refunded.amount, refunded.status, refunded.ordered_at) == (Decimal(0), "refunded", DAY)
    cancelled = state_after(fact(), fact("cancelled", None, 3))
    assert (cancelled.amount, cancelled.status, cancelled.ordered_at) == (Decimal(0), "cancelled", DAY)


def test_a_part_refund_that_comes_late_still_counts() -> None:
    updated = state_after(fact(), fact("updated", "120", 5), fact("refunded", "20", 1))
    assert updated.amount == Decimal(100)
    assert updated.updated_at > DAY + dt.timedelta(days=5)


def test_a_part_refund_of_an_unknown_order_is_refused() -> None:
    with pytest.raises(RejectedError, match="not known"):
        order_state_next(None, fact("refunded", "5"))
