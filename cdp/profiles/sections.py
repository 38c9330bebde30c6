"""Parts of a profile that later slices contribute to the profile API, e.g. ``segments``.

A section is a function from profile numbers to {profile_no: JSON-ready value}; people without a value may be left out.
"""

from collections.abc import Callable, Mapping, Sequence

__all__ = ["Section", "section_names", "section_read", "section_register"]

type Section = Callable[[Sequence[int]], Mapping[int, object]]

_sections: dict[str, Section] = {}


def section_register(name: str, section: Section) -> None:
    """Offer ``name`` in ``?include=``; the same name again replaces it."""
    _sections[name] = section


def section_names() -> list[str]:
    """What can be included."""
    return sorted(_sections)


def section_read(name: str, profile_nos: Sequence[int]) -> Mapping[int, object]:
    """The values of one section. Raises KeyError for a name that nobody registered."""
    return _sections[name](profile_nos)
