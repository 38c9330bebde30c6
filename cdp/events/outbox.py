"""Work for a later slice, written in the business transaction and done at least once, by one worker at a time.

A lease that ran out is claimed again; the fencing token of the earlier claim then finishes nothing.
"""

import datetime as dt
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from cdp.events.models import OutboxMessage
from cdp.events.records import Claim

__all__ = ["outbox_claim", "outbox_finish", "outbox_retry", "outbox_subscribe", "outbox_write"]

_subscribers: dict[str, tuple[str, ...]] = {}


def outbox_subscribe(topic: str, subscriber: str) -> None:
    """Give ``subscriber`` a copy of its own of every message of ``topic``, as topic ``<topic>/<subscriber>``.

    For topics that more than one slice acts on: a message is done once by one worker. Called when the app is ready.
    """
    _subscribers[topic] = tuple(dict.fromkeys([*_subscribers.get(topic, ()), subscriber]))


def outbox_write(topic: str, payload: dict[str, Any], due_at: dt.datetime | None = None) -> int:
    """Add one message to ``topic``, and one for each subscriber, in the caller's transaction.

    ``payload`` holds ids and counts only. Returns the number of the message under the plain topic.
    """
    when = {} if due_at is None else {"due_at": due_at}
    OutboxMessage.objects.bulk_create(
        OutboxMessage(topic=f"{topic}/{name}", payload=payload, **when) for name in _subscribers.get(topic, ())
    )
    return OutboxMessage.objects.create(topic=topic, payload=payload, **when).outbox_no


def outbox_claim(topic: str, limit: int, now: dt.datetime, lease_seconds: float) -> list[Claim]:
    """Up to ``limit`` due messages of ``topic``, oldest first, on loan until ``now + lease_seconds``."""
    leased_until = now + dt.timedelta(seconds=lease_seconds)
    claimed = OutboxMessage.objects.raw(
        """
        UPDATE cdp_outboxmessage SET leased_until = %s, fence = fence + 1, attempts = attempts + 1
        WHERE outbox_no IN (
            SELECT outbox_no FROM cdp_outboxmessage
            WHERE topic = %s AND done_at IS NULL AND due_at <= %s AND (leased_until IS NULL OR leased_until <= %s)
            ORDER BY due_at, outbox_no LIMIT %s FOR UPDATE SKIP LOCKED
        )
        RETURNING *
        """,
        [leased_until, topic, now, now, limit],
    )
    return [
        Claim(m.outbox_no, m.topic, m.payload, m.attempts, m.fence)
        for m in sorted(claimed, key=lambda m: (m.due_at, m.outbox_no))
    ]


def outbox_finish(claim: Claim) -> bool:
    """Mark the message done. False when the lease ran out and somebody else has claimed it since."""
    return bool(_claimed(claim).update(done_at=Now(), leased_until=None))


def outbox_retry(claim: Claim, due_at: dt.datetime) -> bool:
    """Give the message back, due again at ``due_at``. False when somebody else has claimed it since."""
    return bool(_claimed(claim).update(due_at=due_at, leased_until=None))


def outbox_prune(before: dt.datetime) -> int:
    """Remove messages that were done before ``before``; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cdp_outboxmessage WHERE done_at < %s", [before])
        return int(cursor.rowcount)


def _claimed(claim: Claim) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(outbox_no=claim.outbox_no, fence=claim.fence, done_at=None)
