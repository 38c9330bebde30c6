"""When are two rules the same text? A digest that ignores the order of rows, filters and list values, and repetitions."""

import hashlib
from typing import assert_never

import msgspec

from segments.definition.nodes import (
    BetweenDaysAgo,
    ConsentNode,
    Dates,
    Definition,
    EventNode,
    Ever,
    Group,
    Last,
    Node,
    Operator,
    SampleNode,
    SegmentNode,
    TraitNode,
    Value,
    Window,
)

UNORDERED_VALUES = frozenset({"in", "not_in", "contains_any", "contains_all"})


def definition_fingerprint(definition: Definition) -> str:
    """64 hex digits, equal for definitions that differ in order and repetition only."""
    return hashlib.sha256(f"{definition.version}:{_canonical(definition.where)}".encode()).hexdigest()


def _canonical(node: Node) -> str:
    match node:
        case Group(kind=kind, conditions=conditions):
            return _text("group", kind, sorted({_canonical(child) for child in conditions}))
        case TraitNode(trait=trait, operator=operator, value=value):
            return _text("trait", trait, operator, _value(operator, value))
        case EventNode(event=event, where=where, aggregate=aggregate, operator=operator, value=value, window=window):
            filters = sorted({_text(row.property, row.operator, _value(row.operator, row.value)) for row in where})
            measure = _text(aggregate.function, aggregate.property)
            return _text("event", event, filters, measure, operator, _value(operator, value), _window(window))
        case SegmentNode(segment=segment):
            return _text("segment", segment)
        case ConsentNode(purpose=purpose, state=state):
            return _text("consent", purpose, state)
        case SampleNode(share=share, salt=salt):
            return _text("sample", share, salt)
        case _:
            assert_never(node)


def _window(window: Window) -> str:
    match window:
        case Ever():
            return _text("ever")
        case Last(days=days, hours=hours):
            return _text("last", days, hours)
        case BetweenDaysAgo(start_days=start, end_days=end):
            return _text("between_days_ago", start, end)
        case Dates(start=start, end=end):
            return _text("dates", start and start.isoformat(), end and end.isoformat())
        case _:
            assert_never(window)


def _value(operator: Operator, value: Value) -> str:
    if isinstance(value, tuple) and operator in UNORDERED_VALUES:
        return _text("set", sorted({_text(item) for item in value}))
    return _text(value)


def _text(*parts: object) -> str:
    """An unambiguous text of simple parts."""
    return msgspec.json.encode(parts).decode()
