"""Who may write while the store learns how far it has come.

Sequence numbers are given out before their transaction commits, so the highest visible number says nothing about lower
ones. Every writer of events, overlay rows, tombstones and profiles therefore holds one advisory lock in shared mode
until it commits. Whoever takes it exclusively knows, for that instant, that all numbers given out so far are committed
or gone: a cut without gaps. No transaction ids are stored, so a dump restored elsewhere keeps its meaning.

Lock order everywhere: the ledger first, then identity, then rows by ascending number.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

from django.db import InterfaceError, OperationalError, connection, transaction

from cdp.core.errors import RetryableError

__all__ = ["LedgerCut", "StoreLock", "ledger_cut", "ledger_write_lock", "store_guard"]

LOCK_SPACE = 7300


class StoreLock(IntEnum):
    """Second key of the advisory locks of this slice. 4 is taken by ``cdp_event_partition_ensure`` (migration 0002)."""

    LEDGER = 1
    FLUSH = 2
    FILES = 3
    PARTITIONS = 5
    SWEEP = 6


@dataclass(frozen=True, slots=True)
class LedgerCut:
    """All numbers up to these are settled: committed and visible, or never to come."""

    event_no: int
    overlay_seq: int
    erased_seq: int


def ledger_write_lock() -> None:
    """Hold the ledger in shared mode until the caller's transaction ends. Keep that transaction short (≤ 5,000 rows).

    Raises RuntimeError outside a transaction, where the lock would protect nothing.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("ledger_write_lock needs an open transaction")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [LOCK_SPACE, StoreLock.LEDGER])


@contextmanager
def ledger_cut(wait_seconds: float = 2.0) -> Iterator[LedgerCut]:
    """Inside the block no writer is under way; the yielded cut and anything read there have no gaps below them.

    Writers wait while this waits, hence the limit; leave the block at once.
    Raises RetryableError when a writer keeps the ledger longer than ``wait_seconds``.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{round(wait_seconds * 1000)}ms"])
        try:
            with transaction.atomic():
                cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, StoreLock.LEDGER])
        except OperationalError as error:
            raise RetryableError("a writer holds the event ledger for too long; the cut is tried again") from error
        cursor.execute("SELECT set_config('lock_timeout', '0', true)")
        cursor.execute(
            """
            SELECT (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM cdp_event_no_seq),
                   (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM cdp_overlay_seq),
                   (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM cdp_erased_seq),
                   coalesce((SELECT value FROM cdp_storemark WHERE name = 'flushed'), 0)
            """
        )
        event_no, overlay_seq, erased_seq, flushed = cursor.fetchone()
        if event_no < flushed:
            # The sequence was restored without its value: new events would hide below the mark.
            cursor.execute(
                "SELECT setval('cdp_event_no_seq', greatest(%s, (SELECT max(event_no) FROM cdp_event)))", [flushed]
            )
            (event_no,) = cursor.fetchone()
        yield LedgerCut(event_no, overlay_seq, erased_seq)


@contextmanager
def store_guard(lock: StoreLock) -> Iterator[bool]:
    """True when this process alone does the guarded work now, False when another one does: then leave it to that one.

    Ends with the database session, so a killed process leaves nothing locked. What is written under it checks the
    manifest again when it commits, so losing the session in the middle costs work and never data.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_SPACE, lock])
        (is_held,) = cursor.fetchone()
    try:
        yield is_held
    finally:
        if is_held:
            _unlock(lock)


def _unlock(lock: StoreLock) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, lock])
    except (InterfaceError, OperationalError):
        connection.close()  # the session is gone and its locks with it
