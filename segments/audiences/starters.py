"""Rules to start from: the examples, and what a cell, a name or a cluster of a chart means as a rule."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from segments.audiences.examples import EXAMPLES
from segments.definition.nodes import segments_named
from segments.definition.parse import definition_parse

OFFERED = 6


@dataclass(frozen=True, slots=True)
class Starter:
    """A rule with a title and why one would want it."""

    key: str
    title: str
    words: str
    definition: Mapping[str, Any]


def starters_offered(existing: Collection[str]) -> list[Starter]:
    """Examples that are not segments yet and name none that is missing."""
    return [
        Starter(example.key, example.title, example.description, example.definition)
        for example in EXAMPLES
        if example.key not in existing and segments_named(definition_parse(example.definition).where) <= set(existing)
    ][:OFFERED]


def starter_of(query: Mapping[str, str]) -> Starter | None:
    """The rule behind ``?template=``, ``?cell=54``, ``?name=At risk`` or ``?cluster=…``; None for anything else."""
    if (key := query.get("template")) is not None:
        return next((Starter(e.key, e.title, e.description, e.definition) for e in EXAMPLES if e.key == key), None)
    cell = query.get("cell", "")
    if len(cell) == 2 and set(cell) <= set("12345"):
        return _of_trait(f"Recency {cell[0]}, frequency {cell[1]}", "rfm.cell", cell)
    if name := query.get("name", "")[:40]:
        return _of_trait(name, "rfm.name", name)
    if cluster := query.get("cluster", "")[:40]:
        return _of_trait(f"Cluster {cluster}", "cluster.id", cluster)
    return None


def _of_trait(title: str, key: str, value: str) -> Starter:
    row = {"type": "trait", "trait": key, "operator": "equals", "value": value}
    return Starter(key, title, "From a chart", {"version": 1, "where": {"type": "all", "conditions": [row]}})


def rule_text(definition: Mapping[str, Any]) -> str:
    """A definition as people edit it: two spaces a level, keys in the written order."""
    return json.dumps(definition, indent=2, ensure_ascii=False)
