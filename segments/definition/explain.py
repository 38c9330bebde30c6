"""Why is this person in, or not? The rule as a tree: each row in words, whether it holds, and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass

from segments.definition.catalogue import Catalogue
from segments.definition.evaluate import Person, core_holds, events_counted, measure_of
from segments.definition.lower import Moment, definition_lower
from segments.definition.nodes import CoreNode, DidEvent, Group, Node, TraitNode, ValueTest
from segments.definition.sentence import node_phrase

HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Why:
    """One row or group for one person. ``found`` is what the row looked at; ``events`` how many counted, ``last_at`` the latest."""

    path: str
    text: str
    holds: bool
    found: str | None = None
    events: int | None = None
    last_at: str | None = None
    rows: Sequence["Why"] = ()


def definition_explain(node: Node, person: Person, moment: Moment, path: str = "where") -> Why:
    """The tree below ``node``. The root's ``holds`` is membership as of ``moment``. Personal traits are not shown."""
    core = definition_lower(node, moment)
    holds = core_holds(core, person)
    text = node_phrase(node, moment.catalogue)
    if isinstance(node, Group):
        rows = [
            definition_explain(child, person, moment, f"{path}.conditions[{index}]")
            for index, child in enumerate(node.conditions)
        ]
        return Why(path, {"all": "all of", "any": "any of", "none": "none of"}[node.kind], holds, rows=rows)
    if isinstance(core, DidEvent):
        events = events_counted(core, person)
        last = max((event["occurred_at"] for event in events), default=None)
        last_at = f"{last.isoformat(timespec='seconds')}Z" if last else None
        return Why(path, text, holds, _measured(core, person), len(events), last_at)
    return Why(path, text, holds, _found(node, core, person, moment.catalogue))


def _measured(core: DidEvent, person: Person) -> str | None:
    value = measure_of(core, person)
    if value is None:
        return None
    return str(value) if isinstance(value, int) else f"{float(value):g}"


def _found(node: Node, core: CoreNode, person: Person, catalogue: Catalogue) -> str | None:
    if not isinstance(core, ValueTest):
        return None
    value = person.columns.get(core.column)
    if value is None:
        return None
    if isinstance(node, TraitNode) and catalogue.traits[node.trait].is_personal:
        return HIDDEN
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
