"""One writer per list: whoever sends to a target holds its lock, and writes only while nobody overtook it.

The lock is a session lock of PostgreSQL: it goes with the connection, so a killed process lets go at once. The fence grows with
every writer and is asked in each of its transactions; a writer that lost its connection and came back writes nothing more.
Transactions that touch a target's entries lock its row first, so that they queue up instead of deadlocking.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection

__all__ = ["OvertakenError", "Writer", "target_lock", "target_writer"]

LOCK_SPACE = 7400
MAX_KEY = 2**31 - 1


class OvertakenError(Exception):
    """Another writer has taken this target over; whatever was under way is its business now."""


@dataclass(frozen=True, slots=True)
class Writer:
    """The right to send to one target."""

    target_no: int
    fence: int

    def hold(self) -> None:
        """Lock the target's row until the transaction ends. Raises OvertakenError when a newer writer exists."""
        if target_lock(self.target_no) != self.fence:
            raise OvertakenError(f"target {self.target_no} has a newer writer")


def target_lock(target_no: int) -> int:
    """Lock the target's row in the caller's transaction; returns its fence."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT fence FROM segments_audiencetarget WHERE target_no = %s FOR NO KEY UPDATE", [target_no])
        row = cursor.fetchone()
    if row is None:
        raise LookupError(f"no target {target_no}")
    return int(row[0])


@contextmanager
def target_writer(target_no: int) -> Iterator[Writer | None]:
    """Become the one writer of this target; None when somebody else is."""
    key = target_no % MAX_KEY
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_SPACE, key])
        if not cursor.fetchone()[0]:
            yield None
            return
        cursor.execute(
            "UPDATE segments_audiencetarget SET fence = fence + 1 WHERE target_no = %s RETURNING fence", [target_no]
        )
        fence = cursor.fetchone()[0]
    try:
        yield Writer(target_no, int(fence))
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, key])
