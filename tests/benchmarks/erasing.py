"""How long it takes until a person is gone from tables and files: one, and a hundred at once.

Runs last, since it changes the company; the next run makes it anew.
"""

import datetime as dt
from collections.abc import Sequence
from time import perf_counter

from django.db import connection

from cdp.core.time import utc_now
from cdp.events.reader import events_open
from cdp.events.services import store_rewrite_erased
from cdp.events.store import engine_connect, store_open
from cdp.identity.services import profile_erase
from cdp.profiles.services import profiles_upkeep
from cdp.profiles.snapshot import profiles_snapshot_refresh
from tests.benchmarks.report import Figure
from tests.benchmarks.world import Size


def _chosen(people: int) -> list[int]:
    """Living people from all over the company, each with two identifiers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT profile_no FROM cdp_profile WHERE erased_at IS NULL AND merged_into_no IS NULL "
            "AND hashint8(profile_no) %% 997 = 1 ORDER BY profile_no LIMIT %s",
            [people],
        )
        return [row[0] for row in cursor.fetchall()]


def _rows_held(profile_nos: Sequence[int]) -> int:
    with events_open() as snapshot, engine_connect(store_open()) as duck:
        snapshot.register(duck)
        found = duck.execute("SELECT count(*) FROM events WHERE profile_no IN (SELECT unnest(?))", [list(profile_nos)])
        return int(found.fetchall()[0][0])


def _erase(people: int) -> tuple[float, int]:
    """Seconds until tables and files are clean, as the command ``erase`` does it, and the events they had."""
    chosen = _chosen(people)
    had = _rows_held(chosen)
    started = perf_counter()
    now = utc_now()
    for profile_no in chosen:
        profile_erase(profile_no, "bench", now)
    store_rewrite_erased(utc_now())
    profiles_upkeep(utc_now())
    seconds = perf_counter() - started
    if len(chosen) != people or not had or _rows_held(chosen):
        raise AssertionError("the measurement erased nobody, or not everything")
    return seconds, had


def measure(size: Size, as_of: dt.datetime) -> Sequence[Figure]:
    """One person, then a hundred, everywhere but at the networks. The daily writing from scratch is done before."""
    profiles_snapshot_refresh(utc_now(), is_full=True)
    one, one_had = _erase(1)
    many, many_had = _erase(100)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cdp_profile WHERE erased_at IS NOT NULL")  # the next run makes the company anew
    return [
        Figure(
            f"erase one person at {size.profiles:,} people and {size.events:,} events", f"{one:.1f} s", "≤ 5 s", "–",
            "reached" if one <= 5 else "below", f"tables and files; {one_had:,} events",
        ),
        Figure(
            "erase 100 people at once", f"{many:.1f} s", "≤ 30 s", "–",
            "reached" if many <= 30 else "below", f"tables and files; {many_had:,} events",
        ),
    ]  # fmt: skip
