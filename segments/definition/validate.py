"""Does everything that a rule names exist, and does each operator fit the type it is used on? Problems name the path."""

from collections.abc import Callable

from cdp.core.errors import Problem
from segments.definition.catalogue import Catalogue, Field, did_you_mean
from segments.definition.limits import MAX_DAYS, DefinitionError
from segments.definition.nodes import (
    ConsentNode,
    Definition,
    EventNode,
    Group,
    Node,
    Operator,
    SampleNode,
    SegmentNode,
    TraitNode,
    Value,
    ValueType,
    node_walk,
)
from segments.definition.patterns import pattern_problem
from segments.definition.reading import calendar_day, join

OPERATORS_OF: dict[ValueType, tuple[Operator, ...]] = {
    "text": (
        "equals", "not_equals", "in", "not_in", "contains", "not_contains", "starts_with", "ends_with", "matches",
        "is_set", "is_not_set",
    ),
    "number": (
        "equals", "not_equals", "in", "not_in", "greater_than", "at_least", "less_than", "at_most", "between",
        "is_set", "is_not_set",
    ),
    "boolean": ("is_true", "is_false", "equals", "not_equals", "is_set", "is_not_set"),
    "date": (
        "equals", "not_equals", "before", "after", "between", "in_last_days", "not_in_last_days", "is_set",
        "is_not_set",
    ),
    "text_list": ("contains", "not_contains", "contains_any", "contains_all", "is_set", "is_not_set"),
}  # fmt: skip
MEASURE_OPERATORS: tuple[Operator, ...] = (
    "equals", "not_equals", "greater_than", "at_least", "less_than", "at_most", "between",
)  # fmt: skip
MAX_LIST_TESTS = 100
AMOUNT_DECIMALS = 4
AMOUNT_LIMIT = 10**14


def definition_validate(definition: Definition, catalogue: Catalogue, *, own_key: str | None = None) -> None:
    """Raises DefinitionError with every problem. ``own_key`` is the segment being saved: a rule may not lead back to it."""
    problems: list[Problem] = []
    for path, node in node_walk(definition.where):
        problems.extend(_node_problems(node, path, catalogue, own_key))
    if problems:
        raise DefinitionError(problems)


def _node_problems(node: Node, path: str, catalogue: Catalogue, own_key: str | None) -> list[Problem]:
    match node:
        case Group() | SampleNode():
            return []
        case TraitNode(trait=key):
            field = catalogue.traits.get(key)
            if field is None:
                return [_unknown(join(path, "trait"), "trait", key, catalogue.traits)]
            return _test_problems(node.operator, node.value, field, path)
        case EventNode():
            return _event_problems(node, path, catalogue)
        case SegmentNode(segment=key):
            return _segment_problems(key, join(path, "segment"), catalogue, own_key)
        case ConsentNode(purpose=key):
            if key not in catalogue.purposes:
                return [_unknown(join(path, "purpose"), "purpose", key, catalogue.purposes)]
            return []


def _event_problems(node: EventNode, path: str, catalogue: Catalogue) -> list[Problem]:
    problems: list[Problem] = []
    if node.event not in catalogue.events:
        problems.append(_unknown(join(path, "event"), "event", node.event, catalogue.events))
    for index, row in enumerate(node.where):
        at = f"{path}.where[{index}]"
        field = catalogue.properties.get(row.property)
        if field is None:
            problems.append(_unknown(join(at, "property"), "property", row.property, catalogue.properties))
        else:
            problems.extend(_test_problems(row.operator, row.value, field, at))
            problems.extend(_amount_problems(row.value, field, at))
    problems.extend(_measure_problems(node, path, catalogue))
    return problems


def _measure_problems(node: EventNode, path: str, catalogue: Catalogue) -> list[Problem]:
    measure = Field("measure", node.aggregate.function, "number", "measure")
    if node.operator not in MEASURE_OPERATORS:
        known = ", ".join(MEASURE_OPERATORS)
        return [Problem(join(path, "operator"), "wrong_operator", f"A number takes one of: {known}.")]
    problems = _test_problems(node.operator, node.value, measure, path)
    key = node.aggregate.property
    if key is None:
        return problems
    at = join(path, "aggregate.property")
    field = catalogue.properties.get(key)
    if field is None:
        return [*problems, _unknown(at, "property", key, catalogue.properties)]
    if node.aggregate.function != "distinct" and field.value_type != "number":
        message = f'"{node.aggregate.function}" needs a number; {field.title} is {_article(field.value_type)}.'
        return [*problems, Problem(at, "wrong_type", message)]
    if node.aggregate.function in {"sum", "minimum", "maximum"}:
        problems.extend(_amount_problems(node.value, field, path))
    return problems


