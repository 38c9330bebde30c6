"""Databases of the measurements on the server that is given."""

from urllib.parse import urlsplit

import psycopg
from psycopg import sql


def database_ensure(url: str, name: str, *, is_new: bool = False) -> str:
    """The address of database ``name`` on the server of ``url``, made when missing, made anew when ``is_new``."""
    with psycopg.connect(url, autocommit=True) as connection:
        if is_new:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlsplit(url)._replace(path=f"/{name}").geturl()
