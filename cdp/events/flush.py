"""From the recent window into files: the tail becomes Parquet and the mark moves, in one commit a file.

Writers are held up only for the instant in which the cut is taken. Killed anywhere, a flush leaves at most a file that no
manifest row names, which the sweeper removes.
"""

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psycopg
import pyarrow as pa
import structlog
from django.db import connection, transaction

from cdp.core.time import UTC
from cdp.events.files.layout import hot_key
from cdp.events.files.manifest import FLUSHED, OVERLAY, NewFile, files_add, mark_read, mark_write, property_types_read
from cdp.events.files.parquet import FileFacts, events_schema, events_write
from cdp.events.locks import LedgerCut, StoreLock, ledger_cut, store_guard
from cdp.events.storage import staged
from cdp.events.store import EventStore, store_open
from cdp.events.tail import rows_read, typed

__all__ = ["ROWS_PER_FILE", "FlushResult", "events_flush"]

ROWS_PER_FILE = 500_000
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FlushResult:
    """``rows`` now stand in ``files`` new files; ``bad_values`` counts wrongly typed properties by key."""

    files: int = 0
    rows: int = 0
    flushed_to: int = 0
    bad_values: Mapping[str, int] = field(default_factory=dict)


def events_flush(
    now: dt.datetime, *, store: EventStore | None = None, rows_per_file: int = ROWS_PER_FILE
) -> FlushResult:
    """Write every committed event that no file holds yet. Does nothing while another process flushes.

    Safe to repeat and to kill. Raises RetryableError when a writer holds the ledger for too long.
    """
    store = store or store_open()
    files, rows, bad = 0, 0, Counter[str]()
    with store_guard(StoreLock.FLUSH) as is_mine:
        if not is_mine:
            return FlushResult()
        with ledger_cut() as cut:
            mark = mark_read()
        property_types = property_types_read()
        while mark < cut.event_no:
            file = _file_write(store, mark, cut, property_types, now, rows_per_file, bad)
            reached = cut.event_no if file is None or file.facts.rows < rows_per_file else file.facts.max_event_no
            if not _commit(file, mark, reached):
                log.warning("flush_overtaken", mark=mark)
                break
            files, rows = files + (file is not None), rows + (file.facts.rows if file else 0)
            mark = reached
        if mark >= cut.event_no:
            _overlay_mark(cut)
    if files:
        log.info("events_flushed", files=files, rows=rows, bad_values=sum(bad.values()))
    return FlushResult(files, rows, mark, dict(bad))


def _file_write(
    store: EventStore,
    mark: int,
    cut: LedgerCut,
    property_types: dict[str, str],
    now: dt.datetime,
    limit: int,
    bad: Counter[str],
) -> NewFile | None:
    """The next ``limit`` rows above ``mark`` as a file on the storage; None when the range is empty."""
    with transaction.atomic(), psycopg.Cursor(connection.connection) as cursor:
        tables = _tables(cursor, mark, cut.event_no, limit, property_types, bad)
        first = next(tables, None)
        if first is None:
            return None
        with staged(store.storage) as path:
            facts: FileFacts = events_write(path, itertools.chain([first], tables), events_schema(property_types))
            key = hot_key(now.astimezone(UTC).date(), facts.min_event_no, facts.max_event_no)
            store.storage.put_file(path, key)
    return NewFile(key, facts, cut.overlay_seq, cut.erased_seq, property_types, day=now.astimezone(UTC).date())


def _tables(
    cursor: psycopg.Cursor[tuple[object, ...]],
    mark: int,
    up_to: int,
    limit: int,
    property_types: dict[str, str],
    bad: Counter[str],
) -> Iterator[pa.Table]:
    condition = "e.event_no > %s AND e.event_no <= %s ORDER BY e.event_no LIMIT %s"
    for raw in rows_read(cursor, condition, [mark, up_to, limit]):
        table, wrong = typed(raw, property_types)
        bad.update(wrong)
        yield table


def _commit(file: NewFile | None, mark: int, reached: int) -> bool:
    with transaction.atomic():
        if not mark_write(FLUSHED, mark, reached):
            return False
        files_add([file] if file else [])
    return True


def _overlay_mark(cut: LedgerCut) -> None:
    """Every row above the flushed mark was resolved after this cut, so older overlay rows concern files alone."""
    before = mark_read(OVERLAY)
    if before < cut.overlay_seq:
        mark_write(OVERLAY, before, cut.overlay_seq)
