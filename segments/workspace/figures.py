"""The figures of the overview, each in one statement; those that pass over a big table are remembered for some seconds."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, Min

from cdp.screen.reading import rows
from cdp.screen.remember import Remembered, remembered
from segments.activation.models import RemovalReceipt

BIG_TABLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class People:
    total: int
    identified: int
    new_in_week: int

    @property
    def identified_share(self) -> float | None:
        return self.identified / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Orders:
    total: int
    amount: Decimal
    first_at: dt.datetime | None
    last_at: dt.datetime | None

    @property
    def months(self) -> int:
        if self.first_at is None or self.last_at is None:
            return 0
        return max(1, round((self.last_at - self.first_at).days / 30.44))


def people_count(now: dt.datetime) -> Remembered[People]:
    """Living profiles, those with an account, email or phone, and those first seen in the last 7 days."""

    def count() -> People:
        found = rows(
            "SELECT count(*), count(*) FILTER (WHERE is_identified), count(*) FILTER (WHERE first_seen_at >= %(week)s) "
            "FROM cdp_profile WHERE merged_into_no IS NULL AND erased_at IS NULL",
            {"week": now - dt.timedelta(days=7)},
        )
        return People(*found[0])

    return remembered("overview.people", BIG_TABLE_SECONDS, now, count)


def orders_count(now: dt.datetime) -> Remembered[Orders]:
    """Orders that stand, their amount, and the span of their dates."""

    def count() -> Orders:
        found = rows(
            "SELECT count(*), coalesce(sum(amount), 0), min(ordered_at), max(ordered_at) "
            "FROM cdp_order "
            "WHERE status <> 'cancelled' AND NOT (status = 'refunded' AND amount <= 0)"
        )
        return Orders(*found[0])

    return remembered("overview.orders", BIG_TABLE_SECONDS, now, count)


@dataclass(frozen=True, slots=True)
class Removals:
    open: int
    oldest_at: dt.datetime | None


def removals_open() -> Removals:
    """Opt-outs that no network has confirmed yet."""
    found = RemovalReceipt.objects.filter(confirmed_at=None).aggregate(n=Count("pk"), oldest=Min("received_at"))
    return Removals(found["n"], found["oldest"])


@dataclass(frozen=True, slots=True)
class NetworkSpeed:
    """How fast one network confirmed removals."""

    title: str
    confirmed: int
    half_within_seconds: float
    slowest_seconds: float


def network_speeds(now: dt.datetime) -> list[NetworkSpeed]:
    """Confirmed removals of the last 30 days by connection: how many, the median wait, the longest."""
    return [
        NetworkSpeed(*row)
        for row in rows(
            "SELECT c.title, count(*), "
            "percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM r.confirmed_at - r.received_at)), "
            "max(extract(epoch FROM r.confirmed_at - r.received_at)) "
            "FROM segments_removalreceipt r JOIN segments_audiencetarget t ON t.target_no = r.target_id "
            "JOIN segments_connection c ON c.id = t.connection_id "
            "WHERE r.confirmed_at >= %(since)s GROUP BY c.title ORDER BY 2 DESC",
            {"since": now - dt.timedelta(days=30)},
        )
    ]
