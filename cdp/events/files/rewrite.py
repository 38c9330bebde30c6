"""Files into files: the one machine behind compaction, folding of corrections and erasure.

It reads whole files with every correction applied, sorts them (spilling to disk beyond the memory limit), and writes one
file per occurred month and hash bucket; what belongs to a month that is still open goes to a hot file. Declared
properties that a file does not hold yet are taken out of its JSON on the way.
"""

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from cdp.events.files.corrections import Corrections, file_parts
from cdp.events.files.layout import MAX_BUCKETS, bucket_sql, buckets_for, compacted_key, hot_key, month_of
from cdp.events.files.manifest import NewFile
from cdp.events.files.parquet import events_schema, events_write, runs_split
from cdp.events.files.relation import relation_sql
from cdp.events.locks import LedgerCut
from cdp.events.models import EventFile
from cdp.events.storage import staged
from cdp.events.store import EventStore, engine_connect
from cdp.events.tail import typed

__all__ = ["Target", "files_rewrite", "rows_by_month"]

ROWS_PER_TABLE = 65_536
HOT = -1
SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows go: those of months before ``open_from`` by month and bucket, the others to one hot file.

    ``buckets`` fixes the number of buckets of some months; the others get ``buckets_for`` their rows.
    """

    open_from: dt.date
    buckets: Mapping[dt.date, int]


def rows_by_month(store: EventStore, files: Sequence[EventFile]) -> dict[dt.date, int]:
    """How many rows of ``files`` occurred in each UTC month, corrections aside. Reads one column."""
    with store.storage.pinned([file.path for file in files]) as paths, engine_connect(store) as duck:
        counted = duck.execute(
            "SELECT date_trunc('month', occurred_at)::date, count(*) "
            "FROM read_parquet(?, hive_partitioning = false) GROUP BY 1 ORDER BY 1",
            [paths],
        ).fetchall()
    return dict(counted)


def files_rewrite(
    store: EventStore,
    files: Sequence[EventFile],
    corrections: Corrections,
    cut: LedgerCut,
    property_types: Mapping[str, str],
    target: Target,
) -> list[NewFile]:
    """New files with the rows of ``files``, on the storage but in no manifest yet.

    ``corrections`` must hold at least what ``cut`` promises. Raises RuntimeError when rows got lost or doubled on the
    way: a bug, and the old files stay.
    """
    with store.storage.pinned([file.path for file in files]) as paths, engine_connect(store) as duck:
        duck.register("overlay", corrections.overlay)
        duck.register("erased", corrections.erased)
        parts = file_parts(files, paths, corrections)
        duck.execute(
            f"CREATE TEMP VIEW {SOURCE} AS {relation_sql(parts, property_types, 'overlay', 'erased', tail=None)}"
        )
        expected, buckets = _months_register(duck, target)
        schema = events_schema(property_types)
        missing = {
            key: kind
            for key, kind in property_types.items()
            if any(file.property_types.get(key) != kind for file in files)
        }
        day = max((file.day for file in files if file.day), default=dt.date.min)
        tables = _sorted_tables(duck, schema, target, missing)
        written = [
            _slot_write(store, slot, (rows for _, rows in group), schema, cut, property_types, day, buckets)
            for slot, group in itertools.groupby(runs_split(tables, "slot"), key=lambda run: run[0])
        ]
    found = sum(file.facts.rows for file in written)
    held = sum(file.rows for file in files)
    if found != expected or expected > held or (expected < held and not corrections.erased.num_rows):
        raise RuntimeError(f"a rewrite of {held} rows counted {expected} and wrote {found}")
    return written


def _months_register(duck: Any, target: Target) -> tuple[int, dict[dt.date, int]]:
    """Fix the number of buckets of every closed month; returns the number of rows and those buckets."""
    counted = duck.execute(
        f"SELECT date_trunc('month', occurred_at)::date, count(*) FROM {SOURCE} GROUP BY 1 ORDER BY 1"  # noqa: S608
    ).fetchall()
    buckets = {
        month: target.buckets.get(month) or buckets_for(rows) for month, rows in counted if month < target.open_from
    }
    months = pa.table(
        {
            "month": pa.array(list(buckets), pa.date32()),
            "buckets": pa.array(list(buckets.values()), pa.int64()),
        }
    )
    duck.register("months", months)
    return sum(rows for _, rows in counted), buckets


def _sorted_tables(duck: Any, schema: pa.Schema, target: Target, missing: Mapping[str, str]) -> Iterator[pa.Table]:
    """Rows with their slot, ordered as they are written: hot rows by number, the others by profile and time."""
    columns = ", ".join(f"s.{name}" for name in schema.names)
    query = f"""
        SELECT {columns},
               coalesce((datediff('month', DATE '0001-01-01', m.month) * {MAX_BUCKETS}
                         + {bucket_sql("s.identifier_no", "m.buckets")})::BIGINT, {HOT}) AS slot
        FROM {SOURCE} s LEFT JOIN months m ON m.month = date_trunc('month', s.occurred_at)::date
        ORDER BY slot,
                 CASE WHEN m.month IS NULL THEN NULL ELSE s.profile_no END,
                 CASE WHEN m.month IS NULL THEN NULL ELSE s.occurred_at END,
                 s.event_no
    """  # noqa: S608 - own names and constants
    for batch in duck.sql(query).to_arrow_reader(ROWS_PER_TABLE):
        table = pa.Table.from_batches([batch])
        slot = table["slot"].cast(pa.int64())
        rows = table.drop_columns(["slot"]).cast(schema)
        if missing:
            filled = typed(rows, missing)[0]
            for key in missing:
                name = f"p_{key}"
                rows = rows.set_column(rows.schema.get_field_index(name), schema.field(name), filled[name])
        yield rows.append_column("slot", slot)


def _slot_write(
    store: EventStore,
    slot: int,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    cut: LedgerCut,
    property_types: Mapping[str, str],
    day: dt.date,
    buckets: Mapping[dt.date, int],
) -> NewFile:
    with staged(store.storage) as path:
        facts = events_write(path, tables, schema)
        if slot == HOT:
            key = hot_key(day, facts.min_event_no, facts.max_event_no)
            place: dict[str, Any] = {"day": day}
        else:
            month, bucket = month_of(facts.min_occurred_at), slot % MAX_BUCKETS
            key = compacted_key(month, bucket, buckets[month])
            place = {"month": month, "bucket": bucket, "buckets": buckets[month]}
        store.storage.put_file(path, key)
    return NewFile(key, facts, cut.overlay_seq, cut.erased_seq, dict(property_types), **place)
