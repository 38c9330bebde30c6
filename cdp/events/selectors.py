"""What people and pages ask of the event store: one person's timeline, names to suggest, how much there is."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
from django.db import connection
from django.db.models import Count, Q, Sum

from cdp.core.ids import IdentifierNo
from cdp.core.time import UTC
from cdp.events.files.corrections import corrections_read
from cdp.events.files.layout import bucket_of
from cdp.events.files.manifest import files_live, mark_read
from cdp.events.files.parquet import events_schema
from cdp.events.models import EventFile, EventName, InboxEvent
from cdp.events.reader import EventSnapshot, snapshot_transaction
from cdp.events.store import store_open
from cdp.events.upkeep import partition_days

__all__ = ["StoreFigures", "TimelineEvent", "event_names_suggest", "events_timeline", "store_figures"]

COLUMNS = (
    "event_no",
    "kind",
    "name",
    "occurred_at",
    "received_at",
    "source_no",
    "identifier_no",
    "order_id",
    "amount",
    "currency",
    "properties",
)


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One event as a profile page shows it."""

    event_no: int
    kind: str
    name: str
    occurred_at: dt.datetime
    received_at: dt.datetime
    source_no: int
    identifier_no: int
    order_id: str | None
    amount: Decimal | None
    currency: str | None
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """How much there is and how far behind anything is."""

    events: int
    hot_files: int
    compacted_files: int
    bytes: int
    unflushed: int
    waiting: int


def events_timeline(
    identifier_nos: Sequence[IdentifierNo], *, limit: int, before: tuple[dt.datetime, int] | None = None
) -> list[TimelineEvent]:
    """The latest events of a person's identifiers, newest first; ``before`` = (occurred_at, event_no) of the last seen.

    Comes from the recent window; files are opened only if one can hold events of the page that the window has dropped.
    """
    if not identifier_nos:
        return []
    with snapshot_transaction() as cursor:
        recent = _recent(identifier_nos, limit, before)
        window_from = dt.datetime.combine(min(partition_days(), default=dt.date.max), dt.time(), UTC)
        floor = recent[-1].occurred_at if len(recent) == limit else None
        files = [file for file in files_live() if _may_hold(file, identifier_nos, window_from, floor, before)]
        if not files:
            return recent
        corrections = corrections_read(cursor, files)
    snapshot = EventSnapshot(store_open().storage, files, corrections, events_schema({}).empty_table(), {}, "")
    with snapshot, duckdb.connect() as duck:
        snapshot.register(duck)
        older = _older(duck, identifier_nos, limit, before, window_from)
    return sorted([*recent, *older], key=lambda e: (e.occurred_at, e.event_no), reverse=True)[:limit]


def event_names_suggest(text: str, limit: int = 20) -> list[str]:
    """Known event names that contain ``text``, the most recently seen first."""
    known = EventName.objects.filter(name__icontains=text).order_by("-last_seen_at", "name")
    return list(known.values_list("name", flat=True)[:limit])


def store_figures() -> StoreFigures:
    """Counts for dashboards and checks; exact but for events of people whose erasure still waits in files."""
    files = EventFile.objects.filter(removed_at=None).aggregate(
        hot=Count("file_no", filter=Q(kind="hot")),
        compacted=Count("file_no", filter=Q(kind="compacted")),
        rows=Sum("rows", default=0),
        bytes=Sum("bytes", default=0),
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cdp_event WHERE event_no > %s", [mark_read()])
        (unflushed,) = cursor.fetchone()
    return StoreFigures(
        events=files["rows"] + unflushed,
        hot_files=files["hot"],
        compacted_files=files["compacted"],
        bytes=files["bytes"],
        unflushed=unflushed,
        waiting=InboxEvent.objects.count(),
    )


def _recent(identifier_nos: Sequence[int], limit: int, before: tuple[dt.datetime, int] | None) -> list[TimelineEvent]:
    condition = "AND (occurred_at, event_no) < (%s, %s)" if before else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(COLUMNS)} FROM cdp_event WHERE identifier_no = ANY(%s) {condition} "  # noqa: S608
            "ORDER BY occurred_at DESC, event_no DESC LIMIT %s",
            [list(identifier_nos), *(before or ()), limit],
        )
        return [_event(row) for row in cursor]


def _older(
    duck: duckdb.DuckDBPyConnection,
    identifier_nos: Sequence[int],
    limit: int,
    before: tuple[dt.datetime, int] | None,
    window_from: dt.datetime,
) -> list[TimelineEvent]:
    duck.register("wanted", pa.table({"identifier_no": pa.array(identifier_nos, pa.int64())}))
    moment, number = before or (dt.datetime.max.replace(tzinfo=UTC), 0)
    rows = duck.execute(
        f"SELECT {', '.join(COLUMNS)} FROM events SEMI JOIN wanted USING (identifier_no) "  # noqa: S608 - constants
        "WHERE received_at < ? AND (occurred_at < ? OR (occurred_at = ? AND event_no < ?)) "
        "ORDER BY occurred_at DESC, event_no DESC LIMIT ?",
        [_naive(window_from), _naive(moment), _naive(moment), number, limit],
    ).fetchall()
    return [_event(row) for row in rows]


def _may_hold(
    file: EventFile,
    identifier_nos: Sequence[int],
    window_from: dt.datetime,
    floor: dt.datetime | None,
    before: tuple[dt.datetime, int] | None,
) -> bool:
    return (
        file.min_received_at < window_from
        and (floor is None or file.max_occurred_at >= floor)
        and (before is None or file.min_occurred_at <= before[0])
        and (not file.buckets or any(bucket_of(number, file.buckets) == file.bucket for number in identifier_nos))
    )


def _event(row: Sequence[Any]) -> TimelineEvent:
    values = dict(zip(COLUMNS, row, strict=True))
    for name in ("occurred_at", "received_at"):
        values[name] = values[name].replace(tzinfo=UTC)
    try:
        properties = json.loads(values["properties"])
    except ValueError:
        properties = {}
    values["properties"] = properties if isinstance(properties, dict) else {}
    return TimelineEvent(**values)


def _naive(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
