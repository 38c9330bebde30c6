"""What each person is expected to order and spend, held against time that the model did not see."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segments.computed_traits.contract import JsonObject, JsonValue, TraitInputs, TraitOutcome, TraitSpec
from segments.computed_traits.ltv import (
    discounted_orders,
    expected_orders,
    expected_spend,
    orders_by_month,
    probability_alive,
)
from segments.computed_traits.ltv_fit import FittedModels, data_shortage, models_fit
from segments.computed_traits.ltv_report import holdout_report, holdout_test, publishing_checks
from segments.computed_traits.orders_summary import OrderSummary, day_date, orders_summarise, people_sample
from segments.computed_traits.report import concentration, gate_reason, histogram, histogram_edges

GROUP = "ltv"
TITLE = "Predicted value"
POSITION = 20
SPECS = (
    TraitSpec("probability_alive", "Still a buyer", "number", "share", "Probability of ever ordering again. Estimate."),
    TraitSpec("predicted_90d_orders", "Orders, next 90 days", "number", "days", "Expected days with an order."),
    TraitSpec("predicted_365d_orders", "Orders, next 365 days", "number", "days", "Expected days with an order."),
    TraitSpec("predicted_90d_amount", "Value, next 90 days", "number", "currency", "Expected spend. Estimate."),
    TraitSpec("predicted_365d_amount", "Value, next 365 days", "number", "currency", "Expected spend. Estimate."),
    TraitSpec(
        "clv_365d_amount",
        "Value, next 365 days, discounted",
        "number",
        "currency",
        "Expected spend of 12 months, each discounted by 1 % a month. Estimate.",
    ),
)
HOLDOUT_DAYS = 39 * 7
MINIMUM_HOLDOUT_DAYS = 28
REPORT_PEOPLE = 200_000  # more add seconds and no precision: the errors' own errors are below 1 % by then
MONTHLY_DISCOUNT = 0.01
type Floats = NDArray[np.float64]


def compute(inputs: TraitInputs) -> TraitOutcome:
    """Published when it beats the past rate in mean error and both held-out totals are within limits."""
    summary, _ = orders_summarise(inputs.order_days, inputs.as_of_day)
    base = _input_report(inputs, summary)
    days = min(HOLDOUT_DAYS, (inputs.as_of_day - inputs.order_days.first_day + 1) // 2)
    if days < MINIMUM_HOLDOUT_DAYS:
        return _refused(f"Not enough data: {2 * MINIMUM_HOLDOUT_DAYS} days of orders are needed.", summary, base)
    if shortage := data_shortage(summary):
        return _refused(shortage, summary, base)
    known, happened = orders_summarise(inputs.order_days, inputs.as_of_day - days, ahead_days=days)
    before, later = people_sample(known, happened, REPORT_PEOPLE, inputs.seed)
    if shortage := data_shortage(before):
        return _refused(f"Before {day_date(before.cut_day + 1)}, the test period: {shortage}", summary, base)
    test = holdout_test(before, later, is_sample=before.people < known.people)
    models = models_fit(summary)
    checks = publishing_checks(test)
    reason = gate_reason(checks)
    table = None if reason else _table(summary, models)  # a refused forecast is neither kept nor drawn
    return TraitOutcome(
        verdict="refused" if reason else "published",
        reason=reason,
        method=f"{models.orders.kind}_{models.spend.kind}",
        unit=models.orders.unit,
        people=summary.people,
        parameters={
            "orders": models.orders.to_json(),
            "spend": models.spend.to_json(),
            "test": {"orders": test.models.orders.to_json(), "spend": test.models.spend.to_json()},
            "monthly_discount": MONTHLY_DISCOUNT,
        },
        report={
            **base,
            **holdout_report(test, checks),
            "flags": [*models.orders.flags, *models.spend.flags],
            "distinct_histories": len(models.histories),
            **({} if table is None else _value_report(table)),
        },
        table=table,
    )


def _refused(reason: str, summary: OrderSummary, report: JsonObject) -> TraitOutcome:
    return TraitOutcome("refused", reason, "", "week", summary.people, {}, {**report, "headline": reason}, None)


def _table(summary: OrderSummary, models: FittedModels) -> pa.Table:
    inverse = models.histories.inverse
    spend = expected_spend(models.spend, summary.repeat_orders, summary.repeat_amount_mean)
    by_month = orders_by_month(models.orders, models.histories)
    orders_90d = expected_orders(models.orders, models.histories, 90)[inverse]
    orders_365d = by_month[-1][inverse]
    discounted = discounted_orders(by_month, monthly_discount=MONTHLY_DISCOUNT)[inverse]
    return pa.table(
        {
            "profile_no": summary.profile_no,
            "probability_alive": np.round(probability_alive(models.orders, models.histories)[inverse], 6),
            "predicted_90d_orders": np.round(orders_90d, 6),
            "predicted_365d_orders": np.round(orders_365d, 6),
            "predicted_90d_amount": np.round(orders_90d * spend, 4),
            "predicted_365d_amount": np.round(orders_365d * spend, 4),
            "clv_365d_amount": np.round(discounted * spend, 4),
        }
    )


def _input_report(inputs: TraitInputs, summary: OrderSummary) -> dict[str, JsonValue]:
    return {
        "input": {
            "people": summary.people,
            "repeaters": int((summary.repeat_orders > 0).sum()),
            "orders": inputs.order_days.orders,
            "currency": inputs.currency,
            "first_day": day_date(inputs.order_days.first_day).isoformat(),
            "last_day": day_date(inputs.as_of_day).isoformat(),
        }
    }


def _value_report(table: pa.Table) -> dict[str, JsonValue]:
    value: Floats = table["predicted_365d_amount"].to_numpy()
    return {
        "value": {
            "total": float(value.sum()),
            "discounted_total": float(table["clv_365d_amount"].to_numpy().sum()),
            "median": float(np.median(value)),
            "mean": float(value.mean()),
            "top_share": 0.05,
            "top_share_holds": concentration(value, 0.05),
            "histogram": histogram(value, histogram_edges(value)),
        },
    }
