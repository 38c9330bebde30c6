"""The inbox from its far end: claim what waits, take it away once its effects are stored, put aside what failed."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from cdp.events.models import InboxEvent
from cdp.events.services import message_hash

__all__ = ["Waiting", "event_names_note", "inbox_claim", "inbox_defer", "inbox_remove", "messages_release"]

SEEN_AGAIN_AFTER = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One acknowledged call that has no effect yet."""

    inbox_no: int
    source_no: int
    message_id: str
    received_at: dt.datetime
    payload: bytes
    attempts: int


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
