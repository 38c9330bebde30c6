"""Writing who is in: rows and bitmap of one segment change together, in one transaction, and only by the difference.

The bitmap is the base of the difference; the rows say since when. Figures behind this shape: performance reference §3.
"""

import datetime as dt
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction
from pyroaring import BitMap64

from cdp.core.copying import numbers_read
from cdp.core.time import UTC
from cdp.events.services import outbox_write
from segments.audiences.models import Membership, SegmentBitmap, SegmentSize
from segments.definition.models import Segment

__all__ = ["MembershipChange", "bitmap_read", "membership_replace", "memberships_erase", "numbers_of"]

type Numbers = npt.NDArray[np.int64]

POSTGRES_EPOCH = dt.datetime(2000, 1, 1, tzinfo=UTC)
COPY_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
COPY_END = struct.pack("!h", -1)
COPY_ROWS_PER_WRITE = 100_000
LOOK_UP_BY_NUMBER = 20_000
ANALYZE_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """What one evaluation changed."""

    size: int
    joined: int
    left: int


def bitmap_read(segment_no: int) -> BitMap64:
    """The members; empty before the first evaluation."""
    found = SegmentBitmap.objects.filter(segment_no=segment_no).first()
    return BitMap64.deserialize(bytes(found.bitmap)) if found else BitMap64()


def numbers_of(bitmap: BitMap64) -> Numbers:
    """Ascending profile numbers, ``(n,)``."""
    return np.fromiter(bitmap, np.int64, len(bitmap))


def membership_replace(segment_no: int, version: int, members: Numbers, now: dt.datetime) -> MembershipChange:
    """Make ``members`` the members: open and close rows by the difference, write the bitmap, tell later slices.

    In the caller's transaction, which holds the segment's row lock. People who were merged or erased since the members were
    found are left out. Writing the same members again changes nothing.
    """
    wanted = BitMap64(members) - BitMap64(_gone(members))
    before = _base(segment_no)
    joined, left = numbers_of(wanted - before), numbers_of(before - wanted)
    with connection.cursor() as cursor:
        _open(cursor, segment_no, version, joined, now)
        _close(cursor, segment_no, left, now)
        if len(joined) + len(left) >= ANALYZE_ROWS:
            # The next change may come before autovacuum has seen these rows, and would be planned as if there were none.
            cursor.execute("ANALYZE segments_membership")
    _bitmap_write(segment_no, version, wanted, now)
    if len(joined) or len(left):
        payload = {"segment_no": segment_no, "version": version, "joined": len(joined), "left": len(left)}
        outbox_write("membership_changed", payload)
    return MembershipChange(len(wanted), len(joined), len(left))


def memberships_erase(profile_nos: Iterable[int], now: dt.datetime) -> list[int]:
    """Take people out of every segment and forget that they were in any; returns the segments that lost a member.

    For erasure: rows go altogether, past stays included. Safe to repeat.
    """
    numbers = sorted(set(profile_nos))
    gone = BitMap64(numbers)
    touched: list[int] = []
    with transaction.atomic():
        held = Membership.objects.filter(profile_no__in=numbers).values_list("segment_no", flat=True)
        # The segment's row lock keeps an evaluation that still knows these people from writing at the same time.
        for segment in Segment.objects.select_for_update().filter(segment_no__in=set(held)).order_by("segment_no"):
            before = bitmap_read(segment.segment_no)
            after = before - gone
            if len(after) == len(before):
                continue
            version = segment.evaluated_version or 1
            _bitmap_write(segment.segment_no, version, after, now)
            Segment.objects.filter(segment_no=segment.segment_no).update(size=len(after))
            left = len(before) - len(after)
            SegmentSize.objects.create(
                segment_no=segment.segment_no, at=now, version=version, size=len(after), joined=0, left=left, took_ms=0
            )
            payload = {"segment_no": segment.segment_no, "version": version, "joined": 0, "left": left}
            outbox_write("membership_changed", payload)
            touched.append(segment.segment_no)
        Membership.objects.filter(profile_no__in=numbers).delete()
    return touched


