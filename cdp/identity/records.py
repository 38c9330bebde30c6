"""What the resolver is given, what it answers, and what it works on in between."""

import datetime as dt
from dataclasses import dataclass, field

from cdp.core.errors import Problem
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.identity.matching import Node
from cdp.identity.models import IdentifierType

__all__ = ["Chunk", "Known", "Observation", "Resolution"]


@dataclass(frozen=True, slots=True)
class Observation:
    """Identifiers that one call or line carried together: ((type key, raw value), …). Their order does not matter."""

    identifiers: tuple[tuple[str, object], ...]
    source_no: int
    message_id: str
    seen_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Resolution:
    """Whose it is, and the strongest identifier that says so. Both None: nobody's, and ``rejected`` says why."""

    profile_no: ProfileNo | None
    identifier_no: IdentifierNo | None
    rejected: list[Problem] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Known:
    """One distinct (type, normalised value) of a chunk and what the database holds of it."""

    type: IdentifierType
    value: str
    blind_index: bytes
    node: Node
    seen_from: dt.datetime
    seen_until: dt.datetime
    source_no: int
    profile_no: int | None = None
    is_erased: bool = False
    first_seen_at: dt.datetime | None = None
    last_seen_at: dt.datetime | None = None


@dataclass(slots=True)
class Chunk:
    """Observations with their identifiers looked up. ``usable[i]``, strongest first, is empty when nothing is left of i."""

    usable: list[list[Known]] = field(default_factory=list)
    rejected: list[list[Problem]] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
