"""Seven segments to start from: who is worth keeping, who is going, who is about to buy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """A segment with its rule."""

    key: str
    title: str
    description: str
    where: Mapping[str, Any]

    @property
    def definition(self) -> dict[str, Any]:
        """The rule as it is saved."""
        return {"version": 1, "where": dict(self.where)}


def _trait(key: str, operator: str, value: Any = None) -> dict[str, Any]:
    row = {"type": "trait", "trait": key, "operator": operator}
    return row if value is None else row | {"value": value}


def _event(name: str, days: int, **more: Any) -> dict[str, Any]:
    return {"type": "event", "event": name, "window": {"type": "last", "days": days}} | more


def _group(kind: str, *conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, "conditions": list(conditions)}


EXAMPLES = (
    Example(
        "recent_buyers",
        "Bought in the last 30 days",
        "Left out where an offer would only cost margin.",
        _group("all", _event("Order Completed", 30)),
    ),
    Example(
        "champions",
        "Champions",
        "Ordered lately, often, and for much.",
        _group("all", _trait("rfm.r", "equals", 5), _trait("rfm.f", "at_least", 4), _trait("rfm.m", "at_least", 4)),
    ),
    Example(
        "high_value_at_risk",
        "High value, going quiet",
        "Spent much and often, no order for four months: worth a personal word.",
        _group(
            "all",
            _trait("rfm.m", "at_least", 4),
            _trait("rfm.f", "at_least", 3),
            _trait("rfm.days_since_last_order", "at_least", 120),
            _group("none", {"type": "segment", "segment": "recent_buyers"}),
        ),
    ),
    Example(
        "new_high_intent",
        "High intent, not a regular yet",
        "Among the fifth that is likeliest to order in the next 90 days, with three order days or fewer.",
        _group("all", _trait("intent.decile", "at_least", 9), _trait("rfm.orders_days", "at_most", 3)),
    ),
    Example(
        "browsed_not_bought",
        "Looked, did not buy",
        "Looked at three products or more in the last 14 days and ordered nothing in that time.",
        _group(
            "all",
            _event("Product Viewed", 14, aggregate={"function": "count"}, operator="at_least", value=3),
            _group("none", _event("Order Completed", 14)),
        ),
    ),
    Example(
        "lapsed",
        "Lapsed",
        "Bought on two days or more, and nothing for a year.",
        _group(
            "all",
            _trait("rfm.orders_days", "at_least", 2),
            _trait("rfm.days_since_last_order", "greater_than", 365),
        ),
    ),
    Example(
        "one_order_only",
        "One order only",
        "Ordered once, for a good amount, and never again: the step most shops lose people at.",
        _group(
            "all",
            _trait("rfm.orders_days", "equals", 1),
            _trait("rfm.m", "at_least", 3),
            _group("none", {"type": "segment", "segment": "recent_buyers"}),
        ),
    ),
)
