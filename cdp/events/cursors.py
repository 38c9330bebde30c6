"""The bare psycopg cursor on Django's own connection, for bulk work that the ORM cannot say well."""

from typing import Any

import psycopg
from django.db import connection

__all__ = ["server_cursor"]


def server_cursor() -> psycopg.Cursor[Any]:
    """A cursor that binds on the server (arrays and bytes travel as binary) on Django's own connection."""
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)
