"""From core to one Ibis expression over the views ``profiles``, ``events`` and ``memberships``.

Every row becomes a truth value of one person, so that a rule is one filter over one scan of ``profiles``; events and
memberships enter as semi-joins. Values are Ibis literals, never text in a statement. Missing counts as false wherever
something is turned round. Only typed columns are read: no JSON, no time zone, no rounding, no engine hash.
"""

from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, assert_never

import ibis
from ibis.expr import datatypes as dt

from segments.definition.compile_values import Column, Table, Truth, naive, value_truth
from segments.definition.evaluate import value_passes
from segments.definition.nodes import (
    AllOf,
    AnyOf,
    CoreNode,
    DidEvent,
    Measure,
    MemberOf,
    Not,
    Sampled,
    ValueTest,
)
from segments.definition.sampling import threshold_hex


@dataclass(frozen=True, slots=True)
class EngineTables:
    """The three views as Ibis tables: columns as in the build of the engine, ``profile_no`` in each."""

    profiles: Table
    events: Table
    memberships: Table


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def sha256(text: str) -> str:  # type: ignore[empty-body]
    """The engine's own SHA-256 of a text, in lower-case hex."""


def definition_compile(core: CoreNode, tables: EngineTables) -> Table:
    """The members: a table expression with the one column ``profile_no``, each once, in no order."""
    return tables.profiles.filter(core_truth(core, tables)).select("profile_no")


def core_truth(core: CoreNode, tables: EngineTables) -> Truth:
    """A truth value over ``tables.profiles``: true for members; false or missing for everyone else."""
    match core:
        case AllOf(parts=parts):
            return reduce(and_, _conjunction(parts, tables)) if parts else ibis.literal(True)
        case AnyOf(parts=parts):
            return reduce(or_, [core_truth(part, tables) for part in parts]) if parts else ibis.literal(False)
        case Not(part=part):
            truth = core_truth(part, tables)
            return ~(truth.fill_null(False) if _may_be_missing(part) else truth)
        case ValueTest():
            return _tested(tables.profiles, core)
        case DidEvent():
            return _events_truth([core], tables)
        case MemberOf(segment_no=segment_no):
            members = tables.memberships.filter(tables.memberships.segment_no == segment_no)
            return tables.profiles.profile_no.isin(members.profile_no)
        case Sampled(salt=salt, threshold=threshold):
            digest = sha256(ibis.literal(f"{salt}:") + tables.profiles.profile_id)
            return digest < ibis.literal(threshold_hex(threshold))
        case _:
            assert_never(core)


def _conjunction(parts: tuple[CoreNode, ...], tables: EngineTables) -> list[Truth]:
    """Truths of all parts; event rows over the same events share one scan and one grouping."""
    truths: list[Truth] = []
    shared: dict[tuple[Any, ...], list[DidEvent]] = {}
    for part in parts:
        if isinstance(part, DidEvent) and not _holds_without_events(part):
            shared.setdefault((part.event, frozenset(part.where), part.start_at, part.end_at), []).append(part)
        else:
            truths.append(core_truth(part, tables))
    return truths + [_events_truth(rows, tables) for rows in shared.values()]


def _may_be_missing(core: CoreNode) -> bool:
    """Whether the truth of ``core`` can be neither true nor false for somebody."""
    match core:
        case AllOf(parts=parts) | AnyOf(parts=parts):
            return any(_may_be_missing(part) for part in parts)
        case ValueTest(kind=kind):
            return kind not in {"is_set", "is_missing"}
        case Not() | DidEvent() | MemberOf() | Sampled():
            return False
        case _:
            assert_never(core)


def _tested(table: Table, test: ValueTest) -> Truth:
    """``test`` on its column; a column that no data have come for yet is missing for everybody."""
    if test.column not in table.columns:
        return ibis.literal(test.kind == "is_missing")
    return value_truth(test, table[test.column])


# --- events ----------------------------------------------------------------------------------------------------------


def _holds_without_events(row: DidEvent) -> bool:
    return row.measure.is_zero_when_empty and value_passes(row.test, 0)


