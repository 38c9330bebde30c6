"""From JSON to nodes. Everything wrong is found in one pass and named by its path, e.g. ``where.conditions[2].window.days``.

Only the shape is judged here; whether a trait exists and an operator fits its type is ``validate``.
"""

from typing import Any, cast, get_args

from segments.definition.limits import MAX_DEPTH, MAX_NODES, DefinitionError, size_check
from segments.definition.nodes import (
    VERSION,
    Aggregate,
    AggregateFunction,
    ConsentNode,
    ConsentStateName,
    Definition,
    EventNode,
    Group,
    GroupKind,
    Node,
    Operator,
    PropertyFilter,
    SampleNode,
    SegmentNode,
    TraitNode,
    Value,
)
from segments.definition.reading import Reader, join
from segments.definition.windows import window_parse

GROUPS: tuple[str, ...] = get_args(GroupKind.__value__)
OPERATORS: tuple[str, ...] = get_args(Operator.__value__)
FUNCTIONS: tuple[str, ...] = get_args(AggregateFunction.__value__)
CONSENT_STATES: tuple[str, ...] = get_args(ConsentStateName.__value__)
KINDS = (*GROUPS, "trait", "event", "segment", "consent", "sample")
NOT_YET_KINDS = frozenset({"sequence"})
NOT_YET_FUNCTIONS = frozenset({"first", "last"})
WITHOUT_PROPERTY = frozenset({"count", "distinct_days"})


def definition_parse(data: object) -> Definition:
    """The rule in ``data`` (decoded JSON). Raises DefinitionError with every problem found (at most 50)."""
    size_check(data)
    reader = Reader()
    definition = _definition(reader, data)
    if reader.problems or definition is None:
        raise DefinitionError(reader.problems)
    return definition


def _definition(reader: Reader, data: object) -> Definition | None:
    if not reader.has_keys(data, "", ("version", "where")):
        return None
    data = cast(dict[str, Any], data)
    if isinstance(data["version"], bool) or data["version"] != VERSION:
        reader.wrong("version", "unknown_version", f"This service reads version {VERSION} of the segment language.")
    where = data["where"]
    if isinstance(where, dict) and where.get("type") not in GROUPS:
        reader.wrong("where.type", "unknown_value", f"A rule starts with a group: {', '.join(GROUPS)}.")
        return None
    root = _node(reader, where, "where", 1)
    return Definition(root) if isinstance(root, Group) else None


def _node(reader: Reader, item: object, path: str, depth: int) -> Node | None:
    if not reader.may_add_node(path):
        return None
    if depth > MAX_DEPTH:
        reader.wrong(path, "too_deep", f"Groups may be nested {MAX_DEPTH} deep; this one lies deeper.")
        return None
    if not isinstance(item, dict):
        reader.wrong(path, "wrong_type", "Expected an object.")
        return None
    if "type" not in item:
        reader.wrong(join(path, "type"), "missing", '"type" is required.')
        return None
    match reader.choice(item["type"], join(path, "type"), KINDS, NOT_YET_KINDS):
        case "trait":
            return _trait(reader, item, path)
        case "event":
            return _event(reader, item, path)
        case "segment":
            return _segment(reader, item, path)
        case "consent":
            return _consent(reader, item, path)
        case "sample":
            return _sample(reader, item, path)
        case ("all" | "any" | "none") as kind:
            return _group(reader, item, kind, path, depth)
        case _:
            return None


def _group(reader: Reader, item: dict[str, Any], kind: GroupKind, path: str, depth: int) -> Group | None:
    if not reader.has_keys(item, path, ("type", "conditions")):
        return None
    conditions, at = item["conditions"], join(path, "conditions")
    if not isinstance(conditions, list):
        reader.wrong(at, "wrong_type", "Expected a list of conditions.")
        return None
    if not conditions and (depth > 1 or kind != "all"):
        reader.wrong(at, "empty", "Add a condition to this group, or remove the group.")
        return None
    found = [_node(reader, one, f"{at}[{index}]", depth + 1) for index, one in enumerate(conditions[: MAX_NODES + 1])]
    return Group(kind, tuple(node for node in found if node is not None))