def _base(segment_no: int) -> BitMap64:
    """The members by the bitmap, or by the rows when the two disagree: rows decide, since they hold the history."""
    bitmap = bitmap_read(segment_no)
    open_rows = Membership.objects.filter(segment_no=segment_no, exited_at=None)
    if open_rows.count() == len(bitmap):
        return bitmap
    with connection.cursor() as cursor:
        query = "SELECT profile_no FROM segments_membership WHERE segment_no = %s AND exited_at IS NULL"
        return BitMap64(numbers_read(cursor, query, [segment_no])[:, 0])


def _gone(members: Numbers) -> Numbers:
    """Everybody who is merged or erased by now; for few ``members``, those of them."""
    query = "SELECT profile_no FROM cdp_profile WHERE (erased_at IS NOT NULL OR merged_into_no IS NOT NULL)"
    params: list[object] = []
    if len(members) < LOOK_UP_BY_NUMBER:
        query, params = f"{query} AND profile_no = ANY(%s)", [members.tolist()]
    with connection.cursor() as cursor:
        return numbers_read(cursor, query, params)[:, 0]


def _open(cursor: Any, segment_no: int, version: int, joined: Numbers, now: dt.datetime) -> None:
    if not len(joined):
        return
    row = np.dtype(
        [("fields", ">i2"), ("l0", ">i4"), ("segment_no", ">i8"), ("l1", ">i4"), ("profile_no", ">i8"),
         ("l2", ">i4"), ("entered_at", ">i8"), ("l3", ">i4"), ("version", ">i4")]
    )  # fmt: skip
    rows = np.zeros(len(joined), row)
    rows["fields"], rows["l0"], rows["l1"], rows["l2"], rows["l3"] = 4, 8, 8, 8, 4
    rows["segment_no"], rows["profile_no"], rows["version"] = segment_no, joined, version
    rows["entered_at"] = (now - POSTGRES_EPOCH) // dt.timedelta(microseconds=1)
    _copy(cursor, "segments_membership (segment_no, profile_no, entered_at, version)", rows)


def _close(cursor: Any, segment_no: int, left: Numbers, now: dt.datetime) -> None:
    if not len(left):
        return
    cursor.execute("CREATE TEMP TABLE IF NOT EXISTS segments_left (profile_no bigint) ON COMMIT DELETE ROWS")
    cursor.execute("TRUNCATE segments_left")
    rows = np.zeros(len(left), np.dtype([("fields", ">i2"), ("l0", ">i4"), ("profile_no", ">i8")]))
    rows["fields"], rows["l0"], rows["profile_no"] = 1, 8, left
    _copy(cursor, "segments_left (profile_no)", rows)
    cursor.execute("ANALYZE segments_left")
    cursor.execute(
        "UPDATE segments_membership m SET exited_at = greatest(%s, entered_at) FROM segments_left l "
        "WHERE m.segment_no = %s AND m.profile_no = l.profile_no AND m.exited_at IS NULL",
        [now, segment_no],
    )


def _copy(cursor: Any, target: str, rows: npt.NDArray[Any]) -> None:
    """Binary COPY of numpy records that are laid out as PostgreSQL's tuples."""
    with cursor.copy(f"COPY {target} FROM STDIN (FORMAT binary)".encode()) as copy:
        copy.write(COPY_SIGNATURE)
        for start in range(0, len(rows), COPY_ROWS_PER_WRITE):
            copy.write(rows[start : start + COPY_ROWS_PER_WRITE].tobytes())
        copy.write(COPY_END)


def _bitmap_write(segment_no: int, version: int, members: BitMap64, now: dt.datetime) -> None:
    values = {"version": version, "bitmap": members.serialize(), "size": len(members), "written_at": now}
    SegmentBitmap.objects.update_or_create(segment_no=segment_no, defaults=values)
