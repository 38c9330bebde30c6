"""The published JSON Schema is current and says what the parser says. ``CDP_UPDATE_GOLDEN=1`` writes it anew."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema.protocols import Validator  # type: ignore[import-untyped]

from segments.audiences.examples import EXAMPLES
from segments.definition.limits import DefinitionError
from segments.definition.parse import definition_parse
from segments.definition.schema import definition_schema
from tests.definition_world import definitions
from tests.unit.test_definition_parse import SHAPE

PATH = Path(__file__).resolve().parents[2] / "docs" / "segment-definition.schema.json"
# What a schema cannot say: order of two values, days that exist, texts that cannot be stored.
BEYOND_SHAPE = {"invalid_date", "invalid_text", "invalid_number"}


def validator() -> Validator:
    schema = definition_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_schema_is_current() -> None:
    text = json.dumps(definition_schema(), indent=2) + "\n"
    if os.environ.get("CDP_UPDATE_GOLDEN") == "1":
        PATH.write_text(text, encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == text, "Next: CDP_UPDATE_GOLDEN=1 ./run test tests/golden"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(definitions)
def test_what_the_parser_takes_fits(data: Any) -> None:
    assert definition_parse(data)
    assert validator().is_valid(data)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.key)
def test_examples_fit(example: Any) -> None:
    assert validator().is_valid(example.definition)


@pytest.mark.parametrize(("data", "expected"), SHAPE)
def test_what_the_parser_refuses_does_not_fit(data: Any, expected: dict[str, str]) -> None:
    with pytest.raises(DefinitionError):
        definition_parse(data)
    if not set(expected.values()) & BEYOND_SHAPE:
        assert not validator().is_valid(data)
