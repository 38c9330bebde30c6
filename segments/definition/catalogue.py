"""What a rule may name: traits, events, their properties, purposes and other segments. Filled in by ``selectors``."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from segments.definition.nodes import ValueType


@dataclass(frozen=True, slots=True)
class Field:
    """A trait or an event property with the typed column that holds it."""

    key: str
    title: str
    value_type: ValueType
    column: str
    unit: str = ""
    is_personal: bool = False


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """Another segment: its number, its title, and the keys that its own rule names."""

    segment_no: int
    title: str
    refers_to: frozenset[str] = frozenset()
    is_archived: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that exists in this workspace, by key."""

    traits: Mapping[str, Field] = field(default_factory=dict)
    properties: Mapping[str, Field] = field(default_factory=dict)
    events: frozenset[str] = frozenset()
    purposes: Mapping[str, str] = field(default_factory=dict)
    segments: Mapping[str, SegmentRef] = field(default_factory=dict)


def trait_column(key: str, *, is_computed: bool) -> str:
    """The column of view ``profiles`` that holds a trait: ``t_country``, ``ltv__predicted_365d_amount``."""
    return key.replace(".", "__", 1) if is_computed else f"t_{key}"


# Columns of every person and every event that need no declaration.
PROFILE_FIELDS: tuple[Field, ...] = (
    Field("profile.first_seen_at", "First seen", "date", "first_seen_at"),
    Field("profile.last_seen_at", "Last seen", "date", "last_seen_at"),
    Field("profile.is_identified", "Identified", "boolean", "is_identified"),
)
EVENT_FIELDS: tuple[Field, ...] = (
    Field("amount", "Amount", "number", "amount"),
    Field("currency", "Currency", "text", "currency"),
    Field("order_id", "Order id", "text", "order_id"),
)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean "x"?`` when something close exists, else nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""
