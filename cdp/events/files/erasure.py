"""Erased people physically out of the files.

Readers leave them out from the moment of the tombstone; this makes it final. Only files that hold such rows are written
again, each by itself, without those rows and otherwise as it was; for all others the manifest notes that there is nothing
of these people in them. The replaced files go from the storage with the sweep.
"""

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog
from django.db import connection, transaction
from django.db.models import Min

from cdp.events.files.corrections import corrections_read, files_note, files_touched
from cdp.events.files.layout import compacted_key, hot_key
from cdp.events.files.manifest import NewFile, RewriteResult, files_live, files_swap
from cdp.events.files.parquet import events_schema, events_write
from cdp.events.locks import StoreLock, ledger_cut, store_guard
from cdp.events.models import ErasedIdentifier, EventFile
from cdp.events.storage import staged
from cdp.events.store import EventStore, store_open

__all__ = ["identifiers_erased", "store_rewrite_erased"]

log = structlog.get_logger(__name__)


def store_rewrite_erased(now: dt.datetime, *, store: EventStore | None = None) -> RewriteResult:
    """Remove erased identifiers from every file that holds them, and date their tombstones ``now``.

    Does nothing while another process rewrites files; safe to repeat and to kill.
    """
    store = store or store_open()
    with store_guard(StoreLock.FILES) as is_mine:
        if not is_mine:
            return RewriteResult()
        with ledger_cut() as cut:
            pass
        files = [file for file in files_live() if file.erased_seq < cut.erased_seq]
        with psycopg.Cursor(connection.connection) as cursor:
            erased = corrections_read(cursor, files).erased
        touched = files_touched(store, files, erased, "erased_seq", change="true")
        files_note([file for file in files if file not in touched], erased_seq=cut.erased_seq)
        write = partial(_without, store, erased=erased["identifier_no"], erased_seq=cut.erased_seq)
        rewritten = 0
        with ThreadPoolExecutor(store.threads) as writers:
            for file, new in zip(touched, writers.map(write, touched), strict=True):
                rewritten += files_swap([file.file_no], [new] if new else [])
        settled = _settle(now)
    if rewritten or settled:
        log.info("erased_rewritten", files=rewritten, settled=settled)
    return RewriteResult(rewritten, len(files) - len(touched), settled)


def identifiers_erased(identifier_nos: Sequence[int]) -> bool:
    """Whether no file on the storage, listed or waiting for the sweep, can hold a row of these identifiers."""
    newest = ErasedIdentifier.objects.filter(identifier_no__in=identifier_nos).order_by("-seq").first()
    return newest is None or not EventFile.objects.filter(erased_seq__lt=newest.seq).exists()


def _without(store: EventStore, file: EventFile, *, erased: pa.ChunkedArray, erased_seq: int) -> NewFile | None:
    """A file like ``file`` without the rows of ``erased``; None when none is left. Touches no database."""
    schema = events_schema(file.property_types)
    with store.storage.pinned([file.path]) as (path,), staged(store.storage) as draft:
        tables = _rows_without(Path(path), schema, erased)
        first = next(tables, None)
        if first is None:
            return None
        facts = events_write(draft, itertools.chain([first], tables), schema)
        if file.month is None or file.bucket is None or file.buckets is None:
            key = hot_key(file.day or dt.date.min, facts.min_event_no, facts.max_event_no)
        else:
            key = compacted_key(file.month, file.bucket, file.buckets)
        store.storage.put_file(draft, key)
    return NewFile(
        key,
        facts,
        file.overlay_seq,
        erased_seq,
        file.property_types,
        day=file.day,
        month=file.month,
        bucket=file.bucket,
        buckets=file.buckets,
    )


def _rows_without(path: Path, schema: pa.Schema, erased: pa.ChunkedArray) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as parquet:
        for group in range(parquet.num_row_groups):
            rows = parquet.read_row_group(group, use_threads=False).cast(schema)
            kept = rows.filter(pc.invert(pc.is_in(rows["identifier_no"], value_set=erased)))
            if kept.num_rows:
                yield kept


def _settle(now: dt.datetime) -> int:
    """Date the tombstones that every live file has taken in."""
    with transaction.atomic():
        taken_in = EventFile.objects.filter(removed_at=None).aggregate(low=Min("erased_seq"))["low"]
        waiting = ErasedIdentifier.objects.filter(rewritten_at=None)
        if taken_in is not None:
            waiting = waiting.filter(seq__lte=taken_in)
        return waiting.update(rewritten_at=now)
