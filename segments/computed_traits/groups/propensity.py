"""How likely is each person to order in the next 90 days, and who stands out?"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segments.computed_traits.contract import JsonValue, TraitInputs, TraitOutcome, TraitSpec
from segments.computed_traits.ltv import summary_collapse
from segments.computed_traits.ltv_fit import data_shortage, purchase_model_fit
from segments.computed_traits.orders_summary import OrderSummary, day_date, orders_summarise, people_sample
from segments.computed_traits.propensity import (
    RECENCY_ALONE,
    IntentModel,
    ProbabilityErrors,
    intent_fit,
    intent_predict,
    order_probability,
    probability_errors,
)
from segments.computed_traits.report import Better, Check, Measure, gate_reason, percent, tenths
from segments.computed_traits.rfm import quintile_scores

GROUP = "intent"
TITLE = "Intent to order"
POSITION = 40
WINDOW_DAYS = 90
HIGH_LIFT = 2.0
SPECS = (
    TraitSpec("probability_90d", "Chance of an order in 90 days", "number", "share", "From 0 to 1. Estimate."),
    TraitSpec("decile", "Tenth by chance of an order", "number", "score", "10 is the tenth most likely to order."),
    TraitSpec(
        "is_high",
        "High intent",
        "boolean",
        "",
        "In the top tenth, and at least twice as likely to order as everybody was in the last 90 days.",
    ),
)
SAMPLE_PEOPLE = 200_000
MINIMUM_ANSWERS = 50  # of either kind, buyers and others, at both cuts
BASELINES = ("Orders model", "Days since last order alone")
type Floats = NDArray[np.float64]
type Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LaterCut:
    """Learned at the training cut, judged on the 90 days after the later one: model, then the baselines."""

    cut_day: int
    people: int
    base_share: float
    model: IntentModel
    errors: tuple[ProbabilityErrors, ...]
    tenths: list[dict[str, float]]


def compute(inputs: TraitInputs) -> TraitOutcome:
    """Published when it ranks better (AUC) and errs less (Brier) than both baselines on the latest 90 days."""
    summary, _ = orders_summarise(inputs.order_days, inputs.as_of_day)
    latest_cut = inputs.as_of_day - WINDOW_DAYS
    report: dict[str, JsonValue] = {
        "input": {
            "people": summary.people,
            "orders": inputs.order_days.orders,
            "currency": inputs.currency,
            "first_day": day_date(inputs.order_days.first_day).isoformat(),
            "last_day": day_date(inputs.as_of_day).isoformat(),
        }
    }
    if inputs.order_days.first_day > latest_cut - 2 * WINDOW_DAYS:
        return _refused(f"Not enough data: {4 * WINDOW_DAYS} days of orders are needed.", summary, report)
    train, trained = _cut(inputs, latest_cut - WINDOW_DAYS)
    test, tested = _cut(inputs, latest_cut)
    if shortage := data_shortage(train) or _answers_shortage(trained) or _answers_shortage(tested):
        return _refused(shortage, summary, report)
    later = _judge(train, trained, test, tested)
    checks = _checks(later)
    reason = gate_reason(checks)
    final = intent_fit(test, tested)
    probability = intent_predict(final, summary)
    decile = quintile_scores(probability, groups=10)
    is_high = (decile == 10) & (probability >= HIGH_LIFT * later.base_share)
    return TraitOutcome(
        verdict="refused" if reason else "published",
        reason=reason,
        method="logistic",
        unit="day",
        people=summary.people,
        parameters={**final.to_json(), "window_days": WINDOW_DAYS, "test": later.model.to_json()},
        report={**report, **_report(later, checks, probability, is_high)},
        table=None
        if reason
        else pa.table(
            {
                "profile_no": summary.profile_no,
                "probability_90d": np.round(probability, 6),
                "decile": decile.astype(np.float64),
                "is_high": is_high,
            }
        ),
    )


def _refused(reason: str, summary: OrderSummary, report: dict[str, JsonValue]) -> TraitOutcome:
    return TraitOutcome("refused", reason, "", "day", summary.people, {}, {**report, "headline": reason}, None)


def _cut(inputs: TraitInputs, cut_day: int) -> tuple[OrderSummary, Flags]:
    known, happened = orders_summarise(inputs.order_days, cut_day, ahead_days=WINDOW_DAYS)
    summary, later = people_sample(known, happened, SAMPLE_PEOPLE, inputs.seed)
    return summary, later.order_days > 0


def _answers_shortage(bought: Flags) -> str:
    buyers = int(bought.sum())
    if min(buyers, len(bought) - buyers) >= MINIMUM_ANSWERS:
        return ""
    return (
        f"Not enough data: {buyers:,} of {len(bought):,} people ordered within {WINDOW_DAYS} days; "
        f"{MINIMUM_ANSWERS} who did and {MINIMUM_ANSWERS} who did not are needed."
    )


def _judge(train: OrderSummary, trained: Flags, test: OrderSummary, tested: Flags) -> LaterCut:
    model = intent_fit(train, trained)
    histories = summary_collapse(test)
    orders_model = purchase_model_fit(histories, unit="week")
    probability = intent_predict(model, test)
    guesses = (
        probability,
        order_probability(orders_model, histories, WINDOW_DAYS)[histories.inverse],
        intent_predict(intent_fit(train, trained, RECENCY_ALONE), test),
    )
    return LaterCut(
        cut_day=test.cut_day,
        people=test.people,
        base_share=float(tested.mean()),
        model=model,
        errors=tuple(probability_errors(guess, tested) for guess in guesses),
        tenths=tenths(probability, tested),
    )


def _checks(later: LaterCut) -> list[Check]:
    model, *baselines = later.errors
    checks = []
    for title, baseline in zip(BASELINES, baselines, strict=True):
        checks += [
            Check(
                f"Ranks better than: {title.lower()}",
                model.auc > baseline.auc,
                f"It ranks people no better (AUC {model.auc:.4f}) than {title.lower()} ({baseline.auc:.4f}).",
            ),
            Check(
                f"Errs less than: {title.lower()}",
                model.brier < baseline.brier,
                f"Its error (Brier {model.brier:.4f}) is no smaller than with {title.lower()} ({baseline.brier:.4f}).",
            ),
        ]
    return checks


def _report(later: LaterCut, checks: list[Check], probability: Floats, is_high: Flags) -> dict[str, JsonValue]:
    best = later.errors[0]
    return {
        "headline": (
            f"The top tenth ordered ×{best.top_lift:.1f} as often as everybody; in all, {percent(later.base_share)} "
            f"ordered within {WINDOW_DAYS} days. {int(is_high.sum()):,} people stand out now."
        ),
        "holdout": {
            "cut_day": day_date(later.cut_day).isoformat(),
            "days": WINDOW_DAYS,
            "people": later.people,
            "base_share": later.base_share,
        },
        "baselines": [
            {
                "title": BASELINES[0],
                "description": "BG/NBD's chance of at least one order; it needs no answers to learn.",
            },
            {"title": BASELINES[1], "description": "The same regression on the days since the last order only."},
        ],
        "measures": [measure.to_json() for measure in _measures(later.errors)],
        "tenths": {"of": "probability", "rows": later.tenths, "top_share": later.tenths[-1]["actual_share"]},
        "calibration": {
            "title": "Tenth by chance",
            "of": "probability",
            "rows": [
                {"label": str(i), "people": row["people"], "predicted": row["predicted"], "actual": row["actual"]}
                for i, row in enumerate(later.tenths, start=1)
            ],
        },
        "gate": {
            "rule": "Published when it ranks better and errs less than both simple guesses.",
            "checks": [{"title": check.title, "holds": check.holds} for check in checks],
        },
        "high": {
            "people": int(is_high.sum()),
            "rule": f"Top tenth, and at least {HIGH_LIFT:.0f} times the {percent(later.base_share)} of everybody.",
            "expected_buyers": float(probability.sum()),
        },
    }


def _measures(errors: tuple[ProbabilityErrors, ...]) -> list[Measure]:
    def row(key: str, title: str, unit: str, better: Better) -> Measure:
        figures: list[float] = [getattr(error, key) for error in errors]
        return Measure(key, title, unit, better, figures[0], tuple(figures[1:]))

    return [
        row("auc", "Ranking (AUC, 1 is perfect)", "score", "higher"),
        row("average_precision", "Precision over all cut-offs", "score", "higher"),
        row("brier", "Squared error of the chance (Brier)", "score", "lower"),
        row("ece", "Gap between chance and share (ECE)", "share", "lower"),
        row("top_lift", "Top tenth orders, against mean", "ratio", "higher"),
    ]
