"""A rule in plain words with brackets: round ones around nested groups, square ones around people left out."""

import datetime as dt
from collections.abc import Sequence
from typing import assert_never

from segments.definition.catalogue import Catalogue, Field
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
    PropertyFilter,
    SampleNode,
    Scalar,
    SegmentNode,
    TraitNode,
    Value,
    Window,
)
from segments.definition.reading import calendar_day

MAX_VALUES_SHOWN = 5
WORDS: dict[Operator, str] = {
    "equals": "is",
    "not_equals": "is not",
    "in": "is",
    "not_in": "is not",
    "greater_than": "is more than",
    "at_least": "is at least",
    "less_than": "is less than",
    "at_most": "is at most",
    "between": "is between",
    "contains": "contains",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches the pattern",
    "is_set": "is known",
    "is_not_set": "is not known",
    "before": "is before",
    "after": "is after",
    "is_true": "is true",
    "is_false": "is false",
    "contains_any": "contains",
    "contains_all": "contains",
}
MEASURE_WORDS = {
    "sum": "with a total {property} of",
    "average": "with an average {property} of",
    "minimum": "with a smallest {property} of",
    "maximum": "with a largest {property} of",
    "distinct": "with a number of different values of {property} of",
    "distinct_days": "on",
}
COUNT_WORDS: dict[Operator, str] = {
    "equals": "exactly",
    "not_equals": "not exactly",
    "greater_than": "more than",
    "at_least": "at least",
    "less_than": "less than",
    "at_most": "at most",
    "between": "between",
}
CONSENT_WORDS = {
    "granted": "who agreed to {purpose}",
    "denied": "who declined {purpose}",
    "withdrawn": "who withdrew their consent to {purpose}",
    "expired": "whose consent to {purpose} has run out",
    "pending": "whose consent to {purpose} is not confirmed yet",
    "unknown": "who never said anything about {purpose}",
}


def definition_sentence(definition: Definition, catalogue: Catalogue) -> str:
    """One sentence about the whole rule. Names that have gone from the catalogue stand by their key."""
    root = definition.where
    phrases = [node_phrase(child, catalogue) for child in root.conditions]
    match root.kind:
        case "all":
            return f"People {_joined_all(root.conditions, phrases)}." if phrases else "Everyone."
        case "any":
            return f"People {_either(phrases)}."
        case "none":
            return f"Everyone but people [ {' or '.join(phrases)} ]."
        case _:
            assert_never(root.kind)


def node_phrase(node: Node, catalogue: Catalogue) -> str:
    """What a row or group says of people: ``whose …``, ``who …``."""
    match node:
        case Group(kind="all", conditions=conditions):
            return f"( {_joined_all(conditions, [node_phrase(child, catalogue) for child in conditions])} )"
        case Group(kind="any", conditions=conditions):
            return f"( {_either([node_phrase(child, catalogue) for child in conditions])} )"
        case Group(conditions=conditions):
            return f"not [ {' or '.join(node_phrase(child, catalogue) for child in conditions)} ]"
        case TraitNode(trait=key, operator=operator, value=value):
            field = catalogue.traits.get(key) or Field(key, key, "text", "")
            return f"whose {_lower_first(field.title)} {_tested(operator, value, field.unit)}"
        case EventNode():
            return _event_phrase(node, catalogue)
        case SegmentNode(segment=key):
            found = catalogue.segments.get(key)
            return f"who are in “{found.title if found else key}”"
        case ConsentNode(purpose=key, state=state):
            return CONSENT_WORDS[state].format(purpose=_lower_first(catalogue.purposes.get(key, key)))
        case SampleNode(share=share, salt=salt):
            return f"who are in a random {share * 100:g} % (“{salt}”)"
        case _:
            assert_never(node)


def _joined_all(nodes: Sequence[Node], phrases: Sequence[str]) -> str:
    """``a, and b, but not [ c ]``."""
    text = phrases[0]
    for node, phrase in zip(nodes[1:], phrases[1:], strict=True):
        is_left_out = isinstance(node, Group) and node.kind == "none"
        text += f", {'but' if is_left_out else 'and'} {phrase}"
    return text


