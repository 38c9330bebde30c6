"""From the inbox to people and events, with no call lost and none able to stop the others.

A chunk is one transaction: effects, refusals and the removal from the inbox commit together, so a kill at any moment means
"not yet" and never "twice". A chunk that fails is halved until the one call that cannot be taken stands alone.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import psycopg
import structlog
from django.db import DataError, InterfaceError, OperationalError, connection, transaction

from cdp.collect.absorbing import Call, calls_absorb, problems_record
from cdp.collect.messages import message_read
from cdp.collect.models import Source
from cdp.collect.rejects import NewReject, rejects_record
from cdp.core.errors import Problem, RejectedError, RetryableError
from cdp.events.inbox import Waiting, inbox_claim, inbox_defer, inbox_remove
from cdp.events.locks import ledger_write_lock

MAX_ATTEMPTS = 5
SLOT_SPACE = 7301  # first key of the advisory locks below
FIRST_PAUSE_SECONDS = 10
LAST_EVENT_RESOLUTION = dt.timedelta(seconds=10)
# The connection, a deadlock, a shutdown: not the call's fault. Wait and repeat the whole chunk.
TRANSIENT = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError, RetryableError)
# The call's fault for good: another attempt ends the same.
HOPELESS = (DataError, psycopg.DataError, RejectedError, msgspec.MsgspecError, UnicodeError)
logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class DrainResult:
    """What one pass over the inbox did."""

    taken: int = 0
    events: int = 0
    refused: int = 0
    deferred: int = 0

    def add(self, other: "DrainResult") -> None:
        self.taken += other.taken
        self.events += other.events
        self.refused += other.refused
        self.deferred += other.deferred


def inbox_drain(limit: int, now: dt.datetime) -> DrainResult:
    """Take up to ``limit`` waiting calls (at most 5,000) to their effects. ``taken`` 0 means that nothing was left to claim.

    Safe to run at any time and in parallel. Raises RetryableError when the database is at fault; then nothing has changed.
    """
    numbers: list[int] = []
    try:
        with transaction.atomic():
            ledger_write_lock()
            waiting = inbox_claim(limit, now)
            numbers = [each.inbox_no for each in waiting]
            return _store(waiting, now)
    except TRANSIENT as error:
        raise RetryableError("the inbox could not be drained; the next tick tries again") from error
    except Exception as error:  # noqa: BLE001 - one call must not stop the others; it is set apart and named below
        return _divide(numbers, now, error)


def _store(waiting: Sequence[Waiting], now: dt.datetime) -> DrainResult:
    if not waiting:
        return DrainResult()
    calls = [Call(each.source_no, message_read(each.payload), each.received_at, each.payload) for each in waiting]
    done = calls_absorb(calls, now)
    if done.problems:
        problems_record(calls, done, now)
    inbox_remove([each.inbox_no for each in waiting])
    sources_note(calls, now)
    return DrainResult(taken=len(waiting), events=done.events, refused=len(done.refused))


def sources_note(calls: Sequence[Call], now: dt.datetime) -> None:
    """When each source was last heard of, to ten seconds."""
    Source.objects.filter(source_no__in={call.source_no for call in calls}).exclude(
        last_event_at__gt=now - LAST_EVENT_RESOLUTION
    ).update(last_event_at=now)


def _divide(numbers: Sequence[int], now: dt.datetime, error: Exception) -> DrainResult:
    """Halve a failed chunk until the culprit stands alone; everybody else goes on."""
    if not numbers:
        raise error  # it failed before it had claimed anything
    if len(numbers) == 1:
        return _set_apart(numbers[0], now, error)
    result = DrainResult()
    middle = len(numbers) // 2
    for part in (numbers[:middle], numbers[middle:]):
        try:
            with transaction.atomic():
                ledger_write_lock()
                result.add(_store(inbox_claim(len(part), now, only=part), now))
        except TRANSIENT as transient:
            raise RetryableError("the inbox could not be drained; the next tick tries again") from transient
        except Exception as failure:  # noqa: BLE001 - as above
            result.add(_divide(part, now, failure))
    return result


def _set_apart(inbox_no: int, now: dt.datetime, error: Exception) -> DrainResult:
    """Move a call that can never be taken to the rejects; leave one that failed for an unknown reason for later, five times."""
    with transaction.atomic():
        claimed = inbox_claim(1, now, only=[inbox_no])
        if not claimed:
            return DrainResult()  # another drain has it
        (each,) = claimed
        attempts = each.attempts + 1
        is_hopeless = isinstance(error, HOPELESS)
        # No traceback and no message: PostgreSQL's would quote the call.
        logger.error(
            "call_failed",
            inbox_no=inbox_no,
            attempts=attempts,
            error=type(error).__name__,
            place=_place(error),
            sqlstate=getattr(error.__cause__ or error, "sqlstate", None),
        )
        if not is_hopeless and attempts < MAX_ATTEMPTS:
            inbox_defer(inbox_no, attempts, now + dt.timedelta(seconds=FIRST_PAUSE_SECONDS * 2**attempts))
            return DrainResult(deferred=1)
        problem = Problem(
            "",
            "not_storable" if is_hopeless else "failed",
            f"The call could not be processed ({type(error).__name__}).",
        )
        refusal = NewReject(each.source_no, problem, each.payload, message_id=each.message_id, holds_key=True)
        rejects_record([refusal], now)
        inbox_remove([inbox_no])
    return DrainResult(taken=1, refused=1)


def _place(error: Exception) -> str:
    """Where it was raised, as file name and line."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    code = traceback.tb_frame.f_code
    return f"{code.co_name}:{traceback.tb_lineno}"


def drain_slot_take(slots: int) -> int | None:
    """A place among at most ``slots`` drains at a time, kept by this database session; None when all are busy."""
    with connection.cursor() as cursor:
        for slot in range(slots):
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [SLOT_SPACE, slot])
            (is_taken,) = cursor.fetchone()
            if is_taken:
                return slot
    return None


def drain_slot_leave(slot: int) -> None:
    """Give the place back; a session that ended has done so already."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [SLOT_SPACE, slot])
    except (InterfaceError, OperationalError):
        connection.close()
