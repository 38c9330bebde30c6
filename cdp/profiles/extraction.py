"""Profiles out of PostgreSQL as typed Arrow tables: one COPY, traits unpacked once per row, types cast by DuckDB.

A value that does not fit the type of its column is NULL there (a trait may have been declared after it was said); the
profile itself keeps it.
"""

# ruff: noqa: S608 - names are ours or quoted, values are bound
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pc
from psycopg import sql

from cdp.profiles.columns import BASE, Column, parts_load, quoted
from cdp.profiles.selectors import traits_declared

__all__ = ["profiles_extract", "typed_empty"]

ROWS_PER_TABLE = 65_536
LIVING = "p.erased_at IS NULL AND p.merged_into_no IS NULL"


def _query(changed_since: int | None) -> sql.Composed:
    """Text columns of all living profiles, or of those changed since a number."""
    traits = traits_declared()
    everything = changed_since is None
    condition = LIVING if everything else f"{LIVING} AND p.change_seq > {int(changed_since or 0)}"
    scope = "TRUE" if everything else f"profile_no IN (SELECT p.profile_no FROM cdp_profile p WHERE {condition})"
    selected: list[sql.Composable] = [sql.SQL(f"{expression}") for _, expression in BASE]
    joins: list[sql.Composable] = []
    if traits:
        keys = [sql.Identifier(trait.key) for trait in traits]
        selected += [sql.SQL("t.{}").format(key) for key in keys]
        joins.append(
            sql.SQL(" CROSS JOIN LATERAL jsonb_to_record(p.traits) AS t ({})").format(
                sql.SQL(", ").join(sql.SQL("{} text").format(key) for key in keys)
            )
        )
    for name, part in parts_load():
        missing = sql.Literal(part.missing)
        selected += [
            sql.SQL("coalesce({}.{}::text, {})").format(sql.Identifier(name), sql.Identifier(column.name), missing)
            for column in part.columns
        ]
        joins.append(
            sql.SQL(" LEFT JOIN ({}) AS {} USING (profile_no)").format(
                sql.SQL(part.sql.replace("{scope}", scope)), sql.Identifier(name)
            )
        )
    return sql.SQL("COPY (SELECT {} FROM cdp_profile p{} WHERE {}{}) TO STDOUT (FORMAT csv)").format(
        sql.SQL(", ").join(selected),
        sql.SQL("").join(joins),
        sql.SQL(condition),
        sql.SQL(" ORDER BY p.profile_no" if everything else ""),
    )


def profiles_extract(cursor: Any, columns: Sequence[Column], changed_since: int | None = None) -> Iterator[pa.Table]:
    """Living profiles in tables of up to 65,536 rows, by number when all are asked for. ``columns`` from ``columns_load``."""
    duck = duckdb.connect(":memory:", config={"threads": 1})
    lines: list[bytes] = []
    try:
        with cursor.copy(_query(changed_since)) as copy:
            for line in copy:
                lines.append(bytes(line))
                if len(lines) == ROWS_PER_TABLE:
                    yield _typed(duck, lines, columns)
                    lines = []
        if lines:
            yield _typed(duck, lines, columns)
    finally:
        duck.close()


def typed_empty(columns: Sequence[Column]) -> pa.Table:
    """A table without rows."""
    with duckdb.connect(":memory:") as duck:
        nothing = pa.table({column.name: pa.array([], pa.string()) for column in columns})
        return _cast(duck, nothing, columns)


def _typed(duck: Any, lines: list[bytes], columns: Sequence[Column]) -> pa.Table:
    names = [column.name for column in columns]
    raw = pc.read_csv(
        pa.BufferReader(b"".join(lines)),
        read_options=pc.ReadOptions(column_names=names, use_threads=False, block_size=1 << 30),
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return _cast(duck, raw, columns)


def _cast(duck: Any, raw: pa.Table, columns: Sequence[Column]) -> pa.Table:
    duck.register("raw", raw)
    selected = ", ".join(f"{_cast_sql(column)} AS {quoted(column.name)}" for column in columns)
    return duck.sql(f"SELECT {selected} FROM raw").to_arrow_table()


def _cast_sql(column: Column) -> str:
    name = quoted(column.name)
    if column.type == "VARCHAR":
        return name
    if column.type.endswith("[]"):
        return f"TRY_CAST(TRY_CAST({name} AS JSON) AS {column.type})"
    return f"TRY_CAST({name} AS {column.type})"
