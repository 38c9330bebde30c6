"""How long a live count takes beside the same question written by hand in DuckDB SQL; how long a membership takes to write."""

import datetime as dt
from collections.abc import Sequence
from time import perf_counter

import duckdb
import numpy as np
from django.db import transaction

from cdp.events.reader import events_open
from cdp.events.store import engine_connect, store_open
from cdp.profiles.reader import profiles_register
from cdp.profiles.snapshot import profiles_snapshot_refresh
from segments.audiences import previewing
from segments.audiences.memberships import membership_replace
from segments.audiences.models import Membership, SegmentBitmap
from tests.benchmarks.report import Figure, seconds_median
from tests.benchmarks.world import Size

COUNTRY = {"type": "trait", "trait": "country", "operator": "in", "value": ["FR", "DE"]}
CONSENT = {"type": "consent", "purpose": "advertising", "state": "granted"}
BOUGHT = {
    "type": "event", "event": "Order Completed", "aggregate": {"function": "count"}, "operator": "at_least", "value": 3,
    "window": {"type": "last", "days": 90},
}  # fmt: skip
VIEWED = {
    "type": "event", "event": "Product Viewed", "aggregate": {"function": "count"}, "operator": "at_least", "value": 1,
    "where": [{"property": "category", "operator": "equals", "value": "cat03"}], "window": {"type": "last", "days": 30},
}  # fmt: skip
RULES: dict[str, tuple[list[object], str, str]] = {
    "attribute rule: country and consent": (
        [COUNTRY, CONSENT],
        # The same two numbers: members, and how many of them are identified.
        """SELECT count(*), count(*) FILTER (WHERE is_identified) FROM profiles
           WHERE t_country IN ('FR', 'DE') AND c_advertising = 'granted'""",
        "≤ 60 ms",
    ),
    "behavioural rule: 3 orders in 90 days": (
        [BOUGHT],
        """SELECT count(*) FROM (SELECT profile_no FROM events WHERE name = 'Order Completed'
           AND occurred_at >= $from90 AND occurred_at < $until GROUP BY profile_no HAVING count(*) >= 3)""",
        "≤ 300 ms",
    ),
    "behavioural rule: viewed a category in 30 days, with country": (
        [COUNTRY, VIEWED],
        """SELECT count(*) FROM profiles WHERE t_country IN ('FR', 'DE') AND profile_no IN (SELECT profile_no FROM events
           WHERE name = 'Product Viewed' AND p_category = 'cat03' AND occurred_at >= $from30 AND occurred_at < $until)""",
        "≤ 300 ms",
    ),
}


def _definition(conditions: list[object]) -> dict[str, object]:
    return {"version": 1, "where": {"type": "all", "conditions": conditions}}


def _by_hand(duck: duckdb.DuckDBPyConnection, sql: str, as_of: dt.datetime) -> int:
    naive = as_of.replace(tzinfo=None)
    values = {"until": naive, "from90": naive - dt.timedelta(days=90), "from30": naive - dt.timedelta(days=30)}
    row = duck.execute(sql, {k: v for k, v in values.items() if f"${k}" in sql}).fetchone()
    assert row is not None
    return int(row[0])


def measure(size: Size, as_of: dt.datetime) -> Sequence[Figure]:
    """Each rule through the whole path of the screen (parse to count), memory of earlier answers cleared every time."""
    profiles_snapshot_refresh(as_of)
    figures = []
    with events_open() as snapshot, engine_connect(store_open()) as duck:
        snapshot.register(duck)
        profiles_register(duck, groups=[])
        for what, (conditions, sql, reach) in RULES.items():
            definition = _definition(conditions)

            def ours(definition: object = definition) -> int:
                previewing._remembered.clear()
                return previewing.segment_preview(definition, as_of).count

            def raw(sql: str = sql) -> int:
                return _by_hand(duck, sql, as_of)

            counts = ours(), raw()
            mine, theirs = seconds_median(ours, runs=7), seconds_median(raw, runs=7)
            limit = float(reach.split()[1]) / 1000
            good = mine <= limit and mine <= 2 * theirs and counts[0] == counts[1]
            figures.append(
                Figure(
                    what, f"{mine * 1000:.0f} ms", f"{reach}, ≤ 2× by hand",
                    f"{theirs * 1000:.0f} ms by hand in DuckDB SQL (×{mine / theirs:.1f})",
                    "reached" if good else "below", f"{counts[0]:,} people, by hand {counts[1]:,}",
                )
            )  # fmt: skip
    return figures


def measure_membership(size: Size, as_of: dt.datetime) -> Sequence[Figure]:
    """First write of everybody, then 5 % out and 5 % in, rows and bitmap in one transaction."""
    segment_no = 999_999
    Membership.objects.filter(segment_no=segment_no).delete()
    SegmentBitmap.objects.filter(segment_no=segment_no).delete()
    everybody = np.arange(1, size.profiles + 1, dtype=np.int64)
    parts = np.random.default_rng(7).permutation(everybody)
    share = size.profiles // 20
    first = np.sort(parts[share:])
    started = perf_counter()
    with transaction.atomic():
        membership_replace(segment_no, 1, first, as_of)
    filled = perf_counter() - started
    taken = []
    inside, outside = first, np.sort(parts[:share])
    for number in range(5):
        leave = np.random.default_rng(number).choice(inside, share, replace=False)
        inside, outside = np.sort(np.concatenate([np.setdiff1d(inside, leave), outside])), np.sort(leave)
        started = perf_counter()
        with transaction.atomic():
            membership_replace(segment_no, 1, inside, as_of + dt.timedelta(minutes=number + 1))
        taken.append(perf_counter() - started)
    Membership.objects.filter(segment_no=segment_no).delete()
    SegmentBitmap.objects.filter(segment_no=segment_no).delete()
    churn = sorted(taken)[len(taken) // 2]
    return [
        Figure(
            f"{len(first):,} members, 5 % out and 5 % in", f"{churn:.2f} s", "≤ 1 s beyond the query",
            f"first fill {filled:.1f} s", "reached" if churn <= 1 else "below", "rows and bitmap in one transaction",
        )
    ]  # fmt: skip
