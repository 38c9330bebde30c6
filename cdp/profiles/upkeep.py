"""What keeps the engine's copies of people small, fresh and free of anybody who was erased."""

import datetime as dt

import structlog

from cdp.events.storage import staged
from cdp.events.store import engine_connect, store_open
from cdp.profiles.computing import not_living
from cdp.profiles.models import Profile, ProfileSnapshot
from cdp.profiles.snapshot import (
    profiles_snapshot_refresh,
    relation_write,
    snapshot_current,
    snapshot_key,
    snapshot_lock,
    snapshot_swap,
    snapshots_sweep,
)
from cdp.profiles.view import PROFILES, moment_read

__all__ = ["profiles_upkeep"]

log = structlog.get_logger(__name__)

# From this many changes on a reader would notice them; folding them in costs about a second a million people.
FOLD_CHANGES = 5_000
FULL_EVERY = dt.timedelta(days=1)


def profiles_upkeep(now: dt.datetime) -> None:
    """Fold changes into the snapshot when there are many, rewrite copies that hold somebody erased, sweep old files.

    Safe at any time. The snapshot is written from scratch once a day.
    """
    current = snapshot_current(PROFILES)
    if current is not None:
        moment = moment_read()
        if moment.is_stale() or len(moment.changed_nos) >= FOLD_CHANGES or _erased_since(current.created_at):
            profiles_snapshot_refresh(now, is_full=current.full_at is None or current.full_at <= now - FULL_EVERY)
    for snapshot in ProfileSnapshot.objects.filter(removed_at=None).exclude(group=PROFILES):
        if _erased_since(snapshot.created_at):
            _group_rewrite(snapshot.group, now)
    snapshots_sweep(now)


def _erased_since(moment: dt.datetime) -> bool:
    return Profile.objects.filter(erased_at__gte=moment).exists()


def _group_rewrite(group: str, now: dt.datetime) -> None:
    """The current file of a computed group without people who are gone."""
    store = store_open()
    with snapshot_lock():
        snapshot = snapshot_current(group)
        if snapshot is None:
            return
        with (
            store.storage.pinned([snapshot.path]) as (path,),
            staged(store.storage) as new,
            engine_connect(store) as duck,
        ):
            duck.register("gone", not_living())
            escaped = path.replace("'", "''")
            duck.execute(
                f"CREATE TEMP VIEW kept AS SELECT * FROM read_parquet('{escaped}') ANTI JOIN gone USING (profile_no)"  # noqa: S608
            )
            rows = relation_write(duck, "kept", new)
            key = snapshot_key(group, now)
            store.storage.put_file(new, key)
        snapshot_swap(
            ProfileSnapshot(group=group, path=key, rows=rows, run_no=snapshot.run_no, as_of=snapshot.as_of), now
        )
    log.info("computed_group_rewritten", group=group, rows=rows)
