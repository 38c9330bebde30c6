"""What we computed of people: one group of values replaced as a whole, for the engine as a file and for the API as rows.

A million rows take seconds: values become JSON in DuckDB and travel by COPY; while few have changed only those are written.
"""

# ruff: noqa: S608 - names are ours or quoted, values are bound
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from django.db import connection, transaction

from cdp.core.copying import numbers_read
from cdp.events.services import server_cursor
from cdp.events.storage import staged
from cdp.events.store import EventStore, engine_connect, store_open
from cdp.profiles.columns import quoted
from cdp.profiles.models import ProfileSnapshot
from cdp.profiles.snapshot import relation_write, snapshot_key, snapshot_lock, snapshot_swap

__all__ = ["computed_traits_write", "not_living"]

log = structlog.get_logger(__name__)

ROWS_PER_BATCH = 65_536
# From here on, writing every row anew is quicker than finding the changed ones.
REWRITE_SHARE, REWRITE_ROWS = 0.5, 10_000


def computed_traits_write(group: str, table: pa.Table, as_of: dt.datetime, run_no: int, now: dt.datetime) -> int:
    """Replace the values of ``group`` by ``table`` (``profile_no`` and one column per key); returns the rows written.

    File and rows change in one transaction. People who were merged or erased meanwhile are left out. Rows whose values
    did not change keep the ``as_of`` and run they were written with, unless most of many changed: then all are written anew,
    which takes half the time. The group's own as-of and run stand in its snapshot.
    Raises ValueError for a table without ``profile_no``, with NULL or repeated numbers, or without value columns.
    """
    keys = [name for name in table.column_names if name != "profile_no"]
    numbers = table["profile_no"].combine_chunks() if "profile_no" in table.column_names else pa.array([], pa.int64())
    if not keys or "profile_no" not in table.column_names:
        raise ValueError("the table needs profile_no and at least one column of values")
    if numbers.null_count or len(pc.unique(numbers)) != len(numbers):
        raise ValueError("profile_no must be set and occur once")
    store = store_open()
    with snapshot_lock(), staged(store.storage) as path, engine_connect(store) as duck:
        duck.register("given", table)
        duck.register("gone", not_living())
        duck.execute(
            "CREATE TEMP VIEW kept AS SELECT * FROM given ANTI JOIN gone USING (profile_no) ORDER BY profile_no"
        )
        rows = relation_write(duck, "kept", path)
        key = snapshot_key(group, now)
        store.storage.put_file(path, key)
        with transaction.atomic():
            if rows >= REWRITE_ROWS and _changed_share(duck, store, group, keys) > REWRITE_SHARE:
                written = _rows_rewrite(duck, group, keys, as_of, run_no)
            else:
                written = _rows_replace(duck, group, keys, as_of, run_no)
            _erased_remove(group)
            snapshot_swap(ProfileSnapshot(group=group, path=key, rows=rows, run_no=run_no, as_of=as_of), now)
    log.info("computed_traits_written", group=group, rows=rows, changed=written)
    return rows


def not_living() -> pa.Table:
    """``profile_no`` of everybody who was merged or erased."""
    query = "SELECT profile_no FROM cdp_profile WHERE erased_at IS NOT NULL OR merged_into_no IS NOT NULL"
    with connection.cursor() as cursor:
        return pa.table({"profile_no": numbers_read(cursor, query)[:, 0]})


def _changed_share(duck: Any, store: EventStore, group: str, keys: Sequence[str]) -> float:
    """How much of the view ``kept`` is not in the group's snapshot as it is: 0 to 1; 1 without a snapshot of these columns."""
    current = ProfileSnapshot.objects.filter(group=group, removed_at=None).first()
    if current is None:
        return 1.0
    with store.storage.pinned([current.path]) as (path,):
        source = "read_parquet('" + path.replace("'", "''") + "')"
        described = duck.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        if {name for name, *_ in described} != {"profile_no", *keys}:
            return 1.0
        differs = " OR ".join(f"k.{quoted(key)} IS DISTINCT FROM o.{quoted(key)}" for key in keys)
        ((share,),) = duck.execute(
            f"SELECT avg((o.profile_no IS NULL OR {differs})::INT) FROM kept k LEFT JOIN {source} o USING (profile_no)"
        ).fetchall()
    return float(share or 0.0)


def _lines(duck: Any, keys: Sequence[str], tail: str = "") -> Iterator[str]:
    """Blocks of lines in COPY's text format: profile_no, the values as JSON, and ``tail``.

    Backslashes of the JSON are doubled; tabs and line ends are escaped in it already.
    """
    values = ", ".join(f"{quoted(key)} := {quoted(key)}" for key in keys)
    sql = (
        "SELECT profile_no || chr(9) || replace(to_json(struct_pack("
        + values
        + r"))::VARCHAR, '\', '\\') || $tail FROM kept"
    )
    for batch in duck.sql(sql, params={"tail": tail + "\n"}).to_arrow_reader(ROWS_PER_BATCH):
        yield "".join(batch.column(0).to_pylist())


def _rows_rewrite(duck: Any, group: str, keys: Sequence[str], as_of: dt.datetime, run_no: int) -> int:
    """Write every row of ``group`` anew from the view ``kept``; returns how many."""
    with server_cursor() as cursor:
        cursor.execute('DELETE FROM cdp_computedtraits WHERE "group" = %s', [group])
        with cursor.copy('COPY cdp_computedtraits (profile_no, "values", "group", as_of, run_no) FROM STDIN') as copy:
            for block in _lines(duck, keys, f"\t{group}\t{as_of.isoformat()}\t{run_no}"):
                copy.write(block)
        return cursor.rowcount


def _rows_replace(duck: Any, group: str, keys: Sequence[str], as_of: dt.datetime, run_no: int) -> int:
    """Bring the rows of ``group`` to the view ``kept``; returns how many were written or removed."""
    with server_cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE cdp_stage_computed (profile_no bigint, values jsonb) ON COMMIT DROP")
        with cursor.copy("COPY cdp_stage_computed (profile_no, values) FROM STDIN") as copy:
            for block in _lines(duck, keys):
                copy.write(block)
        cursor.execute("ANALYZE cdp_stage_computed")
        cursor.execute(
            'DELETE FROM cdp_computedtraits c WHERE c."group" = %s '
            "AND NOT EXISTS (SELECT FROM cdp_stage_computed s WHERE s.profile_no = c.profile_no)",
            [group],
        )
        changed = cursor.rowcount
        cursor.execute(
            """
            INSERT INTO cdp_computedtraits AS old (profile_no, "group", "values", as_of, run_no)
            SELECT s.profile_no, %s, s.values, %s, %s
            FROM cdp_stage_computed s
            LEFT JOIN cdp_computedtraits c ON c.profile_no = s.profile_no AND c."group" = %s
            WHERE c.values IS DISTINCT FROM s.values
            ON CONFLICT (profile_no, "group") DO UPDATE
            SET "values" = excluded."values", as_of = excluded.as_of, run_no = excluded.run_no
            """,
            [group, as_of, run_no, group],
        )
        changed += cursor.rowcount
        cursor.execute("DROP TABLE cdp_stage_computed")
    return changed


def _erased_remove(group: str) -> None:
    """Whoever was erased while the rows were written has none."""
    with server_cursor() as cursor:
        cursor.execute(
            "DELETE FROM cdp_computedtraits c USING cdp_profile p "
            'WHERE c.profile_no = p.profile_no AND p.erased_at IS NOT NULL AND c."group" = %s',
            [group],
        )
