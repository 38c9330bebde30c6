"""Rows of the recent window as Arrow tables, by COPY."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pc

from cdp.events.files.parquet import BASE_FIELDS, MOMENT, PROPERTIES_FIELD, events_schema
from cdp.events.files.properties import properties_project

__all__ = ["rows_read", "typed"]

ROWS_PER_TABLE = 65_536
BYTES_PER_TABLE = 64 << 20
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


def rows_read(cursor: psycopg.Cursor[Any], condition: str, parameters: Sequence[int]) -> Iterator[pa.Table]:
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
