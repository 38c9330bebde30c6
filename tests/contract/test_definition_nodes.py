"""One suite for every kind of row: who is in, who is out, in both engines; and its opposite parts the rest.

``CASES`` is keyed by the class of the node; a new class without cases fails the first test.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, get_args

import pytest

from segments.definition.evaluate import Person, core_holds
from segments.definition.fingerprint import definition_fingerprint
from segments.definition.lower import definition_lower
from segments.definition.nodes import AggregateFunction, Node, Operator, Window
from segments.definition.parse import definition_parse
from segments.definition.sentence import definition_sentence
from segments.definition.validate import OPERATORS_OF, definition_validate
from tests.definition_world import CATALOGUE, MOMENT, definition, event, happened, members, person, trait, world_open

BOUGHT_20, BOUGHT_5_5 = happened(amount="20"), happened(amount="5.5", days_ago=40)
MANY = [f"it's {number}" for number in range(100)]
LATE = dt.datetime.fromisoformat("2026-11-15 22:59:59.999999")  # one microsecond before 16 November in Paris
MIDNIGHT = dt.datetime.fromisoformat("2026-11-15 23:00")


def amount(function: str, operator: str, value: Any) -> dict[str, Any]:
    return event(aggregate={"function": function, "property": "amount"}, operator=operator, value=value)


def days(operator: str, value: int) -> dict[str, Any]:
    return event(aggregate={"function": "distinct_days"}, operator=operator, value=value)


def last(**length: int) -> dict[str, Any]:
    return event(window={"type": "last", **length})


def where(**test: Any) -> dict[str, Any]:
    return event(where=[test])


# (row, people in, people out): people are columns of a profile, or events, or both
CASES: dict[str, list[tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]]] = {
    "TraitNode": [
        (trait("country", "equals", "FR"), [{"t_country": "FR"}], [{}, {"t_country": "fr"}]),
        (trait("country", "not_equals", "FR"), [{"t_country": "DE"}, {"t_country": ""}], [{}, {"t_country": "FR"}]),
        (trait("country", "in", ["FR", "it's"]), [{"t_country": "it's"}], [{}, {"t_country": "DE"}]),
        (trait("country", "in", ["FR", *MANY]), [{"t_country": "FR"}, {"t_country": "it's 7"}], [{}, {"t_country": "DE"}]),
        (trait("country", "not_in", ["FR", *MANY]), [{"t_country": "DE"}], [{}, {"t_country": "it's 7"}]),
        (trait("age", "in", [*range(100), 7.25]), [{"t_age": 7.25}, {"t_age": 3.0}], [{}, {"t_age": 7.5}]),
        (trait("score", "not_in", [*range(100), 7.25]), [{"rfm__score": 100}], [{}, {"rfm__score": 7}]),
        (
            trait("ltv.predicted_365d_amount", "in", [*range(100), 7.25, 0.123]),
            [{"ltv__predicted_365d_amount": Decimal("7.25")}],
            [{}, {"ltv__predicted_365d_amount": Decimal("0.12")}],
        ),
        (trait("country", "not_in", ["FR", "DE"]), [{"t_country": "IT"}], [{}, {"t_country": "DE"}]),
        (trait("country", "contains", "%"), [{"t_country": "5%"}], [{}, {"t_country": "5"}]),
        (trait("country", "not_contains", "_"), [{"t_country": "a"}], [{}, {"t_country": "a_b"}]),
        (trait("country", "starts_with", "É"), [{"t_country": "Émile"}], [{}, {"t_country": "Emile"}]),
        (trait("country", "ends_with", "."), [{"t_country": "a."}], [{}, {"t_country": "ab"}]),
        (trait("country", "matches", r"^\d+$"), [{"t_country": "42"}], [{}, {"t_country": "4 2"}, {"t_country": "x\n42"}]),
        (trait("country", "is_set"), [{"t_country": ""}], [{}]),
        (trait("country", "is_not_set"), [{}], [{"t_country": ""}]),
        (trait("never_seen", "is_not_set"), [{}, {"t_country": "FR"}], []),
        (trait("never_seen", "not_equals", "x"), [], [{}]),
        (trait("age", "equals", 0.1), [{"t_age": 0.1}], [{}, {"t_age": 0.10000000000000002}]),
        (trait("age", "not_equals", 3), [{"t_age": 3.5}], [{}, {"t_age": 3.0}]),
        (trait("age", "in", [3, 4]), [{"t_age": 4.0}], [{}, {"t_age": 5.0}]),
        (trait("age", "not_in", [3, 4]), [{"t_age": 5.0}], [{}, {"t_age": 4.0}]),
        (trait("age", "greater_than", 3), [{"t_age": 3.0001}], [{}, {"t_age": 3.0}]),
        (trait("age", "at_least", 3), [{"t_age": 3.0}], [{}, {"t_age": 2.9}]),
        (trait("age", "less_than", 3), [{"t_age": -1.0}], [{}, {"t_age": 3.0}]),
        (trait("age", "at_most", 3), [{"t_age": 3.0}], [{}, {"t_age": 3.1}]),
        (trait("age", "between", [3, 4]), [{"t_age": 3.0}, {"t_age": 4.0}], [{}, {"t_age": 4.01}, {"t_age": 2.0}]),
        (trait("score", "at_least", 2.5), [{"rfm__score": 3}], [{}, {"rfm__score": 2}]),
        (
            trait("ltv.predicted_365d_amount", "greater_than", 119.999),
            [{"ltv__predicted_365d_amount": Decimal("120.00")}],
            [{}, {"ltv__predicted_365d_amount": Decimal("119.99")}],
        ),
        (trait("is_vip", "is_true"), [{"t_is_vip": True}], [{}, {"t_is_vip": False}]),
        (trait("is_vip", "is_false"), [{"t_is_vip": False}], [{}, {"t_is_vip": True}]),
        (trait("is_vip", "not_equals", False), [{"t_is_vip": True}], [{}, {"t_is_vip": False}]),
        (trait("signed_up_at", "equals", "2026-11-16"), [{"t_signed_up_at": MIDNIGHT}], [{}, {"t_signed_up_at": LATE}]),
        (trait("signed_up_at", "not_equals", "2026-11-16"), [{"t_signed_up_at": LATE}], [{}, {"t_signed_up_at": MIDNIGHT}]),
        (trait("signed_up_at", "before", "2026-11-16"), [{"t_signed_up_at": LATE}], [{}, {"t_signed_up_at": MIDNIGHT}]),
        (trait("signed_up_at", "after", "2026-11-15"), [{"t_signed_up_at": MIDNIGHT}], [{}, {"t_signed_up_at": LATE}]),
        (
            trait("signed_up_at", "between", ["2026-11-14", "2026-11-15"]),
            [{"t_signed_up_at": LATE}],
            [{}, {"t_signed_up_at": MIDNIGHT}],
        ),
        (trait("signed_up_at", "in_last_days", 7), [{"t_signed_up_at": MIDNIGHT}], [{}, {"t_signed_up_at": LATE}]),
        (trait("signed_up_at", "not_in_last_days", 7), [{"t_signed_up_at": LATE}], [{}, {"t_signed_up_at": MIDNIGHT}]),
        (
            trait("birthday", "between", ["2026-11-14", "2026-11-15"]),
            [{"t_birthday": dt.date(2026, 11, 15)}],
            [{}, {"t_birthday": dt.date(2026, 11, 16)}],
        ),
        (
            trait("birthday", "in_last_days", 1),
            [{"t_birthday": dt.date(2026, 11, 22)}, {"t_birthday": dt.date(2026, 11, 23)}],
            [{}, {"t_birthday": dt.date(2026, 11, 21)}, {"t_birthday": dt.date(2026, 11, 24)}],
        ),
        (trait("tags", "contains", "a"), [{"t_tags": ["b", "a"]}], [{}, {"t_tags": []}, {"t_tags": ["ab"]}]),
        (trait("tags", "not_contains", "a"), [{"t_tags": []}, {"t_tags": ["b"]}], [{}, {"t_tags": ["a"]}]),
        (trait("tags", "contains_any", ["a", "b"]), [{"t_tags": ["b"]}], [{}, {"t_tags": ["c"]}]),
        (trait("tags", "contains_all", ["a", "b"]), [{"t_tags": ["b", "c", "a"]}], [{}, {"t_tags": ["a"]}]),
        (trait("tags", "is_set"), [{"t_tags": []}], [{}]),
    ],
    "EventNode": [
        (event(), [{"events": [happened()]}], [{}, {"events": [happened("Page"), happened(days_ago=-1)]}]),
        (event(operator="equals", value=0), [{}, {"events": [happened("Page")]}], [{"events": [happened()]}]),
        (event(operator="at_most", value=1), [{}, {"events": [happened()]}], [{"events": [happened()] * 2}]),
        (event(operator="less_than", value=2), [{}, {"events": [happened()]}], [{"events": [happened()] * 2}]),
        (event(operator="at_least", value=0), [{}, {"events": [happened()]}], []),
        (event(operator="greater_than", value=0.5), [{"events": [happened()]}], [{}]),
        (event(operator="not_equals", value=1), [{}, {"events": [happened()] * 2}], [{"events": [happened()]}]),
        (event(operator="not_equals", value=0), [{"events": [happened()]}], [{}]),
        (event(operator="between", value=[0, 1]), [{}, {"events": [happened()]}], [{"events": [happened()] * 2}]),
        (event(operator="between", value=[2, 3]), [{"events": [happened()] * 3}], [{}, {"events": [happened()] * 4}]),
        (days("at_least", 2), [{"events": [happened(occurred_at=LATE), happened(occurred_at=MIDNIGHT)]}], [{"events": [happened()] * 2}]),
        (days("equals", 1), [{"events": [happened()] * 3}], [{}, {"events": [BOUGHT_5_5, happened()]}]),
        (amount("sum", "at_least", 25.5), [{"events": [BOUGHT_20, BOUGHT_5_5]}], [{}, {"events": [BOUGHT_20]}]),
        (amount("sum", "at_most", 20), [{}, {"events": [BOUGHT_20, happened()]}], [{"events": [BOUGHT_20, BOUGHT_5_5]}]),
        (amount("average", "equals", 12.75), [{"events": [BOUGHT_20, BOUGHT_5_5, happened()]}], [{}, {"events": [happened()]}]),
        (amount("average", "less_than", 6), [{"events": [BOUGHT_5_5]}], [{}, {"events": [BOUGHT_20, BOUGHT_5_5]}]),
        (amount("minimum", "at_least", 6), [{"events": [BOUGHT_20, happened()]}], [{}, {"events": [BOUGHT_20, BOUGHT_5_5]}]),
        (amount("maximum", "less_than", 6), [{"events": [BOUGHT_5_5, happened()]}], [{}, {"events": [BOUGHT_20, BOUGHT_5_5]}]),
        (
            event(aggregate={"function": "distinct", "property": "category"}, operator="equals", value=2),
            [{"events": [happened(p_category="a"), happened(p_category="b"), happened(p_category="a"), happened()]}],
            [{}, {"events": [happened(p_category="a")] * 2}],
        ),
        (event(aggregate={"function": "sum", "property": "never_sent"}, operator="at_most", value=0), [{}, {"events": [happened()]}], []),
        (event(aggregate={"function": "average", "property": "never_sent"}, operator="at_most", value=0), [], [{}, {"events": [happened()]}]),
        (where(property="never_sent", operator="not_equals", value=1), [], [{}, {"events": [happened()]}]),
        (last(days=7), [{"events": [happened(occurred_at=MIDNIGHT)]}], [{}, {"events": [happened(occurred_at=LATE)]}]),
        (last(hours=24), [{"events": [happened(days_ago=1)]}], [{"events": [happened(days_ago=0)]}, {"events": [happened(days_ago=1.001)]}]),
        (
            event(window={"type": "between_days_ago", "start_days": 9, "end_days": 7}),
            [{"events": [happened(occurred_at=LATE)]}],
            [{}, {"events": [happened(occurred_at=MIDNIGHT)]}, {"events": [happened()]}],
        ),
        (
            event(window={"type": "dates", "from": "2026-11-14", "to": "2026-11-16"}),
            [{"events": [happened(occurred_at=LATE)]}],
            [{}, {"events": [happened(occurred_at=MIDNIGHT)]}],
        ),
        (
            where(property="category", operator="equals", value="shoes"),
            [{"events": [happened(p_category="shoes")]}],
            [{}, {"events": [happened(), happened(p_category="hats"), happened("Page", p_category="shoes")]}],
        ),
        (
            where(property="category", operator="not_equals", value="shoes"),
            [{"events": [happened(p_category="hats")]}],
            [{}, {"events": [happened(), happened(p_category="shoes")]}],
        ),
        (
            where(property="category", operator="in", value=[*MANY, "shoes"]),
            [{"events": [happened(p_category="shoes")]}],
            [{}, {"events": [happened(), happened(p_category="hats")]}],
        ),
        (where(property="category", operator="is_not_set"), [{"events": [happened()]}], [{}, {"events": [happened(p_category="")]}]),
        (where(property="amount", operator="equals", value=5.5), [{"events": [BOUGHT_5_5]}], [{"events": [BOUGHT_20, happened()]}]),
        (where(property="is_gift", operator="is_false"), [{"events": [happened(p_is_gift=False)]}], [{"events": [happened(p_is_gift=True), happened()]}]),
        (
            where(property="ships_on", operator="in_last_days", value=1),
            [{"events": [happened(p_ships_on=dt.date(2026, 11, 22))]}],
            [{"events": [happened(p_ships_on=dt.date(2026, 11, 21)), happened()]}],
        ),
    ],
    "SegmentNode": [
        ({"type": "segment", "segment": "recent_buyers"}, [{"segments": [7]}, {"segments": [8, 7]}], [{}, {"segments": [8]}]),
    ],
    "ConsentNode": [
        (
            {"type": "consent", "purpose": "advertising", "state": state},
            [{"c_advertising": state}] if state != "unknown" else [{}, {"c_advertising": "unknown"}],
            [{"c_advertising": "denied" if state == "granted" else "granted"}, {"c_email_marketing": state, "c_advertising": "confirmed"}]
            if state != "unknown"
            else [{"c_advertising": "pending"}],
        )
        for state in ("granted", "denied", "withdrawn", "expired", "pending", "unknown")
    ],
    "SampleNode": [
        ({"type": "sample", "share": 1, "salt": "x"}, [{}, {"t_country": "FR"}], []),
        ({"type": "sample", "share": 1e-15, "salt": "x"}, [], [{}, {"t_country": "FR"}]),
    ],
    "Group": [
        ({"type": "all", "conditions": [trait("age", "at_least", 1), trait("is_vip", "is_true")]}, [{"t_age": 1.0, "t_is_vip": True}], [{}, {"t_age": 1.0}]),
        ({"type": "any", "conditions": [trait("age", "at_least", 1), trait("is_vip", "is_true")]}, [{"t_age": 1.0}, {"t_is_vip": True}], [{}]),
        ({"type": "none", "conditions": [trait("age", "at_least", 1), trait("is_vip", "is_true")]}, [{}, {"t_age": 0.0}], [{"t_age": 1.0}, {"t_is_vip": True}]),
        ({"type": "none", "conditions": [trait("age", "not_equals", 1)]}, [{}, {"t_age": 1.0}], [{"t_age": 2.0}]),
        (
            {"type": "all", "conditions": [event(value=2), amount("sum", "greater_than", 20), event("Product Viewed", value=1)]},
            [{"events": [BOUGHT_20, BOUGHT_5_5, happened("Product Viewed")]}],
            [{}, {"events": [BOUGHT_20, BOUGHT_5_5]}, {"events": [BOUGHT_5_5] * 2}],
        ),
    ],
}  # fmt: skip
ROWS = [(kind, *case) for kind, cases in CASES.items() for case in cases]


def people_of(columns: list[dict[str, Any]], first: int) -> list[Person]:
    return [person(first + index, **one) for index, one in enumerate(columns)]


def numbers(people: list[Person]) -> set[int]:
    return {one.columns["profile_no"] for one in people}


def test_every_kind_of_node_has_cases() -> None:
    assert set(CASES) == {node.__name__ for node in get_args(Node.__value__)}


def test_every_operator_function_and_window_has_a_case() -> None:
    text = repr(ROWS)
    for operator in get_args(Operator.__value__):
        assert f"'operator': '{operator}'" in text, operator
    for function in get_args(AggregateFunction.__value__):
        assert f"'function': '{function}'" in text or function == "count", function
    assert {window.__name__ for window in get_args(Window.__value__)} == {"Ever", "Last", "BetweenDaysAgo", "Dates"}
    for kind, operators in OPERATORS_OF.items():
        keys = [f"'trait': '{key}'" for key, field in CATALOGUE.traits.items() if field.value_type == kind]
        tried = {
            row["operator"] for _, row, _, _ in ROWS if any(key in repr(row) for key in keys) and "operator" in row
        }
        assert set(operators) - tried <= {"is_set", "is_not_set", "equals"}, kind


@pytest.mark.parametrize(("kind", "row", "inside", "outside"), ROWS)
def test_who_is_in(kind: str, row: dict[str, Any], inside: list[dict[str, Any]], outside: list[dict[str, Any]]) -> None:
    people_in, people_out = people_of(inside, 1), people_of(outside, 101)
    everyone = [*people_in, *people_out]
    rule, opposite = definition_parse(definition(row)), definition_parse(definition(row, kind="none"))
    definition_validate(rule, CATALOGUE)
    assert type(rule.where.conditions[0]).__name__ == kind
    core, opposite_core = definition_lower(rule.where, MOMENT), definition_lower(opposite.where, MOMENT)

    assert {one.columns["profile_no"] for one in everyone if core_holds(core, one)} == numbers(people_in)
    connection, tables = world_open(everyone)
    with connection:
        assert members(core, connection, tables) == numbers(people_in)
        assert members(opposite_core, connection, tables) == numbers(people_out)
    assert definition_sentence(rule, CATALOGUE).startswith("People ")
    assert definition_fingerprint(rule) != definition_fingerprint(opposite)
