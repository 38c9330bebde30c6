"""Sets of vendor or section ids as sorted, disjoint intervals, so that "1 to 65,535" costs as much as "7"."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

type Interval = tuple[int, int]
type Intervals = tuple[Interval, ...]
type IdsView = list[int] | dict[str, list[list[int]]]

# Up to here a set is shown id by id, beyond as {"ranges": [[first, last], …]}.
LISTED_IDS = 200
_RUN = re.compile("1+")


def intervals_merge(pairs: Iterable[Interval]) -> Intervals:
    """Sorted and disjoint; overlapping and touching pairs become one. Each pair is (first, last) with first ≤ last."""
    merged: list[Interval] = []
    for first, last in sorted(pairs):
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def intervals_from_bits(bits: str) -> Intervals:
    """The positions of the ones, counted from 1."""
    return tuple((run.start() + 1, run.end()) for run in _RUN.finditer(bits))


def intervals_contain(intervals: Intervals, number: int) -> bool:
    """Whether the number lies in one of them."""
    at = bisect_right(intervals, number, key=lambda pair: pair[0])
    return at > 0 and number <= intervals[at - 1][1]


def intervals_count(intervals: Intervals) -> int:
    """How many ids they stand for."""
    return sum(last - first + 1 for first, last in intervals)


def intervals_list(intervals: Intervals) -> list[int]:
    """Every id. The caller has made sure that there are few."""
    return [number for first, last in intervals for number in range(first, last + 1)]


def ids_view(intervals: Intervals) -> IdsView:
    """A list of ids, or of ranges when there are more than ``LISTED_IDS``."""
    if intervals_count(intervals) <= LISTED_IDS:
        return intervals_list(intervals)
    return ranges_view(intervals)


def ranges_view(intervals: Sequence[Interval]) -> IdsView:
    """The long form, whatever the size."""
    return {"ranges": [[first, last] for first, last in intervals]}
