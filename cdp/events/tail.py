"""Rows of the recent window as Arrow tables, by COPY.

A process that reads the tail again and again keeps its rows: events never change, so it asks PostgreSQL which numbers are
there now, under which profile, and fetches only the rows it has not seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv as pc

from cdp.core.copying import numbers_read
from cdp.events.files.parquet import BASE_FIELDS, MOMENT, PROPERTIES_FIELD, events_schema
from cdp.events.files.properties import properties_project

__all__ = ["rows_read", "tail_read", "typed"]

ROWS_PER_TABLE = 65_536
BYTES_PER_TABLE = 64 << 20
KEPT_BYTES = 256 << 20
EXPRESSIONS = {
    "occurred_at": "(extract(epoch FROM e.occurred_at) * 1000000)::bigint",
    "received_at": "(extract(epoch FROM e.received_at) * 1000000)::bigint",
    "profile_no": "coalesce(o.profile_no, e.profile_no)",
}
RAW_SCHEMA = pa.schema([*BASE_FIELDS, PROPERTIES_FIELD])
COLUMN_TYPES = {field.name: pa.int64() if field.type == MOMENT else field.type for field in RAW_SCHEMA}

# Events of erased identifiers are left out here, and re-identified ones carry the profile of today.
SOURCE = """
FROM cdp_event e LEFT JOIN cdp_identifieroverlay o USING (identifier_no)
WHERE NOT EXISTS (SELECT FROM cdp_erasedidentifier x WHERE x.identifier_no = e.identifier_no)
"""

_kept: dict[tuple[str, tuple[tuple[str, str], ...]], pa.Table] = {}  # at most one


def rows_read(cursor: psycopg.Cursor[Any], condition: str, parameters: Sequence[int | list[int]]) -> Iterator[pa.Table]:
    """Event rows that meet ``condition`` (SQL over ``e``), in tables of at most 65,536 rows without the typed columns.

    One statement, hence one moment. Columns as in the files, overlay and tombstones applied.
    """
    columns = ", ".join(EXPRESSIONS.get(name, f"e.{name}") for name in RAW_SCHEMA.names)
    statement = f"COPY (SELECT {columns} {SOURCE} AND {condition}) TO STDOUT (FORMAT csv)"
    with cursor.copy(statement, parameters) as copy:
        lines: list[bytes] = []
        size = 0
        for line in copy:
            lines.append(bytes(line))
            size += len(lines[-1])
            if len(lines) == ROWS_PER_TABLE or size >= BYTES_PER_TABLE:
                yield _parse(lines)
                lines, size = [], 0
    if lines:
        yield _parse(lines)


def tail_read(cursor: psycopg.Cursor[Any], mark: int, property_types: Mapping[str, str], scope: str) -> pa.Table:
    """All event rows above ``mark`` with their typed columns, ordered by number, overlay and tombstones applied.

    ``scope`` names the store; rows kept for another one, or under other types, are not used.
    """
    now = numbers_read(
        cursor,
        f"SELECT e.event_no, {EXPRESSIONS['profile_no']} {SOURCE} AND e.event_no > %s ORDER BY 1",
        [mark],
        columns=2,
    )
    numbers, profiles = now[:, 0], now[:, 1]
    key = (scope, tuple(property_types.items()))
    kept = _kept.get(key, events_schema(property_types).empty_table())
    known = kept["event_no"].to_numpy()
    missing = np.setdiff1d(numbers, known, assume_unique=True)
    tables = [kept.filter(np.isin(known, numbers, assume_unique=True))]
    if len(missing):
        some = len(missing) < len(numbers)
        condition, parameter = ("e.event_no = ANY(%s)", missing.tolist()) if some else ("e.event_no > %s", mark)
        tables += [typed(table, property_types)[0] for table in rows_read(cursor, condition, [parameter])]
    tail = pa.concat_tables(tables).combine_chunks()
    tail = tail.take(np.argsort(tail["event_no"].to_numpy()))
    today = pa.array(profiles[np.searchsorted(numbers, tail["event_no"].to_numpy())], pa.int64())
    position = tail.schema.get_field_index("profile_no")
    tail = tail.set_column(position, tail.schema.field(position), today)
    _kept.clear()
    if tail.nbytes <= KEPT_BYTES:
        _kept[key] = tail
    return tail


def typed(table: pa.Table, property_types: Mapping[str, str]) -> tuple[pa.Table, dict[str, int]]:
    """``table`` with the typed columns of the declared properties, and the counts of wrongly typed values."""
    columns, bad = properties_project(table["properties"].to_pylist(), property_types)
    schema = events_schema(property_types)
    return pa.table([columns[n] if n in columns else table[n] for n in schema.names], schema=schema), bad


def _parse(lines: list[bytes]) -> pa.Table:
    table = pc.read_csv(
        pa.BufferReader(b"".join(lines)),
        read_options=pc.ReadOptions(column_names=RAW_SCHEMA.names, use_threads=False, block_size=1 << 30),
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=COLUMN_TYPES, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    return table.cast(RAW_SCHEMA)
