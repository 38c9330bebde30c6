"""One statement, all its rows: for figures of a page that the ORM cannot say well. Values go in as binds."""

from collections.abc import Mapping
from typing import Any

from django.db import connection


def rows(sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """All rows of one statement with named binds."""
    with connection.cursor() as cursor:
        cursor.execute(sql, dict(parameters or {}))
        return list(cursor.fetchall())
