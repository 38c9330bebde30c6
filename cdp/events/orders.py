"""The order ledger: one row an order, its latest state, whatever the order in which statements about it arrive."""

from collections.abc import Sequence

from cdp.events.cursors import server_cursor
from cdp.events.locks import ledger_write_lock
from cdp.events.records import NewOrder

__all__ = ["orders_upsert"]

# The later statement holds; equal times fall to the graver status, so the order of arrival never matters.
ORDERS_UPSERT = """
WITH ranked AS (
    SELECT *, array_position(ARRAY['completed', 'refunded', 'cancelled'], status) AS rank
    FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::timestamptz[], %s::numeric[], %s::text[], %s::int[],
                %s::text[], %s::timestamptz[])
        AS t (source_no, order_id, identifier_no, ordered_at, amount, currency, items, status, updated_at)
), latest AS (
    SELECT DISTINCT ON (source_no, order_id) *,
           min(ordered_at) OVER (PARTITION BY source_no, order_id) AS first_ordered_at
    FROM ranked ORDER BY source_no, order_id, updated_at DESC, rank DESC
)
INSERT INTO cdp_order AS o
    (source_no, order_id, identifier_no, ordered_at, amount, currency, items, status, updated_at)
SELECT source_no, order_id, identifier_no, first_ordered_at, amount, currency, items, status, updated_at FROM latest
ORDER BY source_no, order_id
ON CONFLICT (source_no, order_id) DO UPDATE SET
    ordered_at = least(o.ordered_at, excluded.ordered_at),
    (identifier_no, amount, currency, items, status, updated_at) = (
        SELECT w.identifier_no, w.amount, w.currency, w.items, w.status, w.updated_at FROM (VALUES
            (o.identifier_no, o.amount, o.currency, o.items, o.status, o.updated_at),
            (excluded.identifier_no, excluded.amount, excluded.currency, excluded.items, excluded.status,
             excluded.updated_at)
        ) AS w (identifier_no, amount, currency, items, status, updated_at)
        ORDER BY w.updated_at DESC, array_position(ARRAY['completed', 'refunded', 'cancelled'], w.status) DESC LIMIT 1
    )
WHERE excluded.ordered_at < o.ordered_at
   OR (excluded.updated_at, array_position(ARRAY['completed', 'refunded', 'cancelled'], excluded.status))
    > (o.updated_at, array_position(ARRAY['completed', 'refunded', 'cancelled'], o.status))
"""


def orders_upsert(rows: Sequence[NewOrder]) -> int:
    """Bring the order ledger to the latest statement about each order; returns how many orders changed.

    Any order of arrival, and any repetition, ends in the same state: the statement with the latest ``updated_at``
    holds, and ``ordered_at`` is the earliest ever stated. Needs a transaction.
    """
    if not rows:
        return 0
    ledger_write_lock()
    with server_cursor() as cursor:
        cursor.execute(
            ORDERS_UPSERT,
            [
                [r.source_no for r in rows],
                [r.order_id for r in rows],
                [r.identifier_no for r in rows],
                [r.ordered_at for r in rows],
                [r.amount for r in rows],
                [r.currency for r in rows],
                [r.items for r in rows],
                [r.status for r in rows],
                [r.updated_at for r in rows],
            ],
        )
        return cursor.rowcount
