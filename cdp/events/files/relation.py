"""The relation ``events`` in DuckDB: files, corrections and tail as one table.

Plain: it gets file paths and Arrow tables and knows no database. Files that need no correction are read without one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from cdp.events.files.parquet import BASE_FIELDS, events_schema
from cdp.events.files.properties import property_column

__all__ = ["SQL_TYPES", "FilePart", "relation_sql"]

SQL_TYPES = {"text": "VARCHAR", "number": "DECIMAL(18,4)", "boolean": "BOOLEAN", "date": "DATE"}


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file as read: its typed columns, and which corrections newer than it may concern its rows."""

    path: str
    property_types: tuple[tuple[str, str], ...]
    needs_overlay: bool
    needs_erasure: bool


def relation_sql(
    files: Iterable[FilePart], property_types: Mapping[str, str], overlay: str, erased: str, tail: str | None
) -> str:
    """SELECT over ``files`` and ``tail`` with the columns of ``events_schema(property_types)``.

    ``overlay`` (identifier_no, profile_no), ``erased`` (identifier_no) and ``tail`` are names of DuckDB relations;
    the tail's rows are taken as they are. Columns that a file lacks, or holds in another type, are NULL.
    """
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for file in files:
        groups[file.property_types, file.needs_overlay, file.needs_erasure].append(file.path)
    parts = [
        _files_sql(paths, dict(held), property_types, overlay if moved else None, erased if gone else None)
        for (held, moved, gone), paths in sorted(groups.items())
    ]
    if tail is not None or not parts:
        columns = ", ".join(events_schema(property_types).names)
        parts.append(f"SELECT {columns} FROM {tail}" if tail else _empty_sql(property_types))  # noqa: S608 - own names
    return "\nUNION ALL\n".join(parts)


def _files_sql(
    paths: list[str], held: Mapping[str, str], wanted: Mapping[str, str], overlay: str | None, erased: str | None
) -> str:
    columns = []
    for field in BASE_FIELDS:
        moved = overlay and field.name == "profile_no"
        columns.append("coalesce(o.profile_no, f.profile_no) AS profile_no" if moved else f"f.{field.name}")
    for key, value_type in sorted(wanted.items()):
        column = property_column(key)
        absent = f"CAST(NULL AS {SQL_TYPES[value_type]}) AS {column}"
        columns.append(f"f.{column}" if held.get(key) == value_type else absent)
    columns.append("f.properties")
    names = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    sql = f"SELECT {', '.join(columns)} FROM read_parquet([{names}], hive_partitioning = false) f"  # noqa: S608 - quoted
    if overlay:
        sql += f" LEFT JOIN {overlay} o ON o.identifier_no = f.identifier_no"
    if erased:
        sql += f" WHERE NOT EXISTS (SELECT 1 FROM {erased} x WHERE x.identifier_no = f.identifier_no)"  # noqa: S608 - own names
    return sql


def _empty_sql(property_types: Mapping[str, str]) -> str:
    columns = [f"CAST(NULL AS {_sql_type(field.type)}) AS {field.name}" for field in events_schema(property_types)]
    return f"SELECT {', '.join(columns)} WHERE false"


def _sql_type(arrow_type: pa.DataType) -> str:
    names = {pa.int64(): "BIGINT", pa.string(): "VARCHAR", pa.timestamp("us"): "TIMESTAMP", pa.bool_(): "BOOLEAN"}
    return names.get(arrow_type) or {pa.date32(): "DATE", pa.decimal128(18, 4): "DECIMAL(18,4)"}[arrow_type]
