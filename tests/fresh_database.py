"""After a test that commits: every table and sequence as the migrations left it, seeds included.

Django's own flush would lose the seeds, and fail on the append-only tables.
"""

from collections.abc import Callable

from django.db import connection
from django.test import TransactionTestCase

IN_PUBLIC = "c.relnamespace = 'public'::regnamespace"
TABLES = f"""
SELECT quote_ident(c.relname) FROM pg_class c
WHERE {IN_PUBLIC} AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'django_migrations' ORDER BY 1
"""
SEQUENCES = f"SELECT quote_ident(c.relname) FROM pg_class c WHERE {IN_PUBLIC} AND c.relkind = 'S' ORDER BY 1"


def database_restorer() -> Callable[[], None]:
    """Remember what every table and sequence holds now; the returned function brings it back."""
    seeds: dict[str, bytes] = {}
    counters: dict[str, tuple[int, bool]] = {}
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        for (table,) in cursor.fetchall():
            with cursor.copy(f"COPY (SELECT * FROM {table}) TO STDOUT") as copy:
                seeds[table] = b"".join(bytes(part) for part in copy)
        cursor.execute(SEQUENCES)
        for (sequence,) in cursor.fetchall():
            cursor.execute(f"SELECT last_value, is_called FROM {sequence}")
            counters[sequence] = cursor.fetchone()

    def restore() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # no triggers, so the ledgers can be emptied
            cursor.execute(f"TRUNCATE {', '.join(seeds)}")
            for table, rows in seeds.items():
                if rows:
                    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        copy.write(rows)
            for sequence, (value, is_called) in counters.items():
                cursor.execute("SELECT setval(%s::regclass, %s, %s)", [sequence, value, is_called])
            cursor.execute("SET session_replication_role = origin")

    return restore


def flush_replace() -> None:
    """From now on transactional tests end with the restorer instead of Django's flush."""
    restore = database_restorer()

    def teardown(case: TransactionTestCase) -> None:
        restore()

    TransactionTestCase._fixture_teardown = teardown  # type: ignore[method-assign]