def _segment_problems(key: str, path: str, catalogue: Catalogue, own_key: str | None) -> list[Problem]:
    segment = catalogue.segments.get(key)
    if key == own_key:
        return [Problem(path, "cycle", "A segment may not name itself.")]
    if segment is None:
        return [_unknown(path, "segment", key, catalogue.segments)]
    if segment.is_archived:
        return [Problem(path, "archived", f"{segment.title} is archived and has no members. Choose another segment.")]
    if own_key is not None and (way := _way_to(key, own_key, catalogue)):
        return [Problem(path, "cycle", f"This leads back to the segment itself: {' → '.join(way)}.")]
    return []


def _way_to(start: str, goal: str, catalogue: Catalogue) -> list[str]:
    """Keys from ``start`` to ``goal`` along "names", or nothing."""
    waiting, seen = [[start]], {start}
    while waiting:
        way = waiting.pop()
        here = catalogue.segments.get(way[-1])
        for key in sorted(here.refers_to) if here else ():
            if key == goal:
                return [*way, key]
            if key not in seen:
                seen.add(key)
                waiting.append([*way, key])
    return []


def _test_problems(operator: Operator, value: Value, field: Field, path: str) -> list[Problem]:
    """What is wrong with ``operator`` and ``value`` on this field."""
    known = OPERATORS_OF[field.value_type]
    if operator not in known:
        message = f"{field.title} is {_article(field.value_type)}, which takes one of: {', '.join(known)}."
        return [Problem(join(path, "operator"), "wrong_operator", message)]
    at = join(path, "value")
    if operator == "matches" and isinstance(value, str):
        reason = pattern_problem(value)
        return [Problem(at, "invalid_pattern", reason)] if reason else []
    if operator in {"in_last_days", "not_in_last_days"}:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_DAYS:
            return [Problem(at, "invalid_number", f"Enter a whole number of days from 1 to {MAX_DAYS:,}.")]
        return []
    if operator in {"contains_any", "contains_all"} and isinstance(value, tuple) and len(value) > MAX_LIST_TESTS:
        return [Problem(at, "too_many", f'"{operator}" takes up to {MAX_LIST_TESTS} values.')]
    items = value if isinstance(value, tuple) else () if value is None else (value,)
    fits, expected = _VALUE_CHECKS[field.value_type]
    for index, item in enumerate(items):
        if not fits(item):
            where = f"{at}[{index}]" if isinstance(value, tuple) else at
            return [Problem(where, "wrong_type", f"{field.title} takes {expected}.")]
    if operator == "between" and _is_reversed(items):
        return [Problem(at, "invalid_value", "The first value must not be above the second.")]
    return []


def _is_reversed(items: tuple[object, ...]) -> bool:
    low, high = items
    if isinstance(low, str) and isinstance(high, str):
        return low > high
    return isinstance(low, int | float) and isinstance(high, int | float) and low > high


def _amount_problems(value: Value, field: Field, path: str) -> list[Problem]:
    """Event numbers are decimals with four places, compared exactly."""
    if field.value_type != "number":
        return []
    for item in value if isinstance(value, tuple) else (value,):
        if isinstance(item, bool) or not isinstance(item, int | float):
            continue
        if abs(item) >= AMOUNT_LIMIT or round(item, AMOUNT_DECIMALS) != item:
            message = f"{field.title} has {AMOUNT_DECIMALS} decimals at most and stays below 10^14."
            return [Problem(join(path, "value"), "invalid_number", message)]
    return []


def _is_number(item: object) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool)


def _is_text(item: object) -> bool:
    return isinstance(item, str)


_VALUE_CHECKS: dict[ValueType, tuple[Callable[[object], bool], str]] = {
    "text": (_is_text, "text"),
    "text_list": (_is_text, "text"),
    "number": (_is_number, "a number"),
    "boolean": (lambda item: isinstance(item, bool), "true or false"),
    "date": (lambda item: calendar_day(item) is not None, "a day as YYYY-MM-DD"),
}


def _unknown(path: str, kind: str, key: str, known: object) -> Problem:
    names = [str(name) for name in known] if hasattr(known, "__iter__") else []
    return Problem(path, f"unknown_{kind}", f'No {kind} "{key[:80]}" exists.{did_you_mean(key, names)}')


def _article(value_type: ValueType) -> str:
    return {
        "text": "text",
        "number": "a number",
        "boolean": "true or false",
        "date": "a date",
        "text_list": "a list of texts",
    }[value_type]
