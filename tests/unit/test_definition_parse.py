"""Everything wrong with a rule is named by its path; nothing outsized gets far."""

import math
import sys
import time
from typing import Any

import pytest

from segments.definition.limits import DefinitionError
from segments.definition.nodes import Aggregate, Definition, EventNode, Ever, Group, Last, TraitNode
from segments.definition.parse import definition_parse
from segments.definition.validate import definition_validate
from tests.definition_world import CATALOGUE, definition, event, trait

FR = trait("country", "equals", "FR")


def problems(data: object, *, own_key: str | None = None) -> dict[str, str]:
    with pytest.raises(DefinitionError) as caught:
        definition_validate(definition_parse(data), CATALOGUE, own_key=own_key)
    assert all(problem.message for problem in caught.value.problems)
    return {problem.field: problem.code for problem in caught.value.problems}


def nested(depth: int) -> dict[str, Any]:
    row: dict[str, Any] = FR
    for _ in range(depth):
        row = {"type": "any", "conditions": [row]}
    return row


def test_defaults_are_filled_in() -> None:
    parsed = definition_parse(definition({"type": "event", "event": "Order Completed"}))
    assert parsed == Definition(Group("all", (EventNode("Order Completed"),)))
    assert parsed.where.conditions[0] == EventNode("Order Completed", (), Aggregate("count"), "at_least", 1, Ever())


def test_everyone_is_an_empty_all() -> None:
    assert definition_parse(definition()).where == Group("all", ())


def test_whole_floats_become_whole_numbers() -> None:
    parsed = definition_parse(definition(trait("age", "equals", 3.0)))
    assert parsed.where.conditions == (TraitNode("age", "equals", 3),)
    (row,) = definition_parse(definition(event(window={"type": "last", "hours": 5}))).where.conditions
    assert isinstance(row, EventNode)
    assert row.window == Last(hours=5)


