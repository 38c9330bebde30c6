"""The segment language as data: what a marketer wrote (surface) and what the engines understand (core).

Surface nodes mirror the JSON of docs/segments.md one to one. Core nodes are fewer: every date is an instant or a
calendar day, every name a column, every negative operator a positive test that is turned round.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

VERSION = 1

type ValueType = Literal["text", "number", "boolean", "date", "text_list"]
type Scalar = str | int | float | bool
type Value = Scalar | tuple[Scalar, ...] | None
type Operator = Literal[
    "equals",
    "not_equals",
    "in",
    "not_in",
    "greater_than",
    "at_least",
    "less_than",
    "at_most",
    "between",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "matches",
    "is_set",
    "is_not_set",
    "before",
    "after",
    "in_last_days",
    "not_in_last_days",
    "is_true",
    "is_false",
    "contains_any",
    "contains_all",
]
type GroupKind = Literal["all", "any", "none"]
type AggregateFunction = Literal["count", "distinct_days", "sum", "average", "minimum", "maximum", "distinct"]
type ConsentStateName = Literal["granted", "denied", "withdrawn", "expired", "pending", "unknown"]


# --- surface: what was written ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """``all``: every condition holds. ``any``: at least one. ``none``: everyone for whom no condition holds."""

    kind: GroupKind
    conditions: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class TraitNode:
    """A trait or computed trait, tested. A missing one matches nothing but ``is_not_set``."""

    trait: str
    operator: Operator
    value: Value = None


@dataclass(frozen=True, slots=True)
class PropertyFilter:
    """Which events count: a declared property, tested."""

    property: str
    operator: Operator
    value: Value = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What is made of the events that count; ``property`` is None for ``count`` and ``distinct_days``."""

    function: AggregateFunction = "count"
    property: str | None = None


@dataclass(frozen=True, slots=True)
class Ever:
    """All events up to the moment of counting."""


@dataclass(frozen=True, slots=True)
class Last:
    """``days``: from midnight that many days ago, today included. ``hours``: exactly that long. One of them is set."""

    days: int | None = None
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class BetweenDaysAgo:
    """Whole days: from midnight ``start_days`` ago up to midnight ``end_days`` ago, which is not included."""

    start_days: int
    end_days: int


@dataclass(frozen=True, slots=True)
class Dates:
    """Whole days of the calendar: from the start of ``start`` up to the start of ``end``; an open side is None."""

    start: dt.date | None
    end: dt.date | None


type Window = Ever | Last | BetweenDaysAgo | Dates


@dataclass(frozen=True, slots=True)
class EventNode:
    """People whose events, filtered and in the window, add up to something. No event counts as 0."""

    event: str
    where: tuple[PropertyFilter, ...] = ()
    aggregate: Aggregate = Aggregate()
    operator: Operator = "at_least"
    value: Value = 1
    window: Window = Ever()


@dataclass(frozen=True, slots=True)
class SegmentNode:
    """Members of another segment, as of its last evaluation."""

    segment: str


@dataclass(frozen=True, slots=True)
class ConsentNode:
    """What somebody agreed to. ``unknown`` is everyone who never said anything."""

    purpose: str
    state: ConsentStateName


@dataclass(frozen=True, slots=True)
class SampleNode:
    """A stable random share of people; the same salt gives the same people."""

    share: float
    salt: str


type Node = Group | TraitNode | EventNode | SegmentNode | ConsentNode | SampleNode


@dataclass(frozen=True, slots=True)
class Definition:
    """A whole rule. The root is a group."""

    where: Group
    version: int = VERSION


# --- core: what the engines understand -------------------------------------------------------------------------------

type TestKind = Literal[
    "equals",
    "in",
    "greater_than",
    "at_least",
    "less_than",
    "at_most",
    "between",
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "is_set",
    "is_missing",
    "in_days",
    "contains_any",
    "contains_all",
]


@dataclass(frozen=True, slots=True)
class Days:
    """A half-open stretch of time, said twice: as UTC instants for timestamps, as calendar days for dates."""

    start_at: dt.datetime | None
    end_at: dt.datetime | None
    start_day: dt.date | None
    end_day: dt.date | None


@dataclass(frozen=True, slots=True)
class ValueTest:
    """A column, tested. Missing passes nothing but ``is_missing``; ``is_negated``: has a value, and it does not pass."""

    column: str
    kind: TestKind
    value: Value | Days = None
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """One number per person out of their events. ``offsets`` are the (instant, seconds east of UTC) steps of the zone."""

    function: AggregateFunction
    column: str | None = None
    offsets: tuple[tuple[dt.datetime | None, int], ...] = ()

    @property
    def is_zero_when_empty(self) -> bool:
        """Whether nobody's events give 0 (counts, sums) or nothing at all (averages, extremes)."""
        return self.function in {"count", "distinct_days", "sum", "distinct"}


@dataclass(frozen=True, slots=True)
class DidEvent:
    """Events named ``event`` in [start_at, end_at) that pass every filter; their measure passes ``test``."""

    event: str
    where: tuple[ValueTest, ...]
    start_at: dt.datetime | None
    end_at: dt.datetime
    measure: Measure
    test: ValueTest


@dataclass(frozen=True, slots=True)
class MemberOf:
    """An open membership of a segment."""

    segment_no: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """The first 8 bytes of SHA-256 of ``salt:profile_id``, as a number, lie below ``threshold`` (0 to 2**64)."""

    salt: str
    threshold: int


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; without parts: everyone."""

    parts: tuple["CoreNode", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; without parts: nobody."""

    parts: tuple["CoreNode", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Everyone else. Missing has become false before it is turned round."""

    part: "CoreNode"


type CoreNode = AllOf | AnyOf | Not | ValueTest | DidEvent | MemberOf | Sampled


def node_walk(node: Node, path: str = "where") -> Iterator[tuple[str, Node]]:
    """Every row and group with its path in the JSON, parents before children."""
    yield path, node
    if isinstance(node, Group):
        for index, child in enumerate(node.conditions):
            yield from node_walk(child, f"{path}.conditions[{index}]")


def segments_named(node: Node) -> frozenset[str]:
    """Keys of the segments that a rule names directly."""
    return frozenset(found.segment for _, found in node_walk(node) if isinstance(found, SegmentNode))
