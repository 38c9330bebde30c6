"""The typed columnar copy of all living profiles that the engine reads, and the files it lies in.

Commit order as in the event store: the file is whole and durable first, then its manifest row replaces the last one in
one transaction; removed files go after the longest reader. A refresh normally rewrites the last file with the changes
since; everything is read again when the columns are others, and by ``is_full``.
"""

# ruff: noqa: S608 - names are ours or quoted, values are bound
import datetime as dt
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import structlog
from django.db import connection, transaction

from cdp.events.locks import LOCK_SPACE, ledger_cut
from cdp.events.storage import staged
from cdp.events.store import engine_connect, store_open
from cdp.profiles.columns import Column, columns_load, columns_sha256
from cdp.profiles.extraction import profiles_extract, typed_empty
from cdp.profiles.models import ProfileSnapshot
from cdp.profiles.view import PROFILES, moment_read, read_moment, view_register

__all__ = ["profiles_snapshot_refresh", "snapshot_current", "snapshot_key", "snapshot_swap", "snapshots_sweep"]

log = structlog.get_logger(__name__)

PREFIX = "profiles"
SNAPSHOT_LOCK = 30
KEEP_REMOVED = dt.timedelta(hours=1)
ROW_GROUP_ROWS = 131_072


@contextmanager
def snapshot_lock() -> Iterator[None]:
    """One writer of snapshots at a time; others wait. Ends with the session."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_SPACE, SNAPSHOT_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, SNAPSHOT_LOCK])


def snapshot_current(group: str) -> ProfileSnapshot | None:
    """The file of a group that readers use now."""
    return ProfileSnapshot.objects.filter(group=group, removed_at=None).first()


def profiles_snapshot_refresh(now: dt.datetime, *, is_full: bool = False) -> ProfileSnapshot:
    """Write the living profiles with their typed columns to a new file and make it current.

    Safe at any time and from several processes: writers wait only for the instant in which the cut is taken.
    Raises RetryableError when a writer keeps the ledger too long.
    """
    with snapshot_lock():
        columns = columns_load()
        with ledger_cut(), connection.cursor() as cursor:
            cursor.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM cdp_profile_change_seq")
            (change_seq,) = cursor.fetchone()
        store, key = store_open(), snapshot_key(PROFILES, now)
        with staged(store.storage) as path:
            moment = None if is_full else moment_read()
            if moment is None or moment.is_stale() or moment.columns != columns:
                full_at: dt.datetime | None = now
                with read_moment() as cursor:
                    rows = _write(path, profiles_extract(cursor, columns), columns)
            else:
                full_at = moment.snapshots[PROFILES].full_at
                with engine_connect(store) as duck, view_register(duck, moment, (), "profiles"):
                    rows = relation_write(duck, "profiles", path)
            store.storage.put_file(path, key)
        snapshot = ProfileSnapshot(
            group=PROFILES,
            path=key,
            rows=rows,
            change_seq=change_seq,
            full_at=full_at,
            columns_sha256=columns_sha256(columns),
        )
        snapshot_swap(snapshot, now)
    log.info("profiles_snapshot_refreshed", rows=rows, change_seq=change_seq)
    return snapshot


def snapshot_key(group: str, now: dt.datetime) -> str:
    """A key that was never used before."""
    return f"{PREFIX}/{group}/{now:%Y%m%dT%H%M%S}-{secrets.token_hex(6)}.parquet"


def relation_write(duck: Any, relation: str, path: Path) -> int:
    """A DuckDB relation as a Parquet file in its own order; returns its rows."""
    duck.execute(
        f"COPY (SELECT * FROM {relation}) TO '{path}' "
        f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )
    return int(pq.read_metadata(path).num_rows)


def snapshot_swap(snapshot: ProfileSnapshot, now: dt.datetime) -> ProfileSnapshot:
    """Make ``snapshot`` the current one of its group; its file is on the storage already."""
    with transaction.atomic():
        ProfileSnapshot.objects.filter(group=snapshot.group, removed_at=None).update(removed_at=now)
        snapshot.created_at = now
        snapshot.save(force_insert=True)
    return snapshot


def _write(path: Path, tables: Iterable[pa.Table], columns: list[Column]) -> int:
    rows = 0
    with pq.ParquetWriter(path, typed_empty(columns).schema, compression="zstd", compression_level=3) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
            rows += table.num_rows
    return rows


def snapshots_sweep(now: dt.datetime) -> int:
    """Delete files that have had no reader for an hour: removed ones with their rows, and those no row names."""
    storage = store_open().storage
    swept = 0
    for snapshot in ProfileSnapshot.objects.filter(removed_at__lt=now - KEEP_REMOVED):
        storage.delete(snapshot.path)
        snapshot.delete()
        swept += 1
    named = set(ProfileSnapshot.objects.values_list("path", flat=True))
    for stored in storage.list(PREFIX):
        if stored.key not in named and stored.modified_at < now - KEEP_REMOVED:
            storage.delete(stored.key)
            swept += 1
    return swept
