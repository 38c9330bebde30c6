"""What every group of computed traits promises, and how a new one is found.

A group is one module of ``segments.computed_traits.groups``: it says which traits it writes (``SPECS``) and computes
them for everybody at once (``compute``). A file that is dropped there is picked up by the runs and by the contract tests.
"""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

import pyarrow as pa

from segments.computed_traits.orders_summary import OrderDays

type JsonValue = bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None
type JsonObject = Mapping[str, JsonValue]
type ValueType = Literal["text", "number", "boolean"]
type Verdict = Literal["published", "refused"]

GROUPS_PACKAGE = "segments.computed_traits.groups"
ARROW_TYPES: Mapping[ValueType, pa.DataType] = {"text": pa.string(), "number": pa.float64(), "boolean": pa.bool_()}


@dataclass(frozen=True, slots=True)
class TraitSpec:
    """One computed trait as the catalogue shows it. ``key`` comes without the group."""

    key: str
    title: str
    value_type: ValueType
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class TraitInputs:
    """What a group may look at. Days are numbers since 1970-01-01 in the workspace's time zone."""

    order_days: OrderDays
    as_of_day: int
    """The last day that counts, whole."""
    currency: str
    seed: int
    frequency_bands: tuple[int, ...] = (1, 2, 3, 4, 7)
    """Lowest number of order days of F1 to F5; empty scores frequency by quintiles."""
    last_parameters: JsonObject = field(default_factory=dict)
    """Parameters of the group's last published run; empty before the first."""


@dataclass(frozen=True, slots=True)
class TraitOutcome:
    """One computation. ``table`` holds ``profile_no`` and one column per spec; a refused one holds none."""

    verdict: Verdict
    reason: str
    """Why it was refused, in one sentence a marketer understands; empty when published."""
    method: str
    unit: str
    people: int
    parameters: JsonObject
    report: JsonObject
    table: pa.Table | None


class ComputedTraitGroup(Protocol):
    """A module of the groups package. ``POSITION`` is its place in a run."""

    GROUP: str
    TITLE: str
    POSITION: int
    SPECS: tuple[TraitSpec, ...]

    def compute(self, inputs: TraitInputs) -> TraitOutcome:
        """Values for every person with an order. Depends on ``inputs`` alone: same inputs, same outcome."""
        ...


def groups_find() -> dict[str, ComputedTraitGroup]:
    """Every group by key, in the order in which a run computes them."""
    package = importlib.import_module(GROUPS_PACKAGE)
    found = [
        cast(ComputedTraitGroup, importlib.import_module(f"{GROUPS_PACKAGE}.{module.name}"))
        for module in pkgutil.iter_modules(package.__path__)
    ]
    return {group.GROUP: group for group in sorted(found, key=lambda group: group.POSITION)}
