"""Is this one person in? The same core as the compiled rule, in memory, on one person's columns and events.

``Person.columns`` and each event are keyed by the column names of the views ``profiles`` and ``events``; a missing key
is a missing value. The two engines are held equal by ``tests/integration/test_definition_engines.py``.
"""

import bisect
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, assert_never

from segments.definition.nodes import (
    AllOf,
    AnyOf,
    CoreNode,
    Days,
    DidEvent,
    Measure,
    MemberOf,
    Not,
    Sampled,
    ValueTest,
)
from segments.definition.patterns import pattern_matches
from segments.definition.sampling import is_sampled


@dataclass(frozen=True, slots=True)
class Person:
    """What the engine knows of one person. Timestamps are UTC without a zone, as in the views."""

    profile_id: str
    columns: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]] = ()
    segment_nos: frozenset[int] = field(default_factory=frozenset)


def core_holds(core: CoreNode, person: Person) -> bool:
    """Whether the person meets the rule."""
    match core:
        case AllOf(parts=parts):
            return all(core_holds(part, person) for part in parts)
        case AnyOf(parts=parts):
            return any(core_holds(part, person) for part in parts)
        case Not(part=part):
            return not core_holds(part, person)
        case ValueTest():
            return value_passes(core, person.columns.get(core.column))
        case DidEvent():
            return value_passes(core.test, measure_of(core, person))
        case MemberOf(segment_no=segment_no):
            return segment_no in person.segment_nos
        case Sampled(salt=salt, threshold=threshold):
            return is_sampled(salt, person.profile_id, threshold)
        case _:
            assert_never(core)


def events_counted(row: DidEvent, person: Person) -> list[Mapping[str, Any]]:
    """The person's events that the row counts: the evidence."""
    start, end = _naive(row.start_at), _naive(row.end_at)
    return [
        event
        for event in person.events
        if event["name"] == row.event
        and (start is None or event["occurred_at"] >= start)
        and (end is None or event["occurred_at"] < end)
        and all(value_passes(test, event.get(test.column)) for test in row.where)
    ]


def measure_of(row: DidEvent, person: Person) -> Any:
    """The number that the row tests: exact, None when there is nothing to average or compare."""
    events = events_counted(row, person)
    measure = row.measure
    if measure.function == "count":
        return len(events)
    if measure.function == "distinct_days":
        return len({_local_day(event["occurred_at"], measure) for event in events})
    values = [value for event in events if (value := event.get(measure.column or "")) is not None]
    match measure.function:
        case "sum":
            return sum(values, start=Decimal(0))
        case "average":
            return _Average(sum(values, start=Decimal(0)), len(values)) if values else None
        case "minimum":
            return min(values, default=None)
        case "maximum":
            return max(values, default=None)
        case "distinct":
            return len(set(values))
        case _:
            assert_never(measure.function)


class _Average:
    """A sum and a count that compare like their quotient, without rounding it."""

    def __init__(self, total: Decimal, count: int) -> None:
        self.total, self.count = total, count

    def __float__(self) -> float:
        return float(self.total / self.count)

    def against(self, other: Any) -> tuple[Decimal, Decimal]:
        """Two numbers that compare as the average and ``other`` do."""
        return self.total, Decimal(str(other)) * self.count


def value_passes(test: ValueTest, value: Any) -> bool:
    """Whether a value passes; missing passes nothing but ``is_missing``."""
    if value is None:
        return test.kind == "is_missing"
    return _passes(test, value) is not test.is_negated


def _passes(test: ValueTest, value: Any) -> bool:
    wanted = test.value
    if isinstance(wanted, Days):
        return _in_days(wanted, value)
    items: tuple[Any, ...] = wanted if isinstance(wanted, tuple) else (wanted,)
    match test.kind:
        case "is_set":
            return True
        case "is_missing":
            return False
        case "equals" | "in":
            return any(_compared(value, item) == 0 for item in items)
        case "greater_than":
            return _compared(value, wanted) > 0
        case "at_least":
            return _compared(value, wanted) >= 0
        case "less_than":
            return _compared(value, wanted) < 0
        case "at_most":
            return _compared(value, wanted) <= 0
        case "between":
            return _compared(value, items[0]) >= 0 and _compared(value, items[1]) <= 0
        case "contains":
            return str(wanted) in value
        case "starts_with":
            return bool(value.startswith(wanted))
        case "ends_with":
            return bool(value.endswith(wanted))
        case "matches":
            return pattern_matches(str(wanted), value)
        case "contains_any":
            return any(item in value for item in items)
        case "contains_all":
            return all(item in value for item in items)
        case "in_days":
            raise TypeError("in_days carries Days")
        case _:
            assert_never(test.kind)


def _compared(value: Any, wanted: Any) -> int:
    """-1, 0 or 1. Decimals compare exactly with the number as it was written."""
    if isinstance(value, _Average):
        value, wanted = value.against(wanted)
    elif isinstance(value, Decimal):
        wanted = Decimal(str(wanted))
    return 1 if value > wanted else -1 if value < wanted else 0


def _in_days(days: Days, value: Any) -> bool:
    if isinstance(value, dt.datetime):
        start: Any = _naive(days.start_at)
        end: Any = _naive(days.end_at)
    else:
        start, end = days.start_day, days.end_day
    return (start is None or value >= start) and (end is None or value < end)


def _local_day(occurred_at: dt.datetime, measure: Measure) -> dt.date:
    steps = [at.replace(tzinfo=None) for at, _ in measure.offsets if at is not None]
    seconds = measure.offsets[bisect.bisect_right(steps, occurred_at)][1]
    return (occurred_at + dt.timedelta(seconds=seconds)).date()


def _naive(at: dt.datetime | None) -> dt.datetime | None:
    return at.replace(tzinfo=None) if at is not None else None


def people_holding(core: CoreNode, people: Iterable[Person]) -> list[Person]:
    """Those who meet the rule, in order."""
    return [person for person in people if core_holds(core, person)]
