"""One meaning of a rule: DuckDB and the in-memory check find the same people, for random rules and random people."""

import json

import pytest
from hypothesis import HealthCheck, given, settings

from segments.definition.evaluate import Person, people_holding
from segments.definition.explain import definition_explain
from segments.definition.lower import definition_lower
from segments.definition.parse import definition_parse
from segments.definition.sentence import definition_sentence
from segments.definition.validate import definition_validate
from tests.definition_world import CATALOGUE, MOMENT, definitions, members, populations, world_open

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def agreement_check(data: object, people: list[Person]) -> None:
    definition = definition_parse(json.loads(json.dumps(data)))
    definition_validate(definition, CATALOGUE)
    core = definition_lower(definition.where, MOMENT)
    connection, tables = world_open(people)
    with connection:
        found = members(core, connection, tables)
    assert found == {one.columns["profile_no"] for one in people_holding(core, people)}
    for one in people:
        why = definition_explain(definition.where, one, MOMENT)
        assert why.holds == (one.columns["profile_no"] in found)
    assert definition_sentence(definition, CATALOGUE)


@settings(max_examples=200, deadline=None, suppress_health_check=QUIET, derandomize=True)
@given(definitions, populations())
def test_engines_agree(data: object, people: list[Person]) -> None:
    agreement_check(data, people)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=6_000, deadline=None, suppress_health_check=QUIET)
@given(definitions, populations())
def test_engines_agree_on_thousands(data: object, people: list[Person]) -> None:
    agreement_check(data, people)
