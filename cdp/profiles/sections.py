"""Parts of a profile that later slices contribute to the profile API, e.g. ``segments``.

A section is an SQL expression over ``p``, the profile's row, that gives JSON: it becomes a part of the one statement that
reads a profile, which keeps that read as fast as it was without it.
"""

from dataclasses import dataclass

__all__ = ["Section", "section_names", "section_register", "sections"]


@dataclass(frozen=True, slots=True)
class Section:
    """``sql``: an expression of type jsonb that is never NULL, e.g. a sub-select on ``p.profile_no``."""

    name: str
    sql: str


_sections: dict[str, Section] = {}


def section_register(section: Section) -> None:
    """Offer the section in ``?include=``; one of the same name is replaced."""
    _sections[section.name] = section


def sections() -> list[Section]:
    """All that are registered, by name."""
    return [_sections[name] for name in sorted(_sections)]


def section_names() -> list[str]:
    """What can be included."""
    return sorted(_sections)