def _events_truth(rows: list[DidEvent], tables: EngineTables) -> Truth:
    """Rows over the same events, none of which holds without events, or exactly one row of any kind."""
    first = rows[0]
    happened = _happened(first, tables)
    profile_no = tables.profiles.profile_no
    if _holds_without_events(first):
        kept_out = happened if _is_any(first, negated=True) else _grouped(happened, rows, is_negated=True)
        return ~profile_no.isin(kept_out.profile_no)
    asked = [row for row in rows if not _is_any(row, negated=False)]
    return profile_no.isin((_grouped(happened, asked, is_negated=False) if asked else happened).profile_no)


def _is_any(row: DidEvent, *, negated: bool) -> bool:
    """Whether the row (or, negated, its opposite) says no more than: at least one event."""
    if row.measure.function not in {"count", "distinct_days"}:
        return False
    return value_passes(row.test, 1) != negated and all(
        value_passes(row.test, count) != negated for count in _turning_points(row.test)
    )


def _turning_points(test: ValueTest) -> list[int]:
    """Whole numbers from 1 on at which a test on a count can change, and one far beyond."""
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    near = [int(value) + step for value in values if isinstance(value, int | float) for step in (-1, 0, 1)]
    return [count for count in [*near, 2**62] if count >= 1]


def _happened(row: DidEvent, tables: EngineTables) -> Table:
    """The events that count."""
    events = tables.events
    truth = (events.name == ibis.literal(row.event)) & (events.occurred_at < ibis.literal(naive(row.end_at)))
    if row.start_at is not None:
        truth &= events.occurred_at >= ibis.literal(naive(row.start_at))
    for test in row.where:
        truth &= _tested(events, test)
    return events.filter(truth)


def _grouped(happened: Table, rows: list[DidEvent], *, is_negated: bool) -> Table:
    """People whose measures pass (or, negated, fail) the tests, one grouping for all of them."""
    absent = {row.measure.column for row in rows if row.measure.column} - set(happened.columns)
    happened = happened.mutate(**{column: ibis.null(dt.Decimal(18, 4)) for column in sorted(absent)})
    measures: dict[str, Column] = {}
    named: dict[Measure, str] = {}
    for row in rows:
        if row.measure not in named:
            named[row.measure] = f"measure_{len(named)}"
            measures |= _measure(happened, row.measure, named[row.measure])
    grouped = happened.group_by("profile_no").agg(**measures)
    truth = reduce(and_, [_measure_truth(grouped, row, named[row.measure]) for row in rows])
    return grouped.filter(~truth.fill_null(False) if is_negated else truth)


def _measure_truth(grouped: Table, row: DidEvent, name: str) -> Truth:
    times = grouped[f"{name}_count"] if row.measure.function == "average" else None
    return value_truth(row.test, grouped[name], times)


def _measure(happened: Table, measure: Measure, name: str) -> dict[str, Column]:
    """Named aggregates of one measure. An average is a sum and a count, so that its test is exact."""
    if measure.function == "count":
        return {name: happened.count()}
    if measure.function == "distinct_days":
        return {name: _local_day(happened.occurred_at, measure).nunique()}
    column = happened[measure.column]
    match measure.function:
        case "sum":
            return {name: column.sum().fill_null(0)}
        case "average":
            return {name: column.sum(), f"{name}_count": column.count().cast(dt.Decimal(18, 0))}
        case "minimum":
            return {name: column.min()}
        case "maximum":
            return {name: column.max()}
        case "distinct":
            return {name: column.nunique()}
        case _:
            assert_never(measure.function)


def _local_day(occurred_at: Column, measure: Measure) -> Column:
    """The workspace's calendar day: UTC plus the offset that held then, from the steps that ``lower`` looked up."""
    (_, first), *later = measure.offsets
    local = occurred_at + ibis.interval(seconds=first)
    branches = [
        (occurred_at >= ibis.literal(naive(at)), occurred_at + ibis.interval(seconds=seconds))
        for at, seconds in reversed(later)
    ]
    return (ibis.cases(*branches, else_=local) if branches else local).date()
