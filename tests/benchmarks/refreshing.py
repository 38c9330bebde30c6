"""How long RFM and LTV of everybody take, from the order ledger to written traits, beside plain lifetimes."""

import datetime as dt
import warnings
from collections.abc import Sequence
from time import perf_counter

import pandas as pd
from django.db import connection

from cdp.profiles.models import ComputedTraits
from segments.computed_traits.models import ModelRun
from segments.computed_traits.services import traits_compute
from tests.benchmarks.report import Figure
from tests.benchmarks.world import Size


def _plain_lifetimes(as_of: dt.datetime) -> tuple[float, dict[str, float], int, int]:
    """The library's own path on the same orders: summary, BG/NBD, Gamma-Gamma, 12-month CLV. Seconds, parameters, sizes."""
    from lifetimes import BetaGeoFitter, GammaGammaFitter
    from lifetimes.utils import summary_data_from_transaction_data

    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT i.profile_no, (o.ordered_at AT TIME ZONE 'UTC')::date, o.amount::float8 FROM cdp_order o
               JOIN cdp_identifier i USING (identifier_no) WHERE o.ordered_at < %s""",
            [as_of],
        )
        orders = pd.DataFrame(cursor.fetchall(), columns=["person", "day", "amount"])
    started = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = summary_data_from_transaction_data(
            orders, "person", "day", "amount", observation_period_end=(as_of - dt.timedelta(days=1)).date()
        )
        bg = BetaGeoFitter(penalizer_coef=0.0)
        bg.fit(summary["frequency"], summary["recency"], summary["T"])
        spend = summary[(summary["frequency"] > 0) & (summary["monetary_value"] > 0)]
        gg = GammaGammaFitter(penalizer_coef=0.0)
        gg.fit(spend["frequency"], spend["monetary_value"])
        gg.customer_lifetime_value(
            bg, summary["frequency"], summary["recency"], summary["T"], summary["monetary_value"], time=12, freq="D"
        )
    return perf_counter() - started, dict(bg.params_), len(orders), len(summary)


def measure(size: Size, as_of: dt.datetime) -> Sequence[Figure]:
    """One fresh run of rfm and ltv against one run of the library."""
    ComputedTraits.objects.filter(group__in=["rfm", "ltv"]).delete()
    ModelRun.objects.all().delete()
    started = perf_counter()
    runs = traits_compute(as_of, seed=7, groups=["rfm", "ltv"], now=as_of)
    ours = perf_counter() - started
    plain, parameters, orders, people = _plain_lifetimes(as_of)
    ltv = next(run for run in runs if run.group == "ltv")
    return [
        Figure(
            f"refresh of {people:,} buyers, {orders:,} orders, end to end", f"{ours:.1f} s",
            "≥ 4× faster than plain lifetimes, same parameters to 1e-6",
            f"{plain:.1f} s plain lifetimes without reading or writing (×{plain / ours:.1f})",
            "reached" if plain / ours >= 4 else "below",
            f"ltv {ltv.state} by {ltv.method}; lifetimes " + ", ".join(f"{k} {v:.6g}" for k, v in parameters.items()),
        )
    ]  # fmt: skip
