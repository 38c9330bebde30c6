"""The relation ``profiles`` of a DuckDB connection: the last snapshot with every change since laid over it.

One REPEATABLE READ transaction takes the manifest and the changes, so they belong together.
"""

# ruff: noqa: S608 - names are ours or quoted, values are bound
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from django.db import connection, transaction

from cdp.core.copying import numbers_read
from cdp.core.versions import tables_version_sql
from cdp.events.services import server_cursor
from cdp.events.store import store_open
from cdp.profiles.columns import Column, columns_load, columns_sha256, columns_tables, quoted
from cdp.profiles.extraction import profiles_extract, typed_empty
from cdp.profiles.models import ProfileSnapshot

__all__ = ["PROFILES", "Moment", "ProfilesView", "moment_read", "read_moment", "version_read", "view_register"]

PROFILES = "profiles"
# More changes than this are folded into a new snapshot before reading.
MAX_CHANGES = 50_000

SNAPSHOTS_SQL = """
SELECT string_agg(snapshot_no::text, ',' ORDER BY snapshot_no), coalesce(max(change_seq) FILTER (WHERE "group" = 'profiles'), 0),
    {columns}
FROM cdp_profilesnapshot WHERE removed_at IS NULL
"""
# change_seq only grows, so the sum tells every change, also one that commits below a higher number. A statement of its own:
# with the bound as a value PostgreSQL knows that few rows lie above it and starts no parallel workers (5 ms).
CHANGES_SQL = "SELECT count(*) || ':' || coalesce(sum(change_seq), 0) FROM cdp_profile WHERE change_seq > %s"


@dataclass(frozen=True, slots=True)
class Moment:
    """What belongs together: files by group, the changes since the profiles' file, and the version they make."""

    snapshots: dict[str, ProfileSnapshot]
    columns: list[Column]
    changed_nos: pa.Array
    changed: pa.Table
    version: str

    def is_stale(self) -> bool:
        """Whether the profiles' file is missing, has other columns, or is too far behind to lay the changes over it."""
        current = self.snapshots.get(PROFILES)
        return (
            current is None
            or current.columns_sha256 != columns_sha256(self.columns)
            or len(self.changed_nos) > MAX_CHANGES
        )


@dataclass(slots=True)
class ProfilesView:
    """A registered view. A context manager: its files stay readable until it is closed.

    ``columns`` are {name: DuckDB type} of the view, ``version`` changes whenever an answer could.
    """

    version: str
    columns: dict[str, str]
    _open: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Let the files go."""
        self._open.close()

    def __enter__(self) -> "ProfilesView":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextmanager
def read_moment() -> Iterator[Any]:
    """A cursor whose reads all see one moment. Inside a transaction it reads with that transaction's isolation."""
    inside = connection.in_atomic_block
    with transaction.atomic():
        if not inside:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        with server_cursor() as cursor:
            yield cursor


def version_read(cursor: Any) -> str:
    """The version of what the cursor sees. Two statements: outside one snapshot a change between them shows at the next call."""
    cursor.execute(SNAPSHOTS_SQL.format(columns=tables_version_sql(columns_tables())))
    snapshots, change_seq, columns = cursor.fetchone()
    cursor.execute(CHANGES_SQL, [change_seq])
    return hashlib.sha256(repr((snapshots, cursor.fetchone(), columns)).encode()).hexdigest()[:32]


def moment_read() -> Moment:
    """Files and changes of this moment. A stale one carries no changes, since they cannot be used."""
    with read_moment() as cursor:
        columns = columns_load()
        version = version_read(cursor)
        snapshots = {row.group: row for row in ProfileSnapshot.objects.filter(removed_at=None)}
        moment = Moment(snapshots, columns, pa.array([], pa.int64()), typed_empty(columns), version)
        if moment.is_stale():
            return moment
        change_seq = snapshots[PROFILES].change_seq
        numbers = pa.array(
            numbers_read(
                cursor,
                "SELECT profile_no FROM cdp_profile WHERE change_seq > %s LIMIT %s",
                [change_seq, MAX_CHANGES + 1],
            )[:, 0]
        )
        changed = [] if len(numbers) > MAX_CHANGES else list(profiles_extract(cursor, columns, change_seq))
    return Moment(snapshots, columns, numbers, pa.concat_tables([moment.changed, *changed]), version)


def view_register(duck: Any, moment: Moment, groups: Sequence[str], name: str) -> ProfilesView:
    """Make ``moment`` the view ``name``, with the columns of the computed ``groups`` that have values.

    Raises ValueError for a stale moment, whose changes are not known.
    """
    if moment.is_stale():
        raise ValueError("the snapshot of profiles is missing or too old: renew it before reading")
    groups = [group for group in dict.fromkeys(groups) if group in moment.snapshots and group != PROFILES]
    view = ProfilesView(moment.version, {column.name: column.type for column in moment.columns})
    keys = [moment.snapshots[group].path for group in (PROFILES, *groups)]
    path, *group_paths = view._open.enter_context(store_open().storage.pinned(keys))
    selected = ", ".join(quoted(column.name) for column in moment.columns)
    source = f"SELECT {selected} FROM {_file(path)}"
    if len(moment.changed_nos):
        numbers, changed = f"{name}__changed_nos", f"{name}__changed"
        duck.register(f"{name}__arrow", pa.table({"profile_no": moment.changed_nos}))
        duck.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(numbers)} AS FROM {quoted(f'{name}__arrow')}")
        duck.register(f"{name}__arrow", moment.changed)
        duck.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(changed)} AS FROM {quoted(f'{name}__arrow')}")
        duck.unregister(f"{name}__arrow")
        source += f" ANTI JOIN {quoted(numbers)} USING (profile_no) UNION ALL SELECT {selected} FROM {quoted(changed)}"
    shown, joins = ["p.*"], []
    for group, group_path in zip(groups, group_paths, strict=True):
        described = duck.execute(f"DESCRIBE SELECT * FROM {_file(group_path)}").fetchall()
        values = {f"{group}__{key}": (key, kind) for key, kind, *_ in described if key != "profile_no"}
        view.columns |= {column: kind for column, (_, kind) in values.items()}
        renamed = ", ".join(f"{quoted(key)} AS {quoted(column)}" for column, (key, _) in values.items())
        shown += [f"{quoted(group)}.{quoted(column)}" for column in values]
        joins.append(
            f" LEFT JOIN (SELECT profile_no, {renamed} FROM {_file(group_path)}) {quoted(group)} USING (profile_no)"
        )
    sql = f"SELECT {', '.join(shown)} FROM ({source}) p{''.join(joins)}"
    duck.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {sql}")
    return view


def _file(path: str) -> str:
    return "read_parquet('" + path.replace("'", "''") + "')"
