"""Long tables page by page: newest first, by the number of the last row seen, so that a page costs the same anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed[T]:
    """One page of rows. ``older_no`` starts the next page; None on the last. ``is_first`` is the newest page."""

    rows: Sequence[T]
    older_no: int | None
    is_first: bool


def number_or_none(text: str | None) -> int | None:
    """A positive whole number out of an address, None for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def page_of[T](rows: Sequence[T], size: int, numbers: Sequence[int], *, is_first: bool) -> Listed[T]:
    """Cut ``size`` rows out of ``size`` + 1 read ones; ``numbers`` are theirs."""
    more = len(rows) > size
    return Listed(rows[:size], numbers[size - 1] if more else None, is_first)
