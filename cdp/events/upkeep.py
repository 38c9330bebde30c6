"""What keeps the store small and ready: partitions ahead and gone in time, files that nobody names removed."""

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.db import OperationalError, connection, transaction

from cdp.core.time import UTC
from cdp.events.files.layout import PREFIXES
from cdp.events.files.manifest import mark_read
from cdp.events.locks import StoreLock, store_guard
from cdp.events.models import EventFile
from cdp.events.store import EventStore, store_open

__all__ = ["PartitionResult", "SweepResult", "partition_days", "partitions_upkeep", "store_sweep"]

DAYS_AHEAD = 7
PARTITION = re.compile(r"cdp_event_(\d{8})")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """Days whose partition was dropped, and days that are past but hold events no file has yet."""

    dropped: tuple[dt.date, ...]
    kept_unflushed: tuple[dt.date, ...]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Files removed from the storage: replaced ones past their grace, and ones that no manifest row names."""

    replaced: int
    unlisted: int


def partitions_upkeep(now: dt.datetime, *, recent_days: int | None = None) -> PartitionResult:
    """Create the day partitions of the coming week; drop those older than the recent window that files hold entirely."""
    today = now.astimezone(UTC).date()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT cdp_event_partition_ensure(%s::date + n) FROM generate_series(-1, %s) AS n", [today, DAYS_AHEAD]
        )
    oldest = today - dt.timedelta(days=store_open().recent_days if recent_days is None else recent_days)
    dropped: list[dt.date] = []
    kept: list[dt.date] = []
    for day in partition_days():
        if day < oldest:
            (dropped if _partition_drop(day) else kept).append(day)
    if dropped or kept:
        log.info("partitions_dropped", dropped=len(dropped), kept_unflushed=len(kept))
    return PartitionResult(tuple(dropped), tuple(kept))


def store_sweep(
    now: dt.datetime,
    *,
    store: EventStore | None = None,
    replaced_grace: dt.timedelta = dt.timedelta(minutes=15),
    unlisted_grace: dt.timedelta = dt.timedelta(hours=1),
) -> SweepResult:
    """Delete replaced files that the longest reader has left behind, and leftovers of killed runs.

    ``replaced_grace`` must exceed the longest time a snapshot is held. Safe to repeat and to kill.
    """
    store = store or store_open()
    with store_guard(StoreLock.SWEEP) as is_mine:
        if not is_mine:
            return SweepResult(0, 0)
        replaced = EventFile.objects.filter(removed_at__lt=now - replaced_grace)
        numbers = []
        for file in replaced:
            store.storage.delete(file.path)
            numbers.append(file.file_no)
        EventFile.objects.filter(file_no__in=numbers).delete()
        # While both guards are held nobody is between writing a file and naming it.
        with store_guard(StoreLock.FLUSH) as no_flush, store_guard(StoreLock.FILES) as no_rewrite:
            unlisted = _unlisted_delete(store, now - unlisted_grace) if no_flush and no_rewrite else 0
    if numbers or unlisted:
        log.info("store_swept", replaced=len(numbers), unlisted=unlisted)
    return SweepResult(len(numbers), unlisted)


def _unlisted_delete(store: EventStore, before: dt.datetime) -> int:
    named = set(EventFile.objects.values_list("path", flat=True))
    stale = [
        file.key
        for prefix in PREFIXES
        for file in store.storage.list(prefix)
        if file.key not in named and file.modified_at < before
    ]
    for key in stale:
        store.storage.delete(key)
    drafts = [path for path in store.storage.staging.rglob("*") if _is_stale(path, before)]
    for path in drafts:
        path.unlink(missing_ok=True)
    return len(stale) + len(drafts)


def _is_stale(path: Path, before: dt.datetime) -> bool:
    try:
        return path.is_file() and path.stat().st_mtime < before.timestamp()
    except FileNotFoundError:
        return False


def partition_days() -> list[dt.date]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'cdp_event'::regclass ORDER BY 1"
        )
        names = [PARTITION.fullmatch(name) for (name,) in cursor]
    return [dt.date.fromisoformat(match[1]) for match in names if match]


def _partition_drop(day: dt.date) -> bool:
    """False when the partition holds events above the mark, or is in use: the next tick tries again."""
    name = f"cdp_event_{day:%Y%m%d}"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', '2s', true)")
            # Parent before partition, as readers and writers do, or the two could wait for each other.
            cursor.execute("LOCK TABLE ONLY cdp_event IN ACCESS EXCLUSIVE MODE")
            cursor.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
            cursor.execute(f"SELECT max(event_no) FROM {name}")  # noqa: S608 - built from a date
            (highest,) = cursor.fetchone()
            if highest is not None and highest > mark_read():
                return False
            cursor.execute(f"DROP TABLE {name}")
    except OperationalError:
        return False  # somebody reads for longer than two seconds
    return True
