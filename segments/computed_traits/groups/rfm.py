"""Recency, frequency and spend of every person, and the name of their cell."""

import numpy as np
import pyarrow as pa

from segments.computed_traits.contract import JsonObject, TraitInputs, TraitOutcome, TraitSpec
from segments.computed_traits.orders_summary import OrderSummary, day_date, orders_summarise
from segments.computed_traits.rfm import RfmScores, cell_labels, rfm_cells, rfm_score, score_ranges

GROUP = "rfm"
TITLE = "Recency, frequency and spend"
POSITION = 10
SPECS = (
    TraitSpec("orders_days", "Days with an order", "number", "days", "Distinct days with an order, as of the run."),
    TraitSpec("days_since_last_order", "Days since last order", "number", "days", "Whole days, as of the run."),
    TraitSpec("amount_total", "Total spend", "number", "currency", "All orders, net of refunds and cancellations."),
    TraitSpec("amount_mean", "Spend per order day", "number", "currency", "Total spend by days with an order."),
    TraitSpec("r", "Recency score", "number", "score", "5 is the fifth that ordered last; equal days score alike."),
    TraitSpec("f", "Frequency score", "number", "score", "5 is most order days; by fixed bands or by fifths."),
    TraitSpec("m", "Spend score", "number", "score", "5 is the fifth that spent most in total."),
    TraitSpec("cell", "Cell", "text", "", "Recency and frequency score as two digits, 11 to 55."),
    TraitSpec(
        "name", "Kind of buyer", "text", "", "Champions, Loyal, Potential loyal, New and six more: one per cell."
    ),
)


def compute(inputs: TraitInputs) -> TraitOutcome:
    """Never refused: these are counts, not predictions."""
    summary, _ = orders_summarise(inputs.order_days, inputs.as_of_day)
    scores = rfm_score(summary, inputs.frequency_bands)
    return TraitOutcome(
        verdict="published",
        reason="",
        method="quintiles_and_bands" if inputs.frequency_bands else "quintiles",
        unit="day",
        people=summary.people,
        parameters={"frequency_bands": list(inputs.frequency_bands), "scores": "1 + floor(5 * (lowest rank - 1) / n)"},
        report=_report(inputs, summary, scores),
        table=_table(summary, scores),
    )


def _table(summary: OrderSummary, scores: RfmScores) -> pa.Table:
    index, cells, names = cell_labels(scores)
    taken = pa.array(index)
    return pa.table(
        {
            "profile_no": summary.profile_no,
            "orders_days": summary.order_days.astype(np.float64),
            "days_since_last_order": summary.days_since_last_order.astype(np.float64),
            "amount_total": summary.amount_total,
            "amount_mean": np.round(summary.amount_mean, 4),
            "r": scores.r.astype(np.float64),
            "f": scores.f.astype(np.float64),
            "m": scores.m.astype(np.float64),
            "cell": pa.array(cells).take(taken),
            "name": pa.array(names).take(taken),
        }
    )


def _report(inputs: TraitInputs, summary: OrderSummary, scores: RfmScores) -> JsonObject:
    cells = rfm_cells(summary, scores)
    sizes: dict[str, int] = {}
    for cell in cells:
        sizes[cell.name] = sizes.get(cell.name, 0) + cell.people
    ranges = {
        "r": score_ranges(summary.days_since_last_order, scores.r),
        "f": score_ranges(summary.order_days, scores.f),
    }
    return {
        "headline": f"{summary.people:,} people in 25 cells; equal people always get equal scores.",
        "input": {
            "people": summary.people,
            "orders": inputs.order_days.orders,
            "amount_total": float(summary.amount_total.sum()),
            "currency": inputs.currency,
            "first_day": day_date(inputs.order_days.first_day).isoformat(),
            "last_day": day_date(inputs.as_of_day).isoformat(),
        },
        "cells": [
            {"r": c.r, "f": c.f, "name": c.name, "people": c.people, "amount_median": c.amount_median} for c in cells
        ],
        "score_ranges": {
            axis: [list(span) if span is not None else None for span in spans] for axis, spans in ranges.items()
        },
        "names": [{"name": name, "people": people} for name, people in sizes.items()],
    }
