"""A file on its way in: chunk by chunk, each in one short transaction that also notes how far the file has come.

Killed at any moment, the next start of the same file goes on after the last committed chunk; run again to the end, it changes
nothing. Both follow from ids that belong to the rows (``files.rows``) and from one transaction per chunk.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from cdp.collect.chunks import ChunkResult, chunk_check, chunk_store
from cdp.collect.draining import HOPELESS, TRANSIENT
from cdp.collect.files.mapping import ColumnMapping, Kind, mapping_make, options_check
from cdp.collect.files.reading import Row, Table, cells_text, file_digest, table_open
from cdp.collect.files.refusals import Refusal, refusals_append
from cdp.collect.files.rows import RowReader
from cdp.collect.models import ImportRun, Source
from cdp.collect.sources import source_for_files
from cdp.collect.trait_columns import trait_columns_declare
from cdp.consent.selectors import purpose_ids
from cdp.core.errors import Problem, RejectedError, RetryableError

CHUNK_ROWS = 2_500  # an order may say two things, and a transaction holds at most 5,000
LOCK_SPACE = 7302
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """Where a run stands: rows by outcome, and the line of the file."""

    line: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    partly: int = 0

    def plus(self, line: int, done: ChunkResult) -> "ImportProgress":
        return ImportProgress(
            line,
            self.accepted + done.accepted,
            self.duplicates + done.duplicates,
            self.rejected + done.rejected,
            self.partly + done.partly,
        )


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """A file that can be used, and how it will be understood."""

    path: Path
    kind: Kind
    table: Table
    mapping: ColumnMapping
    sha256: str


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What one run did. ``rejects_path`` is None when nothing was refused."""

    run_no: int | None
    progress: ImportProgress
    resumed_at_line: int
    rejects_path: Path | None
    seconds: float


@dataclass(slots=True)
class _Walk:
    """The state of one run between chunks."""

    run: ImportRun
    reader: RowReader
    path: Path
    progress: ImportProgress
    on_progress: Callable[[ImportProgress], None]
    pending: list[Row] = field(default_factory=list)


def import_plan(path: Path, kind: Kind, options: Mapping[str, Any] | None = None) -> ImportPlan:
    """Open and understand a file without touching the database. Raises RejectedError with one clear sentence."""
    checked = options_check(dict(options or {}))
    table = table_open(path, delimiter=checked.get("delimiter"))
    return ImportPlan(path, kind, table, mapping_make(kind, table.columns, checked), file_digest(path))


def import_try(plan: ImportPlan, now: dt.datetime) -> ImportProgress:
    """Read every row and store nothing: what could be taken and what not, as far as that shows without the database."""
    reader = _reader(plan, now, now)
    progress = ImportProgress()
    for row in plan.table.rows():
        progress = progress.plus(row.line, chunk_check(reader, [row]))
    return progress


def import_run(
    plan: ImportPlan, source_name: str, now: dt.datetime, on_progress: Callable[[ImportProgress], None] = lambda _: None
) -> ImportSummary:
    """Bring a file in, or go on with it. Safe to repeat and to kill.

    Raises RejectedError when the same file is on its way in already, RetryableError when the database went away:
    running it again goes on.
    """
    started = time.monotonic()
    source = source_for_files(source_name)
    with _one_at_a_time(source, plan):
        run = _run_open(plan, source)
        resumed_at = run.lines_done
        stated_at = (
            ImportRun.objects.filter(source=source, kind=plan.kind, file_sha256=plan.sha256)
            .order_by("run_no")
            .values_list("started_at", flat=True)[0]
        )
        trait_columns_declare(plan.mapping, plan.table)
        walk = _Walk(
            run,
            _reader(plan, stated_at, now),
            rejects_path_of(run),
            ImportProgress(run.lines_done, run.accepted, run.duplicates, run.rejected),
            on_progress,
        )
        _walk(plan, walk, now)
        ImportRun.objects.filter(pk=run.pk).update(
            state="done", finished_at=now + dt.timedelta(seconds=time.monotonic() - started)
        )
    run.refresh_from_db()
    done = walk.progress
    logger.info(
        "file_imported",
        run_no=run.run_no,
        kind=plan.kind,
        accepted=done.accepted,
        duplicates=done.duplicates,
        rejected=done.rejected,
    )
    return ImportSummary(
        run.run_no, done, resumed_at, walk.path if run.rejects_bytes else None, time.monotonic() - started
    )