SHAPE: list[tuple[object, dict[str, str]]] = [
    ([], {"": "wrong_type"}),
    (None, {"": "wrong_type"}),
    ({"where": {}}, {"version": "missing"}),
    ({"version": 2, "where": {"type": "all", "conditions": []}}, {"version": "unknown_version"}),
    ({"version": True, "where": {"type": "all", "conditions": []}}, {"version": "unknown_version"}),
    ({"version": 1, "where": {"type": "all", "conditions": []}, "name": 1}, {"name": "unknown_key"}),
    ({"version": 1, "where": FR}, {"where.type": "unknown_value"}),
    ({"version": 1, "where": 5}, {"where": "wrong_type"}),
    (definition(kind="any"), {"where.conditions": "empty"}),
    (definition({"type": "all", "conditions": []}), {"where.conditions[0].conditions": "empty"}),
    (definition({"type": "all", "conditions": {}}), {"where.conditions[0].conditions": "wrong_type"}),
    (definition("x"), {"where.conditions[0]": "wrong_type"}),  # type: ignore[arg-type]
    (definition({}), {"where.conditions[0].type": "missing"}),
    (definition({"type": "magic"}), {"where.conditions[0].type": "unknown_value"}),
    (definition({"type": ["all"]}), {"where.conditions[0].type": "unknown_value"}),
    (definition({"type": "sequence", "steps": []}), {"where.conditions[0].type": "not_available_yet"}),
    (definition(FR | {"not": True}), {"where.conditions[0].not": "unknown_key"}),
    (definition({"type": "trait", "trait": "country"}), {"where.conditions[0].operator": "missing"}),
    (definition(trait("country", "like", "x")), {"where.conditions[0].operator": "unknown_value"}),
    (definition(trait("country", "equals")), {"where.conditions[0].value": "missing"}),
    (definition(trait("country", "is_set", "x")), {"where.conditions[0].value": "unknown_key"}),
    (definition(trait("country", "in", "FR")), {"where.conditions[0].value": "wrong_type"}),
    (definition(trait("country", "in", [])), {"where.conditions[0].value": "wrong_type"}),
    (definition(trait("country", "in", ["FR", None])), {"where.conditions[0].value[1]": "wrong_type"}),
    (definition(trait("country", "equals", {"$gt": ""})), {"where.conditions[0].value": "wrong_type"}),
    (definition(trait("country", "equals", "a\0b")), {"where.conditions[0].value": "invalid_text"}),
    (definition(trait("country", "equals", "\ud800")), {"where.conditions[0].value": "invalid_text"}),
    (definition(trait("country", "equals", "x" * 1_001)), {"where.conditions[0].value": "too_long"}),
    (definition(trait("age", "equals", math.nan)), {"where.conditions[0].value": "invalid_number"}),
    (definition(trait("age", "equals", math.inf)), {"where.conditions[0].value": "invalid_number"}),
    (definition(trait("age", "equals", 10**40)), {"where.conditions[0].value": "invalid_number"}),
    (definition(trait("age", "between", [1])), {"where.conditions[0].value": "wrong_type"}),
    (definition(trait("country", "in", ["x"] * 10_001)), {"where.conditions[0].value": "too_many"}),
    (definition(event(window={"type": "last", "days": 0})), {"where.conditions[0].window.days": "invalid_number"}),
    (definition(FR, FR, event(window={"type": "last", "days": "90"})), {"where.conditions[2].window.days": "invalid_number"}),
    (definition(event(window={"type": "last"})), {"where.conditions[0].window.days": "missing"}),
    (definition(event(window={"type": "last", "days": 1, "hours": 1})), {"where.conditions[0].window.days": "unknown_key"}),
    (definition(event(window="ever")), {"where.conditions[0].window": "wrong_type"}),
    (definition(event(window={"type": "ever", "days": 1})), {"where.conditions[0].window.days": "unknown_key"}),
    (
        definition(event(window={"type": "between_days_ago", "start_days": 5, "end_days": 5})),
        {"where.conditions[0].window.start_days": "invalid_number"},
    ),
    (definition(event(window={"type": "dates"})), {"where.conditions[0].window": "missing"}),
    (definition(event(window={"type": "dates", "from": "2026-02-30"})), {"where.conditions[0].window.from": "invalid_date"}),
    (
        definition(event(window={"type": "dates", "from": "2026-02-03", "to": "2026-02-03"})),
        {"where.conditions[0].window.to": "invalid_date"},
    ),
    (definition(event(aggregate={"function": "sum"})), {"where.conditions[0].aggregate.property": "missing"}),
    (definition(event(aggregate={"function": "count", "property": "amount"})), {"where.conditions[0].aggregate.property": "unknown_key"}),
    (definition(event(aggregate={"function": "first", "property": "amount"})), {"where.conditions[0].aggregate.function": "not_available_yet"}),
    (definition({"type": "event", "event": "Order Completed", "value": 3}), {"where.conditions[0].operator": "missing"}),
    (definition(event(where={"property": "category"})), {"where.conditions[0].where": "wrong_type"}),
    (definition(event(where=[{"property": "category"}])), {"where.conditions[0].where[0].operator": "missing"}),
    (definition({"type": "sample", "share": 0, "salt": "x"}), {"where.conditions[0].share": "invalid_number"}),
    (definition({"type": "sample", "share": 0.1, "salt": ""}), {"where.conditions[0].salt": "empty"}),
    (definition({"type": "consent", "purpose": "advertising", "state": "yes"}), {"where.conditions[0].state": "unknown_value"}),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), SHAPE)
def test_wrong_shapes_name_their_path(data: object, expected: dict[str, str]) -> None:
    assert problems(data) == expected


