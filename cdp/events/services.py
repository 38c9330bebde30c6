"""How events, orders and corrections enter: in bulk, exactly once, inside the caller's transaction.

Plain COPY and single statements, since this is the path every event takes.
"""

import datetime as dt
from collections.abc import Sequence

from django.db import connection

from cdp.core.errors import RejectedError
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.core.time import UTC
from cdp.events.cursors import server_cursor
from cdp.events.files.compaction import store_compact
from cdp.events.files.erasure import identifiers_erased, store_rewrite_erased
from cdp.events.files.folding import store_fold_overlay, store_project_properties
from cdp.events.flush import events_flush
from cdp.events.inbox import inbox_accept, inbox_add, message_hash, messages_claim, messages_release
from cdp.events.locks import ledger_write_lock
from cdp.events.maintenance import store_upkeep
from cdp.events.models import Order
from cdp.events.orders import orders_upsert
from cdp.events.outbox import outbox_claim, outbox_finish, outbox_retry, outbox_write
from cdp.events.records import NewEvent, storable
from cdp.events.upkeep import partitions_upkeep, store_sweep

__all__ = [
    "events_append",
    "events_flush",
    "identifiers_erase",
    "identifiers_erased",
    "inbox_accept",
    "inbox_add",
    "message_hash",
    "messages_claim",
    "messages_release",
    "orders_upsert",
    "outbox_claim",
    "outbox_finish",
    "outbox_retry",
    "outbox_write",
    "overlay_write",
    "partitions_upkeep",
    "server_cursor",
    "store_compact",
    "store_fold_overlay",
    "store_project_properties",
    "store_rewrite_erased",
    "store_sweep",
    "store_upkeep",
]

ROWS_PER_TRANSACTION = 5_000
AMOUNT_LIMIT = 10**14

EVENT_COPY = """
COPY cdp_event (event_no, received_at, source_no, message_id, kind, name, occurred_at, identifier_no, profile_no,
                order_id, amount, currency, properties) FROM STDIN
"""


def events_append(rows: Sequence[NewEvent]) -> list[int]:
    """Store ``rows`` in the recent window, in the caller's transaction; returns their ``event_no`` in order.

    Deduplicate before (``messages_claim``, ``inbox_add``). Raises RejectedError, and stores nothing, for a row that the
    store cannot hold (U+0000 or lone surrogates, properties that are not UTF-8, an amount that is no number below 10^14),
    naming row and field, and for more than 5,000 rows.
    """
    if not rows:
        return []
    if len(rows) > ROWS_PER_TRANSACTION:
        raise RejectedError(f"append at most {ROWS_PER_TRANSACTION:,} events a transaction", code="too_many_rows")
    ledger_write_lock()
    with server_cursor() as cursor:
        cursor.execute(
            """
            SELECT array(SELECT nextval('cdp_event_no_seq') FROM generate_series(1, %s)),
                   array(SELECT cdp_event_partition_ensure(day)::text FROM unnest(%s::date[]) AS day)
            """,
            [len(rows), sorted({row.received_at.astimezone(UTC).date() for row in rows})],
        )
        (numbers, _) = cursor.fetchone() or ([], [])
        with cursor.copy(EVENT_COPY) as copy:
            for position, (number, row) in enumerate(zip(numbers, rows, strict=True)):
                copy.write_row(_event_row(number, row, position))
    return list(numbers)


def overlay_write(identifier_nos: Sequence[IdentifierNo], profile_no: ProfileNo) -> None:
    """From now on all events of these identifiers, however old, belong to ``profile_no``. Needs a transaction."""
    ledger_write_lock()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO cdp_identifieroverlay (identifier_no, profile_no, seq)
            SELECT identifier_no, %s, nextval('cdp_overlay_seq') FROM unnest(%s::bigint[]) AS t (identifier_no)
            ON CONFLICT (identifier_no) DO UPDATE SET profile_no = excluded.profile_no, seq = excluded.seq
            """,
            [profile_no, sorted(set(identifier_nos))],
        )


def identifiers_erase(identifier_nos: Sequence[IdentifierNo], now: dt.datetime) -> None:
    """Take every event and order of these identifiers out of sight now and out of PostgreSQL; the files follow.

    Readers honour the tombstones at once, ``store_rewrite_erased`` removes the rows from the files. Needs a
    transaction; safe to repeat. Calls that still wait in the inbox carry no identifier yet: identity refuses those.
    """
    ledger_write_lock()
    numbers = sorted(set(identifier_nos))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO cdp_erasedidentifier (identifier_no, seq, erased_at)
            SELECT identifier_no, nextval('cdp_erased_seq'), %s FROM unnest(%s::bigint[]) AS t (identifier_no)
            ON CONFLICT (identifier_no) DO NOTHING
            """,
            [now, numbers],
        )
        cursor.execute("DELETE FROM cdp_event WHERE identifier_no = ANY(%s)", [numbers])
        cursor.execute("DELETE FROM cdp_identifieroverlay WHERE identifier_no = ANY(%s)", [numbers])
    Order.objects.filter(identifier_no__in=numbers).delete()


def _event_row(number: int, row: NewEvent, position: int) -> tuple[object, ...]:
    place = f"events[{position}]"
    if row.amount is not None and not (row.amount.is_finite() and abs(row.amount) < AMOUNT_LIMIT):
        raise RejectedError(
            f"{place}.amount must be a number below 10^14", code="out_of_range", field=f"{place}.amount"
        )
    try:
        properties = row.properties.decode()
    except UnicodeDecodeError:
        raise RejectedError(
            f"{place}.properties must be UTF-8", code="invalid_text", field=f"{place}.properties"
        ) from None
    return (
        number,
        row.received_at,
        row.source_no,
        storable(row.message_id, f"{place}.message_id"),
        row.kind,
        storable(row.name, f"{place}.name"),
        row.occurred_at,
        row.identifier_no,
        row.profile_no,
        row.order_id and storable(row.order_id, f"{place}.order_id"),
        row.amount,
        row.currency,
        properties,
    )
