"""What an event file looks like: its columns, and writing one so that it is whole or absent."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cdp.core.time import UTC
from cdp.events.files.properties import ARROW_TYPES, property_column

__all__ = ["BASE_FIELDS", "FileFacts", "events_schema", "events_write", "runs_split"]

ROW_GROUP_ROWS = 131_072
ZSTD_LEVEL = 3

MOMENT = pa.timestamp("us")
BASE_FIELDS: list[pa.Field] = [
    pa.field("event_no", pa.int64(), nullable=False),
    pa.field("source_no", pa.int64(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("name", pa.string(), nullable=False),
    pa.field("occurred_at", MOMENT, nullable=False),
    pa.field("received_at", MOMENT, nullable=False),
    pa.field("identifier_no", pa.int64(), nullable=False),
    pa.field("profile_no", pa.int64(), nullable=False),
    pa.field("order_id", pa.string()),
    pa.field("amount", pa.decimal128(18, 4)),
    pa.field("currency", pa.string()),
    pa.field("message_id", pa.string(), nullable=False),
]
PROPERTIES_FIELD: pa.Field = pa.field("properties", pa.string(), nullable=False)
# A dictionary pays where values repeat; for the others it would be built, found too large and thrown away.
UNREPEATED = {"event_no", "message_id", "properties", "order_id", "occurred_at", "received_at"}
DELTA_ENCODED = {name: "DELTA_BINARY_PACKED" for name in ("event_no", "occurred_at", "received_at")}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the manifest says of a written file."""

    rows: int
    bytes: int
    sha256: str
    min_event_no: int
    max_event_no: int
    min_occurred_at: dt.datetime
    max_occurred_at: dt.datetime
    min_received_at: dt.datetime


def events_schema(property_types: Mapping[str, str]) -> pa.Schema:
    """Columns of the event relation, in order; times are UTC without a zone."""
    declared = [pa.field(property_column(key), ARROW_TYPES[kind]) for key, kind in sorted(property_types.items())]
    return pa.schema([*BASE_FIELDS, *declared, PROPERTIES_FIELD])


def events_write(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> FileFacts:
    """Write ``tables`` (at least one row in all, columns of ``schema``) to ``path`` in row groups of 131,072 rows.

    Holds one row group in memory. The caller makes the file durable and visible (``Storage.put_file``).
    """
    numbers: list[tuple[int, int]] = []
    moments: list[tuple[dt.datetime, dt.datetime]] = []
    received: list[dt.datetime] = []
    rows = 0
    dictionaries = [name for name in schema.names if name not in UNREPEATED]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=dictionaries,
        column_encoding=DELTA_ENCODED,
        store_decimal_as_integer=True,
        store_schema=False,
    ) as writer:
        for table in _regrouped(tables, ROW_GROUP_ROWS):
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
            numbers.append(_range(table["event_no"]))
            moments.append(_range(table["occurred_at"]))
            received.append(_range(table["received_at"])[0])
            rows += table.num_rows
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(
        rows=rows,
        bytes=path.stat().st_size,
        sha256=digest,
        min_event_no=min(low for low, _ in numbers),
        max_event_no=max(high for _, high in numbers),
        min_occurred_at=min(low for low, _ in moments).replace(tzinfo=UTC),
        max_occurred_at=max(high for _, high in moments).replace(tzinfo=UTC),
        min_received_at=min(received).replace(tzinfo=UTC),
    )


def runs_split(tables: Iterable[pa.Table], column: str) -> Iterator[tuple[int, pa.Table]]:
    """Cut a stream that is ordered by the integer ``column`` where it changes; yields (value, rows without it).

    A value may come several times in a row: group neighbours with ``itertools.groupby``.
    """
    for table in tables:
        if not table.num_rows:
            continue
        runs = pc.run_end_encode(pa.concat_arrays(table[column].chunks))
        rest = table.drop_columns([column])
        start = 0
        for value, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            yield value, rest.slice(start, end - start)
            start = end


def _regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        if count >= rows:
            whole = pa.concat_tables(waiting)
            full = count // rows * rows
            yield whole.slice(0, full)
            waiting, count = [whole.slice(full)], count - full
    if count:
        yield pa.concat_tables(waiting)


def _range(column: pa.ChunkedArray) -> tuple[Any, Any]:
    extremes = pc.min_max(column)
    return extremes["min"].as_py(), extremes["max"].as_py()
