"""Groups of buyers that the data form by themselves, with ids that survive a new run."""

from collections.abc import Sequence

import pyarrow as pa

from segments.computed_traits.clusters import (
    BOOTSTRAPS,
    GROUP_COUNTS,
    MINIMUM_SHARE,
    Clustering,
    Group,
    Stability,
    cluster_features,
    clustering_fit,
    groups_describe,
    people_place,
)
from segments.computed_traits.contract import JsonValue, TraitInputs, TraitOutcome, TraitSpec
from segments.computed_traits.ltv_fit import MINIMUM_PEOPLE
from segments.computed_traits.orders_summary import OrderSummary, day_date, orders_summarise
from segments.computed_traits.report import Check, gate_reason, percent

GROUP = "cluster"
TITLE = "Groups of buyers"
POSITION = 30
SPECS = (
    TraitSpec("id", "Group", "text", "", "Stays with a group from run to run: use this one in rules."),
    TraitSpec("name", "Group name", "text", "", "What sets the group apart, in words; may change when the group does."),
)
MINIMUM_STABILITY = 0.6


def compute(inputs: TraitInputs) -> TraitOutcome:
    """Published when some split into 4 to 8 groups is stable and has no group below 2 %."""
    summary, _ = orders_summarise(inputs.order_days, inputs.as_of_day)
    report = _input_report(inputs, summary)
    if summary.people < MINIMUM_PEOPLE:
        reason = f"Not enough data: {summary.people:,} people with an order, {MINIMUM_PEOPLE} are needed."
        return _refused(reason, summary, report)
    features = cluster_features(summary)
    last = Clustering.from_json(inputs.last_parameters)
    clustering, rows = clustering_fit(features, last, inputs.seed)
    report |= {"stability": [_row(row) for row in rows]}
    if clustering is None:
        reason = (
            f"No split into {GROUP_COUNTS[0]} to {GROUP_COUNTS[-1]} groups has {percent(MINIMUM_SHARE)} in every group."
        )
        return _refused(reason, summary, report)
    chosen = next(row for row in rows if row.groups == len(clustering.ids))
    checks = [
        Check(
            f"Stability of at least {MINIMUM_STABILITY}",
            chosen.ari >= MINIMUM_STABILITY,
            f"The groups do not come out again when people are drawn anew (stability {chosen.ari:.2f}, "
            f"{MINIMUM_STABILITY} is needed).",
        )
    ]
    report |= {
        "gate": {
            "rule": f"{checks[0].title}, {percent(MINIMUM_SHARE)} of people in every group.",
            "checks": [{"title": check.title, "holds": check.holds} for check in checks],
        }
    }
    if reason := gate_reason(checks):
        return _refused(reason, summary, report)
    places = people_place(clustering, features)
    groups = groups_describe(clustering, places, summary, inputs.currency)
    taken = pa.array(places)
    return TraitOutcome(
        verdict="published",
        reason="",
        method=f"kmeans_{len(groups)}",
        unit="day",
        people=summary.people,
        parameters=clustering.to_json(),
        report={**report, **_groups_report(groups, chosen)},
        table=pa.table(
            {
                "profile_no": summary.profile_no,
                "id": pa.array([group.id for group in groups]).take(taken),
                "name": pa.array([group.name for group in groups]).take(taken),
            }
        ),
    )


def _refused(reason: str, summary: OrderSummary, report: dict[str, JsonValue]) -> TraitOutcome:
    return TraitOutcome("refused", reason, "", "day", summary.people, {}, {**report, "headline": reason}, None)


def _row(row: Stability) -> dict[str, JsonValue]:
    return {
        "groups": row.groups,
        "ari": row.ari,
        "ari_lowest": row.ari_lowest,
        "smallest_share": row.smallest_share,
        "usable": row.smallest_share >= MINIMUM_SHARE,
    }


def _input_report(inputs: TraitInputs, summary: OrderSummary) -> dict[str, JsonValue]:
    return {
        "input": {
            "people": summary.people,
            "orders": inputs.order_days.orders,
            "currency": inputs.currency,
            "first_day": day_date(inputs.order_days.first_day).isoformat(),
            "last_day": day_date(inputs.as_of_day).isoformat(),
        },
    }


def _groups_report(groups: Sequence[Group], chosen: Stability) -> dict[str, JsonValue]:
    return {
        "headline": (
            f"{len(groups)} groups; {percent(chosen.ari)} of the split comes out again when people are drawn anew "
            f"({BOOTSTRAPS} draws, adjusted Rand index)."
        ),
        "chosen": _row(chosen),
        "groups": [
            {
                "id": group.id,
                "name": group.name,
                "description": group.description,
                "people": group.people,
                "share": group.share,
                "days_since_last_order": group.days_since_last_order,
                "order_days": group.order_days,
                "amount_total": group.amount_total,
                "deviations": list(group.deviations),
            }
            for group in sorted(groups, key=lambda group: -group.people)
        ],
    }