def _either(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"either {' or '.join(phrases)}"


def _event_phrase(node: EventNode, catalogue: Catalogue) -> str:
    where = " and ".join(_filter_phrase(row, catalogue) for row in node.where)
    tail = "".join(f" {part}" for part in (_window_words(node.window), f"where {where}" if where else "") if part)
    function, key = node.aggregate.function, node.aggregate.property
    if function == "count":
        if (node.operator, node.value) in {("at_least", 1), ("greater_than", 0)}:
            return f"who did {node.event}{tail}"
        if (node.operator, node.value) in {("equals", 0), ("at_most", 0), ("less_than", 1)}:
            return f"who did not do {node.event}{tail}"
        return f"who did {node.event} {_amount_words(node)} {_plural(node.value, 'time')}{tail}"
    if function == "distinct_days":
        return f"who did {node.event} on {_amount_words(node)} {_plural(node.value, 'different day')}{tail}"
    field = catalogue.properties.get(key or "") or Field(key or "", key or "", "number", "")
    measure = MEASURE_WORDS[function].format(property=_lower_first(field.title))
    return f"who did {node.event} {measure} {_amount_words(node)}{_unit(field.unit)}{tail}"


def _amount_words(node: EventNode) -> str:
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    return f"{COUNT_WORDS[node.operator]} {' and '.join(_shown(value) for value in values)}"


def _filter_phrase(row: PropertyFilter, catalogue: Catalogue) -> str:
    field = catalogue.properties.get(row.property) or Field(row.property, row.property, "text", "")
    return f"{_lower_first(field.title)} {_tested(row.operator, row.value, field.unit)}"


def _tested(operator: Operator, value: Value, unit: str) -> str:
    if operator in {"in_last_days", "not_in_last_days"}:
        words = "is in" if operator == "in_last_days" else "is not in"
        return f"{words} the last {_plural_days(value)}"
    words = WORDS[operator]
    if value is None:
        return words
    items = value if isinstance(value, tuple) else (value,)
    if operator == "between":
        return f"{words} {_shown(items[0])} and {_shown(items[1])}{_unit(unit)}"
    shown = [_shown(item) for item in items[:MAX_VALUES_SHOWN]]
    if len(items) > MAX_VALUES_SHOWN:
        shown.append(f"one of {len(items) - MAX_VALUES_SHOWN:,} more")
    if operator == "matches":
        shown = [f"“{items[0]}”"]
    return f"{words} {_list(shown, 'and' if operator == 'contains_all' else 'or')}{_unit(unit, items)}"


def _window_words(window: Window) -> str:
    match window:
        case Ever():
            return ""
        case Last(days=None, hours=hours):
            return f"in the last {hours:,} hours" if hours != 1 else "in the last hour"
        case Last(days=days):
            return f"in the last {_plural_days(days)}"
        case BetweenDaysAgo(start_days=start, end_days=end):
            return f"between {start:,} and {end:,} days ago"
        case Dates(start=start, end=end):
            parts = (f"from {_day(start)} on" if start else "", f"before {_day(end)}" if end else "")
            return " and ".join(part for part in parts if part)
        case _:
            assert_never(window)


def _plural(value: object, noun: str) -> str:
    return noun if value == 1 else f"{noun}s"


def _plural_days(value: object) -> str:
    return "day" if value == 1 else f"{_shown(value)} days"


def _list(words: Sequence[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _shown(value: Scalar | object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:,}"
    day = calendar_day(value)
    return _day(day) if day else str(value)


def _day(day: dt.date) -> str:
    return f"{day.day} {day:%b %Y}"


def _unit(unit: str, values: Sequence[object] = ()) -> str:
    """`` days``, or `` day`` after a single 1."""
    text = unit.removesuffix("s") if tuple(values) == (1,) else unit
    return f" {text}" if text else ""


def _lower_first(text: str) -> str:
    """``Predicted value`` inside a sentence; ``RFM cell`` keeps its capitals."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
