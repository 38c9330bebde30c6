"""The segment language as JSON Schema (draft 2020-12), made from the same tables that the parser reads.

Shape only: whether a trait exists and an operator fits its type depends on the workspace, see ``validate``.
"""

from typing import Any

from segments.definition.limits import MAX_DAYS, MAX_LIST_VALUES, MAX_NUMBER, MAX_TEXT_CHARACTERS
from segments.definition.nodes import VERSION
from segments.definition.parse import CONSENT_STATES, FUNCTIONS, GROUPS, OPERATORS, WITHOUT_PROPERTY
from segments.definition.reading import LIST_VALUE, NO_VALUE
from segments.definition.validate import MEASURE_OPERATORS

type Schema = dict[str, Any]

ADDRESS = "https://json-schema.org/draft/2020-12/schema"


def definition_schema() -> Schema:
    """The whole schema; ``docs/segment-definition.schema.json`` holds it, and a test keeps the two equal."""
    return {
        "$schema": ADDRESS,
        "title": "Segment definition",
        "description": "Who belongs to a segment. Paths in error answers follow this document: where.conditions[0].value",
        **_object({"version": {"const": VERSION}, "where": {"$ref": "#/$defs/root"}}),
        "$defs": {
            "root": {"anyOf": [_group(["all"], least=0), {"$ref": "#/$defs/group"}]},
            "group": _group(list(GROUPS), least=1),
            "row": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in ("group", *_rows())]},
            **_rows(),
            "filter": {"anyOf": _tested({"property": {"$ref": "#/$defs/name"}}, list(OPERATORS))},
            "window": {"anyOf": _windows()},
            "name": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARACTERS},
            "scalar": {
                "anyOf": [
                    {"type": "string", "maxLength": MAX_TEXT_CHARACTERS},
                    {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER},
                    {"type": "boolean"},
                ]
            },
            "days": {"type": "integer", "minimum": 1, "maximum": MAX_DAYS},
            "day": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        },
    }


def _rows() -> dict[str, Schema]:
    name: Schema = {"$ref": "#/$defs/name"}
    share: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    return {
        "trait": {"anyOf": _tested({"type": {"const": "trait"}, "trait": name}, list(OPERATORS))},
        "event": {"anyOf": _events()},
        "segment": _object({"type": {"const": "segment"}, "segment": name}),
        "consent": _object({"type": {"const": "consent"}, "purpose": name, "state": {"enum": list(CONSENT_STATES)}}),
        "sample": _object({"type": {"const": "sample"}, "share": share, "salt": name}),
    }


def _events() -> list[Schema]:
    """With an operator and a value; or without both, which means at least one event."""
    required: Schema = {"type": {"const": "event"}, "event": {"$ref": "#/$defs/name"}}
    optional: Schema = {
        "where": {"type": "array", "items": {"$ref": "#/$defs/filter"}},
        "window": {"$ref": "#/$defs/window"},
    }
    with_property = [name for name in FUNCTIONS if name not in WITHOUT_PROPERTY]
    aggregate: Schema = {
        "anyOf": [
            _object({"function": {"enum": sorted(WITHOUT_PROPERTY)}}),
            _object({"function": {"enum": with_property}, "property": {"$ref": "#/$defs/name"}}),
        ]
    }
    counted: Schema = {**optional, "aggregate": _object({"function": {"const": "count"}})}
    measured: Schema = {**optional, "aggregate": aggregate}
    return [_object(required, counted), *_tested(required, list(MEASURE_OPERATORS), measured)]


def _tested(required: Schema, operators: list[str], optional: Schema | None = None) -> list[Schema]:
    """One alternative for each shape of value that some of ``operators`` take."""
    scalar: Schema = {"$ref": "#/$defs/scalar"}
    shapes: list[tuple[list[str], Schema | None]] = [
        ([one for one in operators if one in NO_VALUE], None),
        (
            [one for one in operators if one in LIST_VALUE],
            {"type": "array", "items": scalar, "minItems": 1, "maxItems": MAX_LIST_VALUES},
        ),
        (
            [one for one in operators if one == "between"],
            {"type": "array", "items": scalar, "minItems": 2, "maxItems": 2},
        ),
        ([one for one in operators if one not in NO_VALUE | LIST_VALUE | {"between"}], scalar),
    ]
    return [
        _object({**required, "operator": {"enum": names}, **({} if value is None else {"value": value})}, optional)
        for names, value in shapes
        if names
    ]


def _windows() -> list[Schema]:
    days, day = {"$ref": "#/$defs/days"}, {"$ref": "#/$defs/day"}
    ago: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_DAYS}
    return [
        _object({"type": {"const": "ever"}}),
        _object({"type": {"const": "last"}, "days": days}),
        _object({"type": {"const": "last"}, "hours": days}),
        _object({"type": {"const": "between_days_ago"}, "start_days": days, "end_days": ago}),
        {**_object({"type": {"const": "dates"}}, {"from": day, "to": day}), "minProperties": 2},
    ]


def _group(kinds: list[str], *, least: int) -> Schema:
    conditions: Schema = {"type": "array", "items": {"$ref": "#/$defs/row"}, "minItems": least}
    return _object({"type": {"enum": kinds}, "conditions": conditions})


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }
