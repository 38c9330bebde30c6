"""How many people does a rule find, which row does what, and how many of them may be used where? Always exact.

The count is one query. The rows' effects are a second one over one truth value per row; the reach asks the gate.
"""

import datetime as dt
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any

import numpy as np
import numpy.typing as npt

from cdp.consent.gate import GateReason, consent_gate
from cdp.consent.models import DestinationPurpose, Purpose
from segments.audiences.engine import Engine, engine_open, needs_of
from segments.definition.compile import EngineTables, core_truth, definition_compile
from segments.definition.fingerprint import definition_fingerprint
from segments.definition.lower import Moment, definition_lower
from segments.definition.nodes import CoreNode, Definition, Group, Node, node_walk
from segments.definition.parse import definition_parse
from segments.definition.selectors import catalogue_load, workspace_zone
from segments.definition.validate import definition_validate

__all__ = ["Preview", "Reach", "RowEffect", "segment_preview"]

PREVIEW_SECONDS = 15.0
FRESH_SECONDS = 60.0
MAX_REMEMBERED = 256
MAX_EFFECT_ROWS = 60


@dataclass(frozen=True, slots=True)
class RowEffect:
    """One row or group. ``matches`` alone; ``effect``: how the whole count changes by it, all else equal.

    In an all-of or none-of the effect is negative (it keeps people out), in an any-of positive (it brings people in).
    """

    path: str
    matches: int
    effect: int | None


@dataclass(frozen=True, slots=True)
class Reach:
    """Members who may be used: at a destination, or (without one) for a single purpose.

    The gate tells the gravest reason only, so whoever lacks consent and is suppressed counts as suppressed.
    """

    destination: str | None
    purposes: tuple[str, ...]
    allowed: int
    no_consent: int
    suppressed: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule finds as of ``as_of``. ``rows`` and ``reach`` are empty unless asked for."""

    count: int
    identified: int
    people: int
    as_of: dt.datetime
    took_ms: float
    rows: tuple[RowEffect, ...] = ()
    reach: tuple[Reach, ...] = ()


_remembered: OrderedDict[tuple[object, ...], tuple[float, Preview]] = OrderedDict()


def segment_preview(
    definition: object,
    as_of: dt.datetime,
    *,
    own_key: str | None = None,
    with_rows: bool = False,
    with_reach: bool = False,
    seconds: float = PREVIEW_SECONDS,
) -> Preview:
    """Count a rule that need not be saved. Raises DefinitionError, TooCostlyError, or RetryableError when the engine is busy.

    The same rule over the same data within a minute is answered from memory.
    """
    parsed = definition_parse(definition)
    catalogue = catalogue_load()
    definition_validate(parsed, catalogue, own_key=own_key)
    moment = Moment(as_of, workspace_zone(), catalogue)
    started = time.perf_counter()
    core = definition_lower(parsed.where, moment)
    needs = needs_of([core])
    with engine_open() as engine:
        question, versions = (definition_fingerprint(parsed), with_rows, with_reach), engine.versions(needs)
        if (known := _recall((*question, versions), as_of)) is not None:
            return known
        tables = engine.tables(needs, versions)
        versions = engine.shown(needs)
        count, identified = _counted(engine, tables, core, seconds)
        people = engine.people(tables.profiles, versions.profiles, seconds=seconds)
        rows = _effects(engine, tables, parsed, moment, count, seconds) if with_rows else ()
        members = _members(engine, definition_compile(core, tables), seconds) if with_reach else None
    reach = () if members is None else reach_count(members, as_of)
    took_ms = (time.perf_counter() - started) * 1_000
    preview = Preview(count, identified, people, as_of, took_ms, rows, reach)
    _remember((*question, versions), preview)
    return preview


def _counted(engine: Engine, tables: EngineTables, core: CoreNode, seconds: float) -> tuple[int, int]:
    """Members, and identified members."""

    def ask() -> Any:
        found = tables.profiles.filter(core_truth(core, tables))
        return found.aggregate(members=found.count(), identified=found.is_identified.sum().fill_null(0))

    values = engine.arrays_of("count", core, tables, ask, seconds=seconds)
    return int(values["members"][0]), int(values["identified"][0])


def _members(engine: Engine, expression: Any, seconds: float) -> npt.NDArray[np.int64]:
    return np.asarray(engine.arrays(expression, seconds=seconds)["profile_no"], dtype=np.int64)


# --- what each row does ----------------------------------------------------------------------------------------------


def _effects(
    engine: Engine, tables: EngineTables, definition: Definition, moment: Moment, count: int, seconds: float
) -> tuple[RowEffect, ...]:
    """Matches of every row and group; effects while the rule is small enough to be read by a person."""
    walked = dict(node_walk(definition.where))
    leaves = {path: node for path, node in walked.items() if not isinstance(node, Group)}
    truths = {
        f"row_{index}": core_truth(definition_lower(node, moment), tables).fill_null(False)
        for index, node in enumerate(leaves.values())
    }
    if not truths:
        return (RowEffect("where", count, None),)
    rows = tables.profiles.select(**truths)
    columns = {path: rows[f"row_{index}"] for index, path in enumerate(leaves)}
    asked: dict[str, Any] = {}
    for index, (path, node) in enumerate(walked.items()):
        asked[f"matches_{index}"] = _sum(_truth(node, path, columns, skipped=None))
        if path != "where" and len(walked) <= MAX_EFFECT_ROWS:
            rest = _truth(definition.where, "where", columns, skipped=path)
            asked[f"without_{index}"] = rows.count() if rest is None else _sum(rest)
    found = engine.arrays(rows.aggregate(**asked), seconds=seconds)
    numbers = {name: int(column[0]) for name, column in found.items()}
    return tuple(
        RowEffect(path, numbers[f"matches_{i}"], count - numbers[f"without_{i}"] if f"without_{i}" in numbers else None)
        for i, path in enumerate(walked)
    )


def _truth(node: Node, path: str, columns: Mapping[str, Any], *, skipped: str | None) -> Any:
    """The truth of a node out of its rows' columns, leaving one row or group out; None when nothing is left."""
    if path == skipped:
        return None
    if not isinstance(node, Group):
        return columns[path]
    parts = [
        truth
        for index, child in enumerate(node.conditions)
        if (truth := _truth(child, f"{path}.conditions[{index}]", columns, skipped=skipped)) is not None
    ]
    if not parts:
        return None
    if node.kind == "all":
        return reduce(and_, parts)
    return ~reduce(or_, parts) if node.kind == "none" else reduce(or_, parts)


