"""Which typed columns the engine sees of a profile, and how PostgreSQL gives their text.

Base columns, ``t_<trait>`` for every declared trait, and the parts that floors above register: consent (``c_<purpose>``)
and identity (``i_<type>``). A part is asked for its columns at every use, since purposes and types are rows.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cdp.profiles.models import Trait
from cdp.profiles.selectors import traits_declared

__all__ = [
    "Column",
    "ColumnPart",
    "columns_load",
    "columns_register",
    "columns_sha256",
    "columns_tables",
    "parts_load",
    "quoted",
]

# A trait in this unit is money: compared exactly, as a decimal.
CURRENCY_UNIT = "currency"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the engine's relation. ``type`` is DuckDB's."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class ColumnPart:
    """Columns that one table gives. ``sql`` selects ``profile_no`` and them as text, one row per profile.

    It holds ``{scope}`` where the condition on ``profile_no`` belongs. ``missing`` stands in for profiles without a row.
    """

    columns: tuple[Column, ...]
    sql: str
    missing: str | None = None


BASE = (
    (Column("profile_no", "BIGINT"), "p.profile_no"),
    (Column("profile_id", "VARCHAR"), "p.profile_id"),
    (Column("created_at", "TIMESTAMP"), "p.created_at AT TIME ZONE 'UTC'"),
    (Column("first_seen_at", "TIMESTAMP"), "p.first_seen_at AT TIME ZONE 'UTC'"),
    (Column("last_seen_at", "TIMESTAMP"), "p.last_seen_at AT TIME ZONE 'UTC'"),
    (Column("is_identified", "BOOLEAN"), "p.is_identified"),
)

_parts: dict[str, Callable[[], ColumnPart]] = {}
_tables: dict[str, str] = {}


def columns_register(name: str, part: Callable[[], ColumnPart], *, table: str) -> None:
    """Add a part under a stable name; the same name again replaces it. The rows of ``table`` say which columns it has."""
    _parts[name] = part
    _tables[name] = table


def columns_tables() -> list[str]:
    """The tables whose rows say which columns there are."""
    return ["cdp_trait", *(_tables[name] for name in sorted(_tables))]


def parts_load() -> list[tuple[str, ColumnPart]]:
    """The registered parts that have columns now, by name."""
    return [(name, part) for name in sorted(_parts) if (part := _parts[name]()).columns]


def trait_column(trait: Trait) -> Column:
    """The typed column of a declared trait."""
    match trait.value_type:
        case "number":
            kind = "DECIMAL(18,4)" if trait.unit == CURRENCY_UNIT else "DOUBLE"
        case "date":
            kind = "TIMESTAMP"
        case "boolean":
            kind = "BOOLEAN"
        case "text_list":
            kind = "VARCHAR[]"
        case _:
            kind = "VARCHAR"
    return Column(f"t_{trait.key}", kind)


def columns_load() -> list[Column]:
    """Every column of the relation, in order, without the computed groups."""
    return [
        *(column for column, _ in BASE),
        *(trait_column(trait) for trait in traits_declared()),
        *(column for _, part in parts_load() for column in part.columns),
    ]


def columns_sha256(columns: Sequence[Column]) -> str:
    """Equal exactly when names, types and order are equal."""
    return hashlib.sha256(repr([(column.name, column.type) for column in columns]).encode()).hexdigest()


def quoted(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
