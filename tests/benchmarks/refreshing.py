"""How long RFM and LTV of everybody take, from the order ledger to written traits, beside plain lifetimes doing the same."""

import datetime as dt
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import pandas as pd
from django.db import connection

from cdp.events.services import server_cursor
from cdp.profiles.models import ComputedTraits, ProfileSnapshot
from segments.computed_traits.models import ModelRun
from segments.computed_traits.services import traits_compute
from tests.benchmarks.report import Figure
from tests.benchmarks.world import Size

GROUPS = ["rfm", "ltv"]


@dataclass(frozen=True, slots=True)
class Plain:
    """What the library's own path took, in seconds, and what it found."""

    reading: float
    models: float
    writing: float
    parameters: dict[str, float]
    people: int
    orders: int


def _plain_lifetimes(as_of: dt.datetime) -> Plain:
    """The library's own path: rows into a DataFrame, summary, fits, the same forecasts and scores, a row per person back."""
    started = perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT i.profile_no, (o.ordered_at AT TIME ZONE 'UTC')::date, o.amount::float8 FROM cdp_order o
               JOIN cdp_identifier i USING (identifier_no) WHERE o.ordered_at < %s""",
            [as_of],
        )
        orders = pd.DataFrame(cursor.fetchall(), columns=["person", "day", "amount"])
    read_at = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, parameters = _plain_models(orders, (as_of - dt.timedelta(days=1)).date())
    modelled_at = perf_counter()
    with server_cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE plain_traits (profile_no bigint PRIMARY KEY, values jsonb)")
        with cursor.copy("COPY plain_traits FROM STDIN") as copy:
            for number, row in zip(found.index, found.to_dict("records"), strict=True):
                copy.write_row((number, json.dumps(row)))
        written_at = perf_counter()
        cursor.execute("DROP TABLE plain_traits")
    return Plain(
        read_at - started, modelled_at - read_at, written_at - modelled_at, parameters, len(found), len(orders)
    )


def _plain_models(orders: pd.DataFrame, last_day: dt.date) -> tuple[pd.DataFrame, dict[str, float]]:
    """No report card: that is more than the plain path has. Time in weeks, as in ours, so that parameters can be compared."""
    from lifetimes import BetaGeoFitter, GammaGammaFitter
    from lifetimes.utils import summary_data_from_transaction_data

    found = summary_data_from_transaction_data(orders, "person", "day", "amount", observation_period_end=last_day)
    frequency, recency, age, value = found["frequency"], found["recency"] / 7, found["T"] / 7, found["monetary_value"]
    bg = BetaGeoFitter(penalizer_coef=0.0)
    bg.fit(frequency, recency, age)
    spend = found[(frequency > 0) & (value > 0)]
    gg = GammaGammaFitter(penalizer_coef=0.0)
    gg.fit(spend["frequency"], spend["monetary_value"])
    mean = gg.conditional_expected_average_profit(frequency, value)
    found["probability_alive"] = bg.conditional_probability_alive(frequency, recency, age)
    for days in (90, 365):
        expected = bg.conditional_expected_number_of_purchases_up_to_time(days / 7, frequency, recency, age)
        found[f"predicted_{days}d_orders"], found[f"predicted_{days}d_amount"] = expected, expected * mean
    found["clv_365d_amount"] = gg.customer_lifetime_value(bg, frequency, recency, age, value, time=12, freq="W")
    for score, column, is_less_better in (("r", age - recency, True), ("f", frequency, False), ("m", value, False)):
        rank = column.rank(method="min", ascending=not is_less_better)
        found[score] = 1 + ((rank - 1) * 5 // len(found))
    return found.fillna(0.0), dict(bg.params_)  # it gives NaN where its formula overflows


def measure(size: Size, as_of: dt.datetime) -> Sequence[Figure]:
    """One fresh run of rfm and ltv, the next day's, and one run of the library."""
    ComputedTraits.objects.filter(group__in=GROUPS).delete()
    ProfileSnapshot.objects.filter(group__in=GROUPS).delete()
    ModelRun.objects.all().delete()
    yesterday = as_of - dt.timedelta(days=1)
    taken = []
    for moment in (yesterday, as_of):
        started = perf_counter()
        runs = traits_compute(moment, seed=7, groups=GROUPS, now=as_of)
        taken.append(perf_counter() - started)
    plain = _plain_lifetimes(as_of)
    ltv = next(run for run in runs if run.group == "ltv")
    gap = max(abs(ltv.parameters["orders"][key] / value - 1) for key, value in plain.parameters.items())
    whole = plain.reading + plain.models + plain.writing
    return [
        Figure(
            f"refresh of {plain.people:,} buyers, {plain.orders:,} orders, end to end",
            f"{taken[1]:.1f} s (first time {taken[0]:.1f} s)",
            "≥ 4× faster than plain lifetimes, same parameters to 1e-6",
            f"{whole:.1f} s plain lifetimes: {plain.reading:.1f} s reading, {plain.models:.1f} s models, "
            f"{plain.writing:.1f} s writing (×{whole / taken[1]:.1f})",
            "reached" if whole / taken[1] >= 4 and gap <= 1e-6 else "below",
            f"ltv {ltv.state} by {ltv.method}, with its report card; BG/NBD parameters differ by at most {gap:.1g}",
        )
    ]  # fmt: skip
