"""The inbox: accept each call once, claim what waits, take it away once its effects are stored, put aside what failed."""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from cdp.events.cursors import server_cursor
from cdp.events.models import InboxEvent
from cdp.events.records import InboxItem, storable

__all__ = [
    "Waiting",
    "event_names_note",
    "inbox_accept",
    "inbox_add",
    "inbox_claim",
    "inbox_defer",
    "inbox_remove",
    "message_hash",
    "messages_claim",
    "messages_release",
]

SEEN_AGAIN_AFTER = dt.timedelta(hours=1)

INBOX_STAGE = """
CREATE TEMP TABLE cdp_inbox_stage (
    source_no bigint, message_hash bytea, message_id text, received_at timestamptz, payload bytea, position int
) ON COMMIT DELETE ROWS
"""

# Rows that an earlier call of the same transaction left on the stage are no news to the keys, hence do nothing.
INBOX_ADD = """
WITH fresh AS (
    INSERT INTO cdp_messagekey (source_no, message_hash, day)
    SELECT source_no, message_hash, (received_at AT TIME ZONE 'UTC')::date FROM cdp_inbox_stage
    ON CONFLICT DO NOTHING
    RETURNING source_no, message_hash
)
INSERT INTO cdp_inboxevent (source_no, message_id, received_at, payload)
SELECT source_no, message_id, received_at, payload FROM cdp_inbox_stage JOIN fresh USING (source_no, message_hash)
ORDER BY position
RETURNING source_no, message_id
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One acknowledged call that has no effect yet."""

    inbox_no: int
    source_no: int
    message_id: str
    received_at: dt.datetime
    payload: bytes
    attempts: int


def message_hash(message_id: str) -> bytes:
    """16 bytes that stand for a message id in the deduplication keys."""
    return hashlib.sha256(message_id.encode()).digest()[:16]


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
    """Accept tracking calls: each message id of a source once, ever. Returns how many were new; see ``inbox_accept``."""
    return len(items) - len(inbox_accept(items))


def inbox_accept(items: Sequence[InboxItem]) -> list[int]:
    """Accept tracking calls: each message id of a source once, ever. Returns the positions of those that had come before.

    Atomic with or without a transaction around it; once committed the calls are safe, in the order they were given.
    Raises RejectedError, and accepts none, for a message id with U+0000 or half a character.
    """
    if not items:
        return []
    for position, item in enumerate(items):
        storable(item.message_id, f"items[{position}].message_id")
    # Sorted, so that two requests with the same messages cannot wait for each other in a circle.
    positions = {(i.source_no, message_hash(i.message_id)): n for n, i in reversed(list(enumerate(items)))}
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("SELECT to_regclass('pg_temp.cdp_inbox_stage') IS NULL", prepare=True)
        if cursor.fetchone() == (True,):
            cursor.execute(INBOX_STAGE)
        with cursor.copy("COPY cdp_inbox_stage FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(("int8", "bytea", "text", "timestamptz", "bytea", "int4"))
            for (source_no, digest), position in sorted(positions.items()):
                item = items[position]
                copy.write_row((source_no, digest, item.message_id, item.received_at, item.payload, position))
        cursor.execute(INBOX_ADD, prepare=True)
        if cursor.rowcount == len(items):
            return []
        new = set(cursor.fetchall())
    return [
        position
        for position, item in enumerate(items)
        if (item.source_no, item.message_id) not in new
        or positions[item.source_no, message_hash(item.message_id)] != position
    ]


def inbox_claim(limit: int, now: dt.datetime, *, only: Sequence[int] | None = None) -> list[Waiting]:
    """The oldest waiting calls that nobody else has claimed, locked until the caller's transaction ends.

    ``only`` narrows them to these numbers. Two claimers never get the same call, and neither waits for the other.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT inbox_no, source_no, message_id, received_at, payload, attempts FROM cdp_inboxevent
            WHERE (not_before IS NULL OR not_before <= %(now)s)
              AND (%(only)s::bigint[] IS NULL OR inbox_no = ANY(%(only)s))
            ORDER BY inbox_no LIMIT %(limit)s FOR UPDATE SKIP LOCKED
            """,
            {"now": now, "only": None if only is None else list(only), "limit": limit},
        )
        return [
            Waiting(inbox_no, source_no, message_id, received_at, bytes(payload), attempts)
            for inbox_no, source_no, message_id, received_at, payload, attempts in cursor.fetchall()
        ]


def inbox_remove(inbox_nos: Sequence[int]) -> None:
    """Take calls out, in the transaction that stores their effects."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cdp_inboxevent WHERE inbox_no = ANY(%s)", [list(inbox_nos)])


def inbox_defer(inbox_no: int, attempts: int, not_before: dt.datetime) -> None:
    """Leave one call for later."""
    InboxEvent.objects.filter(inbox_no=inbox_no).update(attempts=attempts, not_before=not_before)


def messages_release(source_no: int, message_ids: Sequence[str]) -> None:
    """Forget claims of ``messages_claim`` made in this transaction, for lines that turned out to have no effect."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM cdp_messagekey WHERE source_no = %s AND message_hash = ANY(%s)",
            [source_no, [message_hash(message_id) for message_id in message_ids]],
        )


def event_names_note(kinds: Mapping[str, str], now: dt.datetime) -> None:
    """Keep the catalogue of event names ({name: kind}); known names are written at most once an hour."""
    names = sorted(kinds)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO cdp_eventname AS known (name, kind, first_seen_at, last_seen_at)
            SELECT name, kind, %(now)s, %(now)s FROM unnest(%(names)s::text[], %(kinds)s::text[]) AS t (name, kind)
            WHERE NOT EXISTS (SELECT FROM cdp_eventname e WHERE e.name = t.name AND e.last_seen_at > %(recent)s)
            ORDER BY name
            ON CONFLICT (name) DO UPDATE SET last_seen_at = excluded.last_seen_at
            """,
            {"now": now, "names": names, "kinds": [kinds[name] for name in names], "recent": now - SEEN_AGAIN_AFTER},
        )