def rejects_path_of(run: ImportRun) -> Path:
    """Where the refused rows of a run stand."""
    return Path(settings.DATA_DIR) / "imports" / f"rejects-{run.run_no}.csv"


def _reader(plan: ImportPlan, stated_at: dt.datetime, now: dt.datetime) -> RowReader:
    purposes = frozenset(purpose_ids()) if plan.kind == "consents" else frozenset[str]()
    return RowReader(plan.mapping, stated_at, now, settings.CONFIG.cdp_currency, purposes)


@contextmanager
def _one_at_a_time(source: Source, plan: ImportPlan) -> Iterator[None]:
    """Hold this file for this database session; a killed process lets go of it."""
    key = int(plan.sha256[:7], 16) ^ (source.pk & 0xFFFFFFF)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_SPACE, key])
        if not cursor.fetchone()[0]:
            raise RejectedError(
                "This file is being imported already; wait for that run to end.", code="conflict", field="path"
            )
    try:
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, key])
        except (InterfaceError, OperationalError):
            connection.close()  # the session is gone and its lock with it


def _run_open(plan: ImportPlan, source: Source) -> ImportRun:
    """The unfinished run of this file, understood the same way, or a new one."""
    mapping = plan.mapping.as_json()
    unfinished = ImportRun.objects.filter(source=source, kind=plan.kind, file_sha256=plan.sha256, state="running")
    same = unfinished.filter(mapping=mapping).order_by("-run_no").first()
    others = unfinished.exclude(pk=same.pk) if same else unfinished
    others.update(state="failed", error="started again with another mapping")
    if same is not None:
        return same
    run = ImportRun(
        source=source, kind=plan.kind, file_name=plan.path.name[:200], file_sha256=plan.sha256, mapping=mapping
    )
    run.save(force_insert=True)
    run.rejects_path = str(rejects_path_of(run))
    run.save(update_fields=["rejects_path"])
    return run


def _walk(plan: ImportPlan, walk: _Walk, now: dt.datetime) -> None:
    for row in plan.table.rows():
        if row.line <= walk.run.lines_done:
            walk.reader.skip(row)
            continue
        walk.pending.append(row)
        if len(walk.pending) == CHUNK_ROWS:
            _rows_take(walk, walk.pending, now)
            walk.pending = []
    if walk.pending:
        _rows_take(walk, walk.pending, now)


def _rows_take(walk: _Walk, rows: list[Row], now: dt.datetime) -> None:
    """One chunk, one transaction. A chunk that cannot be stored is halved until the row that spoils it stands alone."""
    try:
        _chunk_commit(walk, rows, now)
    except TRANSIENT as error:
        raise RetryableError("the database went away; run the same command again and it goes on") from error
    except HOPELESS as error:
        walk.run.refresh_from_db()
        if len(rows) == 1:
            problem = Problem("", "not_storable", f"The row could not be stored ({type(error).__name__}).")
            _chunk_commit(walk, [replace(rows[0], fault=problem.message.rstrip("."))], now)
            return
        middle = len(rows) // 2
        _rows_take(walk, rows[:middle], now)
        _rows_take(walk, rows[middle:], now)


def _chunk_commit(walk: _Walk, rows: list[Row], now: dt.datetime) -> None:
    with transaction.atomic():
        run = ImportRun.objects.select_for_update().get(pk=walk.run.pk)
        if run.lines_done != walk.run.lines_done:
            raise RejectedError("Another process goes on with this run.", code="conflict", field="path")
        done = chunk_store(run, walk.reader, rows, now)
        refusals = [Refusal(row.line, problem, cells_text(row), is_kept) for row, problem, is_kept in done.refusals]
        run.rejects_bytes = refusals_append(walk.path, run.rejects_bytes, refusals) if refusals else run.rejects_bytes
        run.lines_done = rows[-1].line
        run.accepted += done.accepted
        run.duplicates += done.duplicates
        run.rejected += done.rejected
        run.save(update_fields=["lines_done", "accepted", "duplicates", "rejected", "rejects_bytes"])
    walk.run = run
    walk.reader.settle()
    walk.progress = walk.progress.plus(run.lines_done, done)
    walk.on_progress(walk.progress)
