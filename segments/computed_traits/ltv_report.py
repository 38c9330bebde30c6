"""How well did predicted orders and spend hold on days that the model did not see? The card behind every LTV figure.

The factor between truth and prediction is shown, not hidden in an interval: parameter uncertainty alone does not cover it.
Both baselines leave first orders out, as the model does; counting them in would make them easy to beat.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.computed_traits.contract import JsonValue
from segments.computed_traits.ltv import expected_orders, expected_spend
from segments.computed_traits.ltv_fit import FittedModels, models_fit
from segments.computed_traits.orders_summary import LaterOrders, OrderSummary, day_date
from segments.computed_traits.report import (
    Better,
    Check,
    ForecastErrors,
    Measure,
    forecast_errors,
    means_by_group,
    percent,
    tenths,
    within_limits,
)

type Floats = NDArray[np.float64]

BASELINES = ("Past rate goes on", "Same as last period")


@dataclass(frozen=True, slots=True)
class HoldoutTest:
    """The model learned on the days up to ``summary.cut_day``, tested on the days after."""

    summary: OrderSummary
    later: LaterOrders
    models: FittedModels
    orders: Floats
    amount: Floats
    order_errors: tuple[ForecastErrors, ForecastErrors, ForecastErrors]
    """Of the model and of the two baselines."""
    amount_errors: tuple[ForecastErrors, ForecastErrors, ForecastErrors]
    is_sample: bool
    """Drawn from more people."""


def holdout_test(summary: OrderSummary, later: LaterOrders, *, is_sample: bool) -> HoldoutTest:
    """Fit on the summary and forecast the days after it, beside the two baselines."""
    models = models_fit(summary)
    orders = expected_orders(models.orders, models.histories, later.days)[models.histories.inverse]
    amount = orders * expected_spend(models.spend, summary.repeat_orders, summary.repeat_amount_mean)
    ahead = later.days / np.maximum(summary.age_days, 1)
    order_guesses = (orders, summary.repeat_orders * ahead, later.previous_order_days)
    amount_guesses = (amount, summary.repeat_amount * ahead, later.previous_amount)
    errors = [forecast_errors(guess, later.order_days) for guess in order_guesses]
    amount_errors = [forecast_errors(guess, later.amount) for guess in amount_guesses]
    return HoldoutTest(
        summary,
        later,
        models,
        orders,
        amount,
        (errors[0], errors[1], errors[2]),
        (amount_errors[0], amount_errors[1], amount_errors[2]),
        is_sample,
    )


def publishing_checks(test: HoldoutTest) -> list[Check]:
    """The gate: mean errors below the past rate's, totals within limits, for orders and for spend."""
    checks: list[Check] = []
    for word, (model, past_rate, _) in (("orders", test.order_errors), ("spend", test.amount_errors)):
        checks.append(
            Check(
                f"Mean error of {word} below the past rate",
                model.mae < past_rate.mae,
                f"The mean error of {word} ({model.mae:.2f}) is no smaller than that of carrying on the past rate "
                f"({past_rate.mae:.2f}).",
            )
        )
        total = "unknown: nobody ordered" if model.total_ratio is None else f"×{model.total_ratio:.2f}"
        checks.append(
            Check(
                f"Total of {word} between ×0.7 and ×1.3",
                within_limits(model.total_ratio),
                f"The held-out total of {word} is outside 0.7 to 1.3 ({total}).",
            )
        )
    return checks


def holdout_report(test: HoldoutTest, checks: Sequence[Check]) -> dict[str, JsonValue]:
    """The report card's part on held-out time."""
    by_x = np.minimum(test.summary.repeat_orders, 7)
    labels = {x: str(x) for x in range(7)} | {7: "7 or more"}
    orders, amount = test.order_errors, test.amount_errors
    deciles = tenths(test.amount, test.later.amount)
    return {
        "headline": _headline(test),
        "holdout": {
            "cut_day": day_date(test.summary.cut_day).isoformat(),
            "days": test.later.days,
            "people": test.summary.people,
            "repeaters": int((test.summary.repeat_orders > 0).sum()),
            "is_sample": test.is_sample,
        },
        "baselines": [
            {"title": BASELINES[0], "description": "Orders or spend after the first day, per day so far, carried on."},
            {"title": BASELINES[1], "description": "What happened in as many days before, first orders left out."},
        ],
        "measures": [measure.to_json() for measure in _measures(orders, amount)],
        "errors": {
            "orders": [errors.to_json() for errors in orders],
            "amount": [errors.to_json() for errors in amount],
        },
        "tenths": {"of": "amount", "rows": deciles, "top_share": deciles[-1]["actual_share"]},
        "calibration": {
            "title": "Repeat orders before",
            "of": "orders",
            "rows": means_by_group(by_x, labels, test.orders, test.later.order_days),
        },
        "calibration_factor": {"orders": _inverse(orders[0].total_ratio), "amount": _inverse(amount[0].total_ratio)},
        "gate": {
            "rule": "Published when the mean error is below the past rate's and both totals lie between ×0.7 and ×1.3.",
            "checks": [{"title": check.title, "holds": check.holds} for check in checks],
        },
    }


def _measures(orders: tuple[ForecastErrors, ...], amount: tuple[ForecastErrors, ...]) -> list[Measure]:
    def row(key: str, title: str, unit: str, better: Better, errors: tuple[ForecastErrors, ...], name: str) -> Measure:
        figures: list[float | None] = [getattr(error, name) for error in errors]
        return Measure(key, title, unit, better, figures[0], tuple(figures[1:]))

    return [
        row("amount_mae", "Mean error per person, spend", "currency", "lower", amount, "mae"),
        row("amount_total", "Total, predicted ÷ actual spend", "ratio", "near_one", amount, "total_ratio"),
        row("orders_mae", "Mean error per person, orders", "orders", "lower", orders, "mae"),
        row("orders_total", "Total, predicted ÷ actual orders", "ratio", "near_one", orders, "total_ratio"),
        row("amount_gini", "Ranking (Gini, 1 is perfect)", "score", "higher", amount, "gini"),
        row("amount_top_lift", "Top tenth spends, against mean", "ratio", "higher", amount, "top_lift"),
    ]


def _inverse(ratio: float | None) -> float | None:
    return 1 / ratio if ratio else None


def _headline(test: HoldoutTest) -> str:
    """One or two sentences on how far to trust the numbers."""
    model, past_rate, _ = test.amount_errors
    share = model.mae / past_rate.mae if past_rate.mae else math.inf
    first = "No better than" if share >= 1 else f"{percent(1 - share)} less error than"
    first = f"{first} carrying on the past rate."
    orders_ratio, amount_ratio = test.order_errors[0].total_ratio, model.total_ratio
    if orders_ratio is None or amount_ratio is None:
        return f"{first} Nobody ordered in the test period."
    totals = f"held-out orders came out ×{orders_ratio:.2f} and spend ×{amount_ratio:.2f}"
    if abs(amount_ratio - 1) < 0.05:
        return f"{first} Totals fit: {totals}."
    word, advice = ("little", "higher") if amount_ratio < 1 else ("much", "lower")
    return (
        f"{first} It forecasts too {word}: {totals}. "
        f"Use it to compare groups; expect totals about {percent(abs(1 / amount_ratio - 1))} {advice}."
    )
