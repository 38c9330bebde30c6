"""The SQL of every kind of row, to be read in a diff. ``CDP_UPDATE_GOLDEN=1 pytest tests/golden`` writes the files anew."""

import os
from pathlib import Path
from typing import Any

import ibis
import pytest

from segments.definition.compile import definition_compile
from segments.definition.lower import definition_lower
from segments.definition.parse import definition_parse
from tests.definition_world import MOMENT, definition, event, trait, world_open

FOLDER = Path(__file__).parent / "sql"
HOSTILE = "x'; DROP TABLE profiles; --"
EVENT_PARTS: dict[str, Any] = {
    "where": [{"property": "category", "operator": "not_equals", "value": "shoes"}],
    "window": {"type": "last", "days": 90},
}
RULES: dict[str, dict[str, Any]] = {
    "everyone": definition(),
    "trait_text": definition(trait("country", "in", ["FR", HOSTILE])),
    "trait_number": definition(trait("ltv.predicted_365d_amount", "between", [100, 120.5])),
    "trait_date": definition(trait("signed_up_at", "not_in_last_days", 30), trait("birthday", "before", "2000-01-01")),
    "trait_list": definition(trait("tags", "contains_all", ["a", "b"])),
    "trait_matches": definition(trait("country", "matches", "^F.*'")),
    "trait_is_not_set": definition(trait("country", "is_not_set")),
    "trait_without_data": definition(trait("never_seen", "equals", "x")),
    "event_did": definition(event(**EVENT_PARTS)),
    "event_did_not": definition(event(operator="equals", value=0, **EVENT_PARTS)),
    "event_count_at_most": definition(event(operator="at_most", value=2, **EVENT_PARTS)),
    "event_sum_and_count_share_a_scan": definition(
        event(value=3, **EVENT_PARTS),
        event(aggregate={"function": "sum", "property": "amount"}, operator="greater_than", value=200, **EVENT_PARTS),
    ),
    "event_average": definition(event(aggregate={"function": "average", "property": "amount"}, value=9.99)),
    "event_distinct_days": definition(
        event(aggregate={"function": "distinct_days"}, value=2, window={"type": "last", "days": 90})
    ),
    "segment": definition({"type": "segment", "segment": "recent_buyers"}),
    "consent": definition({"type": "consent", "purpose": "advertising", "state": "granted"}),
    "consent_unknown": definition({"type": "consent", "purpose": "advertising", "state": "unknown"}),
    "sample": definition({"type": "sample", "share": 0.1, "salt": HOSTILE}),
    "group_none": definition(trait("country", "not_equals", "FR"), event(), kind="none"),
    "group_any": definition(trait("country", "equals", "FR"), event(value=3), kind="any"),
}


@pytest.mark.parametrize("name", RULES)
def test_sql_is_as_it_was(name: str) -> None:
    connection, tables = world_open([])
    core = definition_lower(definition_parse(RULES[name]).where, MOMENT)
    statement = f"{ibis.to_sql(definition_compile(core, tables), dialect='duckdb')}\n"
    with connection:
        assert connection.execute(statement).fetchall() == []
    path = FOLDER / f"{name}.sql"
    if os.environ.get("CDP_UPDATE_GOLDEN") == "1":
        path.write_text(statement, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == statement


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.sql")} == set(RULES)
