"""What analysis reads: every event that is committed, each once, with the profile of today and nobody erased.

One REPEATABLE READ transaction takes the mark, the manifest, the corrections and the tail, so they belong together.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import psycopg
import pyarrow as pa
from django.conf import settings
from django.db import connection, transaction

from cdp.events.files.corrections import Corrections, corrections_read, file_parts
from cdp.events.files.manifest import files_live, mark_read, property_types_read
from cdp.events.files.parquet import events_schema
from cdp.events.files.relation import relation_sql
from cdp.events.models import EventFile
from cdp.events.storage import Storage
from cdp.events.store import store_open
from cdp.events.tail import tail_read

__all__ = ["EventSnapshot", "events_open", "events_version", "snapshot_transaction"]

# A flush moves rows from the tail into a file and changes none of these. jsonb orders its keys, so the text is stable.
VERSION_SQL = """
SELECT (SELECT coalesce(sum(rows), 0) FROM cdp_eventfile WHERE removed_at IS NULL) + t.rows,
       greatest((SELECT max(max_event_no) FROM cdp_eventfile WHERE removed_at IS NULL), t.event_no),
       (SELECT coalesce(sum(seq), 0) FROM cdp_identifieroverlay),
       (SELECT count(*) FROM cdp_identifieroverlay),
       (SELECT coalesce(sum(seq), 0) FROM cdp_erasedidentifier),
       (SELECT count(*) FROM cdp_eventfile WHERE removed_at IS NULL AND property_types <> p.types),
       p.types::text
FROM (SELECT coalesce(jsonb_object_agg(key, value_type), '{}') AS types FROM cdp_eventproperty) p,
     (SELECT count(*) AS rows, max(event_no) AS event_no FROM cdp_event WHERE event_no > %s) t
"""


class EventSnapshot:
    """Files, corrections and tail of one moment. A context manager: files stay readable inside the block.

    ``version`` changes whenever the answer of a query could.
    """

    def __init__(
        self,
        storage: Storage,
        files: list[EventFile],
        corrections: Corrections,
        tail: pa.Table,
        property_types: Mapping[str, str],
        version: str,
    ) -> None:
        self.files = files
        self.corrections = corrections
        self.tail = tail
        self.property_types = property_types
        self.version = version
        self._storage = storage
        self._open = ExitStack()
        self._paths: list[str] = []

    def __enter__(self) -> "EventSnapshot":
        self._paths = self._open.enter_context(self._storage.pinned([file.path for file in self.files]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def schema(self) -> pa.Schema:
        """Columns of the registered view."""
        return events_schema(self.property_types)

    def register(self, duck: Any, name: str = "events") -> None:
        """Make this snapshot the view ``name`` of a DuckDB connection, in place of an earlier one.

        The view answers until the snapshot is closed; it holds no rows itself but the tail's.
        """
        overlay, erased, tail = f"{name}__overlay", f"{name}__erased", f"{name}__tail"
        duck.register(overlay, self.corrections.overlay)
        duck.register(erased, self.corrections.erased)
        duck.register(tail, self.tail)
        parts = file_parts(self.files, self._paths, self.corrections)
        held = tail if self.tail.num_rows or not parts else None
        sql = relation_sql(parts, self.property_types, overlay, erased, held)
        duck.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {sql}")


def events_open(
    *, occurred_from: dt.datetime | None = None, occurred_to: dt.datetime | None = None, store: Any = None
) -> EventSnapshot:
    """All events of this moment; with limits, at least those with ``occurred_from <= occurred_at < occurred_to``.

    The limits only leave out whole files, so a query still states its own. Open it outside a transaction: inside one
    it reads with that transaction's isolation.
    """
    with snapshot_transaction() as cursor:
        mark = mark_read()
        version = _version(mark)
        property_types = property_types_read()
        files = [
            file
            for file in files_live()
            if (occurred_to is None or file.min_occurred_at < occurred_to)
            and (occurred_from is None or file.max_occurred_at >= occurred_from)
        ]
        corrections = corrections_read(cursor, files)
        tail = tail_read(cursor, mark, property_types, settings.CDP_EVENT_STORAGE_URL)
    return EventSnapshot((store or store_open()).storage, files, corrections, tail, property_types, version)


def events_version() -> str:
    """``EventSnapshot.version`` of this moment, without opening one."""
    with snapshot_transaction():
        return _version(mark_read())


@contextmanager
def snapshot_transaction() -> Iterator[psycopg.Cursor[Any]]:
    """A read-only transaction that sees one moment, and no partition goes away before it ends."""
    inside = connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            if not inside:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("LOCK TABLE ONLY cdp_event IN ACCESS SHARE MODE")  # before the moment is fixed
        with psycopg.Cursor(connection.connection) as raw:
            yield raw


def _version(mark: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute(VERSION_SQL, [mark])  # the mark as a literal: the planner must know how few rows lie above it
        return hashlib.sha256(repr(cursor.fetchone()).encode()).hexdigest()[:32]