def _sum(truth: Any) -> Any:
    return truth.cast("int64").sum().fill_null(0)


# --- who may be used -------------------------------------------------------------------------------------------------


def reach_count(members: npt.NDArray[np.int64], as_of: dt.datetime) -> tuple[Reach, ...]:
    """The gate's answer per purpose, then per mapped destination, as of ``as_of``."""
    asked: list[tuple[str | None, tuple[str, ...]]] = [
        (None, (key,)) for key in Purpose.objects.values_list("key", flat=True)
    ]
    mapped = DestinationPurpose.objects.order_by("destination")
    asked += [(row.destination, tuple(row.purposes)) for row in mapped if row.purposes]
    answers = {purposes: _gate_counts(members, purposes, as_of) for _, purposes in dict.fromkeys(asked)}
    return tuple(Reach(destination, purposes, *answers[purposes]) for destination, purposes in asked)


def _gate_counts(members: npt.NDArray[np.int64], purposes: Sequence[str], as_of: dt.datetime) -> tuple[int, int, int]:
    """Allowed, without consent, suppressed."""
    reason = consent_gate(members, purposes, as_of).reason
    allowed, suppressed = (int((reason == code).sum()) for code in (GateReason.ALLOWED, GateReason.SUPPRESSED))
    return allowed, len(members) - allowed - suppressed, suppressed


# --- memory ----------------------------------------------------------------------------------------------------------


def _recall(key: tuple[object, ...], as_of: dt.datetime) -> Preview | None:
    known = _remembered.get(key)
    if known is None or abs((as_of - known[1].as_of).total_seconds()) > FRESH_SECONDS:
        return None
    if time.monotonic() - known[0] > FRESH_SECONDS:
        return None
    _remembered.move_to_end(key)
    return known[1]


def _remember(key: tuple[object, ...], preview: Preview) -> None:
    _remembered[key] = (time.monotonic(), preview)
    while len(_remembered) > MAX_REMEMBERED:
        _remembered.popitem(last=False)
