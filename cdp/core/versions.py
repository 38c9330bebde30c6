"""Has a small table changed? Asked in well under a millisecond, so that what was built from it can be kept until it has.

Takes a psycopg cursor or Django's wrapper of one, knows no Django. Table names are ours and never come from outside.
"""

from collections.abc import Sequence
from typing import Any

__all__ = ["tables_version", "tables_version_sql"]


def tables_version_sql(tables: Sequence[str]) -> str:
    """An SQL expression: text that differs whenever a row of one of ``tables`` was added, changed or removed, as its transaction sees it.

    PostgreSQL keeps every version of a row at a place (ctid) under the number of its writer (xmin). Reads whole tables: meant
    for catalogues of up to some thousand rows.
    """
    parts = (
        f"(SELECT count(*) || '.' || coalesce(sum(hashtextextended(ctid::text || xmin::text, 0)), 0) FROM {table})"  # noqa: S608
        for table in tables
    )
    return " || ' ' || ".join(parts)


def tables_version(cursor: Any, tables: Sequence[str]) -> str:
    """The value of ``tables_version_sql`` now."""
    cursor.execute(f"SELECT {tables_version_sql(tables)}")
    return str(cursor.fetchone()[0])
