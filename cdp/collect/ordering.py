"""Statements about orders into the ledger that RFM and LTV read."""

from collections.abc import Sequence

from cdp.collect.order_facts import OrderFact, order_state_next
from cdp.core.errors import Problem, RejectedError
from cdp.core.ids import IdentifierNo
from cdp.events.models import Order
from cdp.events.records import NewOrder
from cdp.events.services import orders_upsert

type OrderKey = tuple[int, str]


def orders_apply(facts: Sequence[OrderFact]) -> tuple[int, list[tuple[int, Problem]]]:
    """Bring the ledger to what ``facts`` say, in the caller's transaction.

    Returns how many orders changed, and (position, problem) of those that could not be followed.
    """
    if not facts:
        return 0, []
    states = _states_of({(f.source_no, f.order_id) for f in facts if f.change in {"refunded", "cancelled"}})
    rows: list[NewOrder] = []
    problems: list[tuple[int, Problem]] = []
    for position, fact in sorted(enumerate(facts), key=lambda pair: pair[1].occurred_at):
        key = (fact.source_no, fact.order_id)
        try:
            row = order_state_next(states.get(key), fact)
        except RejectedError as error:
            problems.append((position, Problem(error.field, error.code, error.message)))
            continue
        rows.append(row)
        if key not in states or row.updated_at >= states[key].updated_at:
            states[key] = row
    return (orders_upsert(rows) if rows else 0), problems


def _states_of(keys: set[OrderKey]) -> dict[OrderKey, NewOrder]:
    """The stored orders with these keys, locked: a part refund counts from what stands there."""
    if not keys:
        return {}
    rows = (
        Order.objects.select_for_update()
        .filter(order_id__in={order_id for _, order_id in keys}, source_no__in={source_no for source_no, _ in keys})
        .order_by("order_no")
    )
    return {
        (row.source_no, row.order_id): NewOrder(
            source_no=row.source_no,
            order_id=row.order_id,
            identifier_no=IdentifierNo(row.identifier_no),
            ordered_at=row.ordered_at,
            amount=row.amount,
            currency=row.currency,
            items=row.items,
            status=row.status,
            updated_at=row.updated_at,
        )
        for row in rows
        if (row.source_no, row.order_id) in keys
    }