MEANING = [
    (trait("countri", "equals", "FR"), {"trait": "unknown_trait"}),
    (trait("country", "greater_than", "FR"), {"operator": "wrong_operator"}),
    (trait("country", "equals", 5), {"value": "wrong_type"}),
    (trait("country", "in", ["FR", 5]), {"value[1]": "wrong_type"}),
    (trait("age", "equals", "5"), {"value": "wrong_type"}),
    (trait("age", "equals", True), {"value": "wrong_type"}),
    (trait("age", "contains", "5"), {"operator": "wrong_operator"}),
    (trait("age", "between", [5, 4]), {"value": "invalid_value"}),
    (trait("is_vip", "equals", 1), {"value": "wrong_type"}),
    (trait("signed_up_at", "before", "yesterday"), {"value": "wrong_type"}),
    (trait("signed_up_at", "between", ["2026-02-01", "2026-01-01"]), {"value": "invalid_value"}),
    (trait("signed_up_at", "in_last_days", 1.5), {"value": "invalid_number"}),
    (trait("tags", "equals", "x"), {"operator": "wrong_operator"}),
    (trait("tags", "contains_any", ["x"] * 101), {"value": "too_many"}),
    (trait("country", "matches", "a(?=b)"), {"value": "invalid_pattern"}),
    (trait("country", "matches", "(x{1000}){1000}"), {"value": "invalid_pattern"}),
    (trait("country", "matches", "a" * 501), {"value": "invalid_pattern"}),
    (event("Order Complete"), {"event": "unknown_event"}),
    (event(operator="contains", value="x"), {"operator": "wrong_operator"}),
    (event(value="3"), {"value": "wrong_type"}),
    (event(where=[{"property": "colour", "operator": "is_set"}]), {"where[0].property": "unknown_property"}),
    (event(where=[{"property": "amount", "operator": "equals", "value": "5"}]), {"where[0].value": "wrong_type"}),
    (event(where=[{"property": "amount", "operator": "equals", "value": 0.00001}]), {"where[0].value": "invalid_number"}),
    (event(aggregate={"function": "sum", "property": "category"}), {"aggregate.property": "wrong_type"}),
    (event(aggregate={"function": "sum", "property": "amount"}, value=0.00001), {"value": "invalid_number"}),
    ({"type": "segment", "segment": "nobody"}, {"segment": "unknown_segment"}),
    ({"type": "segment", "segment": "old"}, {"segment": "archived"}),
    ({"type": "segment", "segment": "champions"}, {"segment": "cycle"}),
    ({"type": "segment", "segment": "recent_buyers"}, {"segment": "cycle"}),
    ({"type": "consent", "purpose": "ads", "state": "granted"}, {"purpose": "unknown_purpose"}),
]  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), MEANING)
def test_wrong_meanings_name_their_path(row: dict[str, Any], expected: dict[str, str]) -> None:
    # Saved as recent_buyers, which champions names: so both a direct and an indirect way back are cycles.
    full = {f"where.conditions[0].{path}": code for path, code in expected.items()}
    assert problems(definition(row), own_key="recent_buyers") == full


def test_all_problems_come_at_once() -> None:
    found = problems(definition(trait("countri", "equals", "x"), trait("age", "equals", "x"), event("Nothing")))
    assert list(found) == ["where.conditions[0].trait", "where.conditions[1].value", "where.conditions[2].event"]


def test_a_cycle_is_told_as_a_way() -> None:
    with pytest.raises(DefinitionError, match="champions → recent_buyers"):
        definition_validate(
            definition_parse(definition({"type": "segment", "segment": "champions"})),
            CATALOGUE,
            own_key="recent_buyers",
        )


def test_suggestions_are_made() -> None:
    with pytest.raises(DefinitionError, match='Did you mean "country"'):
        definition_validate(definition_parse(definition(trait("countri", "is_set"))), CATALOGUE)


def test_depth_12_is_read_and_13_is_not() -> None:
    assert definition_parse(definition(nested(10)))
    path = "where" + ".conditions[0]" * 12
    assert problems(definition(nested(11))) == {path: "too_deep"}


def test_depth_500_and_more_is_refused_without_recursion() -> None:
    assert problems(definition(nested(500))) == {"where": "too_deep"}
    deep: list[Any] = []
    for _ in range(sys.getrecursionlimit() * 50):
        deep = [deep]
    assert problems(definition(trait("country", "in", deep))) == {"where": "too_deep"}


def test_500_rows_are_read_and_501_are_not() -> None:
    assert len(definition_parse(definition(*[FR] * 499)).where.conditions) == 499
    assert problems(definition(*[FR] * 500)) == {"where.conditions[499]": "too_many"}
    assert problems(definition(*[event()] * 41)) == {"where.conditions[40]": "too_many"}


def test_a_megabyte_is_refused_quickly() -> None:
    data = definition(trait("country", "in", ["x" * 900] * 1_200))
    start = time.perf_counter()
    assert problems(data) == {"": "too_large"}
    assert time.perf_counter() - start < 0.5
    assert problems(definition(trait("country", "in", [1] * 10_000_000)))


def test_50_problems_are_enough() -> None:
    with pytest.raises(DefinitionError) as caught:
        definition_parse(definition(*[{"type": "magic"}] * 400))
    assert len(caught.value.problems) == 50