def _trait(reader: Reader, item: dict[str, Any], path: str) -> TraitNode | None:
    if not reader.has_keys(item, path, ("type", "trait", "operator"), ("value",)):
        return None
    trait = reader.text(item["trait"], join(path, "trait"))
    operator = reader.choice(item["operator"], join(path, "operator"), OPERATORS)
    if trait is None or not operator:
        return None
    return TraitNode(trait, cast(Operator, operator), reader.value(item, operator, path))


def _event(reader: Reader, item: dict[str, Any], path: str) -> EventNode | None:
    optional = ("where", "aggregate", "operator", "value", "window")
    if not reader.may_add_event_node(path) or not reader.has_keys(item, path, ("type", "event"), optional):
        return None
    event = reader.text(item["event"], join(path, "event"))
    where = _filters(reader, item.get("where", []), join(path, "where"))
    aggregate = _aggregate(reader, item.get("aggregate", {"function": "count"}), join(path, "aggregate"))
    window = window_parse(reader, item.get("window", {"type": "ever"}), join(path, "window"))
    operator, value = "at_least", cast(Value, 1)
    if "operator" in item:
        operator = reader.choice(item["operator"], join(path, "operator"), OPERATORS)
        value = reader.value(item, operator, path) if operator else None
    elif "value" in item or (aggregate is not None and aggregate.function != "count"):
        reader.wrong(join(path, "operator"), "missing", '"operator" and "value" are required here.')
        return None
    if event is None or where is None or aggregate is None or window is None or not operator:
        return None
    return EventNode(event, where, aggregate, cast(Operator, operator), value, window)


def _filters(reader: Reader, items: object, path: str) -> tuple[PropertyFilter, ...] | None:
    if not isinstance(items, list):
        reader.wrong(path, "wrong_type", "Expected a list of property filters.")
        return None
    found: list[PropertyFilter] = []
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        if not reader.may_add_node(at):
            return None
        if not reader.has_keys(item, at, ("property", "operator"), ("value",)):
            continue
        name = reader.text(item["property"], join(at, "property"))
        operator = reader.choice(item["operator"], join(at, "operator"), OPERATORS)
        if name is not None and operator:
            found.append(PropertyFilter(name, cast(Operator, operator), reader.value(item, operator, at)))
    return tuple(found)


def _aggregate(reader: Reader, item: object, path: str) -> Aggregate | None:
    if not reader.has_keys(item, path, ("function",), ("property",)):
        return None
    item = cast(dict[str, Any], item)
    function = reader.choice(item["function"], join(path, "function"), FUNCTIONS, NOT_YET_FUNCTIONS)
    at = join(path, "property")
    if not function:
        return None
    if function in WITHOUT_PROPERTY:
        if "property" in item:
            reader.wrong(at, "unknown_key", f'"{function}" takes no property.')
        return Aggregate(cast(AggregateFunction, function))
    if "property" not in item:
        reader.wrong(at, "missing", f'"{function}" needs a property.')
        return None
    return Aggregate(cast(AggregateFunction, function), reader.text(item["property"], at))


def _segment(reader: Reader, item: dict[str, Any], path: str) -> SegmentNode | None:
    if not reader.has_keys(item, path, ("type", "segment")):
        return None
    key = reader.text(item["segment"], join(path, "segment"))
    return SegmentNode(key) if key is not None else None


def _consent(reader: Reader, item: dict[str, Any], path: str) -> ConsentNode | None:
    if not reader.has_keys(item, path, ("type", "purpose", "state")):
        return None
    purpose = reader.text(item["purpose"], join(path, "purpose"))
    state = reader.choice(item["state"], join(path, "state"), CONSENT_STATES)
    return ConsentNode(purpose, cast(ConsentStateName, state)) if purpose is not None and state else None


def _sample(reader: Reader, item: dict[str, Any], path: str) -> SampleNode | None:
    if not reader.has_keys(item, path, ("type", "share", "salt")):
        return None
    share, salt = item["share"], reader.text(item["salt"], join(path, "salt"))
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        at = join(path, "share")
        reader.wrong(at, "invalid_number", "Enter a share above 0, up to 1: 0.1 is every tenth person.")
        return None
    return SampleNode(float(share), salt) if salt is not None else None
