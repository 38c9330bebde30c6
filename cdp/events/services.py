"""How events, orders and corrections enter: in bulk, exactly once, inside the caller's transaction.

Plain COPY and single statements, since this is the path every event takes.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection

from cdp.core.errors import RejectedError
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.core.time import UTC
from cdp.events.files.compaction import store_compact
from cdp.events.files.correcting import (
    identifiers_erased,
    store_fold_overlay,
    store_project_properties,
    store_rewrite_erased,
)
from cdp.events.flush import events_flush
from cdp.events.locks import ledger_write_lock
from cdp.events.maintenance import store_upkeep
from cdp.events.models import Order
from cdp.events.outbox import outbox_claim, outbox_finish, outbox_retry, outbox_write
from cdp.events.records import InboxItem, NewEvent, NewOrder
from cdp.events.upkeep import partitions_upkeep, store_sweep

__all__ = [
    "events_append",
    "events_flush",
    "identifiers_erase",
    "identifiers_erased",
    "inbox_add",
    "message_hash",
    "messages_claim",
    "orders_upsert",
    "outbox_claim",
    "outbox_finish",
    "outbox_retry",
    "outbox_write",
    "overlay_write",
    "partitions_upkeep",
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

INBOX_ADD = """
WITH item AS (
    SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::text[], %s::timestamptz[], %s::bytea[], %s::int[])
        AS t (source_no, message_hash, message_id, received_at, payload, position)
), fresh AS (
    INSERT INTO cdp_messagekey (source_no, message_hash, day)
    SELECT source_no, message_hash, (received_at AT TIME ZONE 'UTC')::date FROM item
    ON CONFLICT DO NOTHING
    RETURNING source_no, message_hash
)
INSERT INTO cdp_inboxevent (source_no, message_id, received_at, payload)
SELECT source_no, message_id, received_at, payload FROM item JOIN fresh USING (source_no, message_hash)
ORDER BY position
"""

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


def message_hash(message_id: str) -> bytes:
    """16 bytes that stand for a message id in the deduplication keys."""
    return hashlib.sha256(message_id.encode()).digest()[:16]


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


def messages_claim(source_no: int, message_ids: Sequence[str], day: dt.date) -> list[bool]:
    """For each message id whether this is its first time, here or ever; the first times are recorded.

    One statement in the caller's transaction. A concurrent claim of the same id waits for that transaction.
    """
    hashes = [message_hash(message_id) for message_id in message_ids]
    with server_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO cdp_messagekey (source_no, message_hash, day)
            SELECT %s, message_hash, %s FROM unnest(%s::bytea[]) AS t (message_hash)
            ON CONFLICT DO NOTHING RETURNING message_hash
            """,
            [source_no, day, sorted(set(hashes))],
        )
        fresh = {bytes(row[0]) for row in cursor}
    claimed = []
    for digest in hashes:
        claimed.append(digest in fresh)
        fresh.discard(digest)
    return claimed


def inbox_add(items: Sequence[InboxItem]) -> int:
    """Accept tracking calls: each message id of a source once, ever. Returns how many were new.

    One statement, hence atomic even without a transaction around it; after it returns (and commits) the calls are safe.
    Raises RejectedError, and accepts none, for a message id with U+0000 or half a character.
    """
    if not items:
        return 0
    for position, item in enumerate(items):
        _storable(item.message_id, f"items[{position}].message_id")
    # Sorted, so that two requests with the same messages cannot wait for each other in a circle.
    positions = {(i.source_no, message_hash(i.message_id)): n for n, i in reversed(list(enumerate(items)))}
    keyed = [(key, items[position]) for key, position in sorted(positions.items())]
    with server_cursor() as cursor:
        cursor.execute(
            INBOX_ADD,
            [
                [source_no for (source_no, _), _ in keyed],
                [digest for (_, digest), _ in keyed],
                [item.message_id for _, item in keyed],
                [item.received_at for _, item in keyed],
                [item.payload for _, item in keyed],
                [positions[key] for key, _ in keyed],
            ],
            prepare=True,
        )
        return cursor.rowcount


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


def server_cursor() -> psycopg.Cursor[Any]:
    """A cursor that binds on the server (arrays and bytes travel as binary) on Django's own connection."""
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)


def _event_row(number: int, row: NewEvent, position: int) -> tuple[object, ...]:
    place = f"events[{position}]"
    if row.amount is not None and not abs(row.amount) < AMOUNT_LIMIT:  # NaN compares false
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
        _storable(row.message_id, f"{place}.message_id"),
        row.kind,
        _storable(row.name, f"{place}.name"),
        row.occurred_at,
        row.identifier_no,
        row.profile_no,
        row.order_id and _storable(row.order_id, f"{place}.order_id"),
        row.amount,
        row.currency,
        properties,
    )


def _storable(text: str, field: str) -> str:
    """``text``, which PostgreSQL can hold and Parquet too. Raises RejectedError otherwise."""
    try:
        if "\x00" not in text and (text.isascii() or text.encode()):
            return text
    except UnicodeEncodeError:
        pass
    raise RejectedError(f"{field} holds U+0000 or half a character; remove it", code="invalid_text", field=field)
