"""Which files are worth rewriting: many small ones into few that queries read fast.

Hot files arrive every half minute. Rows of closed months move into month × bucket files; rows of the open month are merged
into ever larger hot files. Late events come in drops, so a closed month is not rewritten for each of them: they form a
further layer of small files, and layers are merged when they weigh enough. Either way each row is rewritten a few times
in its life, not once per flush.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import psycopg
import structlog
from django.db import connection

from cdp.core.time import UTC
from cdp.events.files.corrections import corrections_read
from cdp.events.files.layout import month_of
from cdp.events.files.manifest import files_live, files_swap, property_types_read
from cdp.events.files.rewrite import Target, files_rewrite, rows_by_month
from cdp.events.locks import StoreLock, ledger_cut, store_guard
from cdp.events.models import EventFile
from cdp.events.store import EventStore, store_open

__all__ = ["FOREVER", "CompactionResult", "Job", "files_limited", "job_run", "store_compact"]

FOREVER = dt.date(9999, 1, 1)
ROWS_PER_JOB = 4_000_000
ROWS_WORTH_CLOSING = 500_000
SMALL_MONTH_ROWS = 262_144
MAX_LAYERS = 4
HOT_FILES_PER_TIER = 8
HOT_TIER_ROWS = 16_384
HOT_TIER_FACTOR = 8
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CompactionResult:
    """``files_before`` were replaced by ``files_after`` in ``jobs`` swaps, ``rows`` rows in all."""

    jobs: int = 0
    files_before: int = 0
    files_after: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """Files to be replaced together."""

    files: tuple[EventFile, ...]
    target: Target


def store_compact(
    now: dt.datetime, *, only_closed: bool = True, eager: bool = True, store: EventStore | None = None
) -> CompactionResult:
    """Move rows of closed months into month × bucket files and merge the small hot files of the open one.

    A month is closed when it lies before the UTC month of ``now``; with ``only_closed=False`` every month counts as
    closed. Unless ``eager``, closed months wait until a day's worth of their rows or half a million have come together.
    Does nothing while another process rewrites files; safe to repeat and to kill.
    """
    store = store or store_open()
    today = now.astimezone(UTC).date()
    open_from = month_of(today) if only_closed else FOREVER
    jobs = before = after = rows = 0
    with store_guard(StoreLock.FILES) as is_mine:
        while is_mine and (job := _plan(store, files_live(), open_from, today, eager=eager)):
            count = job_run(store, job)
            if count is None:
                break
            jobs, before, after = jobs + 1, before + len(job.files), after + count
            rows += sum(file.rows for file in job.files)
    if jobs:
        log.info("store_compacted", jobs=jobs, files_before=before, files_after=after, rows=rows)
    return CompactionResult(jobs, before, after, rows)


def job_run(store: EventStore, job: Job) -> int | None:
    """Rewrite and swap; returns the number of new files, or None when another process has changed the files.

    Needs the guard on FILES. What a lost race leaves on the storage is swept.
    """
    with ledger_cut() as cut:
        pass
    property_types = property_types_read()
    with psycopg.Cursor(connection.connection) as cursor:
        corrections = corrections_read(cursor, job.files)
    new = files_rewrite(store, job.files, corrections, cut, property_types, job.target)
    if not files_swap([file.file_no for file in job.files], new):
        log.warning("rewrite_overtaken", files=len(job.files))
        return None
    return len(new)


def _plan(
    store: EventStore, live: Sequence[EventFile], open_from: dt.date, today: dt.date, *, eager: bool
) -> Job | None:
    """The next job, or None when nothing is left to gain."""
    hot = [file for file in live if file.kind == "hot"]
    closing = [file for file in hot if month_of(file.min_occurred_at) < open_from]
    rows = sum(file.rows for file in closing)
    if closing and (eager or rows >= ROWS_WORTH_CLOSING or any(file.day and file.day < today for file in closing)):
        taken = files_limited(closing)
        return Job((*taken, *_layers(store, taken, live, open_from)), Target(open_from, {}))
    tier = _hot_tier(hot)
    return Job(tuple(files_limited(tier)), Target(open_from if eager else dt.date.min, {})) if tier else None


def _layers(
    store: EventStore, closing: Sequence[EventFile], live: Sequence[EventFile], open_from: dt.date
) -> list[EventFile]:
    """Compacted files to merge with the rows of ``closing``; months not merged get a further layer."""
    existing = defaultdict(list)
    for file in live:
        if file.kind == "compacted" and file.month is not None:
            existing[file.month].append(file)
    merged: list[EventFile] = []
    for month, rows in rows_by_month(store, closing).items():
        held = sum(file.rows for file in existing[month])
        layers = sum(Fraction(1, file.buckets or 1) for file in existing[month])
        if month < open_from and (held + rows <= SMALL_MONTH_ROWS or rows * 4 >= held or layers >= MAX_LAYERS):
            merged += existing[month]
    return merged


def _hot_tier(hot: Sequence[EventFile]) -> list[EventFile]:
    """Hot files of one order of magnitude, once there are enough of them to be worth a merge."""
    tiers = defaultdict(list)
    for file in hot:
        tier, limit = 0, HOT_TIER_ROWS
        while file.rows >= limit:
            tier, limit = tier + 1, limit * HOT_TIER_FACTOR
        tiers[tier].append(file)
    for _, files in sorted(tiers.items()):
        if len(files) >= HOT_FILES_PER_TIER and sum(file.rows for file in files[:2]) <= ROWS_PER_JOB:
            return files
    return []


def files_limited(files: Sequence[EventFile]) -> list[EventFile]:
    """The oldest files up to the rows that one job may hold, at least one."""
    taken: list[EventFile] = []
    rows = 0
    for file in files:
        rows += file.rows
        if taken and rows > ROWS_PER_JOB:
            break
        taken.append(file)
    return taken
