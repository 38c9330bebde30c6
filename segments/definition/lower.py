"""From what was written to what engines understand: names become columns, days become instants, negatives turn positive.

The result holds for one moment (``as_of``) and one time zone; the definition itself is never changed.
"""

import datetime as dt
from dataclasses import dataclass
from typing import assert_never
from zoneinfo import ZoneInfo

from segments.definition.catalogue import Catalogue, Field
from segments.definition.nodes import (
    AllOf,
    AnyOf,
    ConsentNode,
    CoreNode,
    Days,
    DidEvent,
    EventNode,
    Group,
    Measure,
    MemberOf,
    Node,
    Not,
    Operator,
    Sampled,
    SampleNode,
    SegmentNode,
    TestKind,
    TraitNode,
    Value,
    ValueTest,
)
from segments.definition.reading import calendar_day
from segments.definition.sampling import share_threshold
from segments.definition.windows import ONE_DAY, days_of, last_days, window_instants, zone_offsets

MEASURE = "measure"
SAID_STATES = ("granted", "denied", "withdrawn", "expired", "pending")
# operator → (positive test, is it turned round)
TESTS: dict[Operator, tuple[TestKind, bool]] = {
    "equals": ("equals", False),
    "not_equals": ("equals", True),
    "in": ("in", False),
    "not_in": ("in", True),
    "greater_than": ("greater_than", False),
    "at_least": ("at_least", False),
    "less_than": ("less_than", False),
    "at_most": ("at_most", False),
    "between": ("between", False),
    "contains": ("contains", False),
    "not_contains": ("contains", True),
    "starts_with": ("starts_with", False),
    "ends_with": ("ends_with", False),
    "matches": ("matches", False),
    "is_set": ("is_set", False),
    "is_not_set": ("is_missing", False),
    "contains_any": ("contains_any", False),
    "contains_all": ("contains_all", False),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """For when and where a rule is lowered, and what the names in it stand for."""

    as_of: dt.datetime
    zone: ZoneInfo
    catalogue: Catalogue


def definition_lower(node: Node, moment: Moment) -> CoreNode:
    """The core of a validated node. A name that has gone since validation raises KeyError."""
    match node:
        case Group(kind="all", conditions=conditions):
            return AllOf(tuple(definition_lower(child, moment) for child in conditions))
        case Group(kind="any", conditions=conditions):
            return AnyOf(tuple(definition_lower(child, moment) for child in conditions))
        case Group(conditions=conditions):
            return AllOf(tuple(Not(definition_lower(child, moment)) for child in conditions))
        case TraitNode(trait=key, operator=operator, value=value):
            return _test(moment.catalogue.traits[key], operator, value, moment)
        case EventNode():
            return _event(node, moment)
        case SegmentNode(segment=key):
            return MemberOf(moment.catalogue.segments[key].segment_no)
        case ConsentNode(purpose=purpose, state=state):
            column = f"c_{purpose}"
            if state == "unknown":
                return Not(ValueTest(column, "in", SAID_STATES))
            return ValueTest(column, "equals", state)
        case SampleNode(share=share, salt=salt):
            return Sampled(salt, share_threshold(share))
        case _:
            assert_never(node)


def _test(field: Field, operator: Operator, value: Value, moment: Moment) -> ValueTest:
    column, value_type = field.column, field.value_type
    if operator in {"is_true", "is_false"}:
        return ValueTest(column, "equals", operator == "is_true")
    if value_type == "date" and operator not in {"is_set", "is_not_set"}:
        days, is_negated = _days(operator, value, moment)
        return ValueTest(column, "in_days", days, is_negated)
    kind, is_negated = TESTS[operator]
    if value_type == "text_list" and kind == "contains":
        return ValueTest(column, "contains_any", (str(value),), is_negated)
    return ValueTest(column, kind, value, is_negated)


def _days(operator: Operator, value: Value, moment: Moment) -> tuple[Days, bool]:
    """The days a date operator means, and whether they are left out."""
    if operator in {"in_last_days", "not_in_last_days"} and isinstance(value, int):
        return last_days(value, moment.as_of, moment.zone), operator == "not_in_last_days"
    if operator == "between" and isinstance(value, tuple):
        start, end = (calendar_day(item) for item in value)
        return days_of(start, _next(end), moment.zone), False
    day = calendar_day(value)
    if operator == "before":
        return days_of(None, day, moment.zone), False
    if operator == "after":
        return days_of(_next(day), None, moment.zone), False
    return days_of(day, _next(day), moment.zone), operator == "not_equals"


def _next(day: dt.date | None) -> dt.date | None:
    return day + ONE_DAY if day else None


def _event(node: EventNode, moment: Moment) -> DidEvent:
    properties = moment.catalogue.properties
    start_at, end_at = window_instants(node.window, moment.as_of, moment.zone)
    function, key = node.aggregate.function, node.aggregate.property
    offsets = zone_offsets(moment.zone, start_at, end_at) if function == "distinct_days" else ()
    field = properties[key] if key is not None else None
    measure = Measure(function, field.column if field else None, offsets)
    tests = (_test(properties[row.property], row.operator, row.value, moment) for row in node.where)
    kind, is_negated = TESTS[node.operator]
    test = ValueTest(MEASURE, kind, node.value, is_negated)
    return DidEvent(node.event, tuple(tests), start_at, end_at, measure, test)
