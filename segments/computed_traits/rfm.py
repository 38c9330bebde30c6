"""Who bought lately, often and for much? Five scores each, 25 cells, ten published names.

Tie-safe quintiles: ``1 + floor(5 * (lowest rank - 1) / n)``, so that equal values always score alike (SQL's ``ntile``
and pandas' ``rank(method="first")`` split equal people by row order). Frequency counts days with an order.
The map from cells to names is the one in common use; every cell has exactly one name (a test holds it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segments.computed_traits.orders_summary import OrderSummary

type Scores = NDArray[np.int64]

# name -> (recency scores, frequency scores)
NAMED_CELLS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "Champions": ((5,), (4, 5)),
    "Loyal": ((3, 4), (4, 5)),
    "Potential loyal": ((4, 5), (2, 3)),
    "New": ((5,), (1,)),
    "Promising": ((4,), (1,)),
    "Need attention": ((3,), (3,)),
    "About to sleep": ((3,), (1, 2)),
    "Can't lose": ((1, 2), (5,)),
    "At risk": ((1, 2), (3, 4)),
    "Hibernating": ((1, 2), (1, 2)),
}
CELL_NAMES: Mapping[tuple[int, int], str] = {
    (r, f): name for name, (recencies, frequencies) in NAMED_CELLS.items() for r in recencies for f in frequencies
}


@dataclass(frozen=True, slots=True)
class RfmScores:
    """1 (lowest) to 5 per person, aligned with the summary they were scored from."""

    r: Scores
    f: Scores
    m: Scores

    @property
    def cell(self) -> Scores:
        """Two digits, recency then frequency."""
        return self.r * 10 + self.f


def quintile_scores(values: NDArray[np.generic], *, groups: int = 5) -> Scores:
    """1 to ``groups``, higher for higher values, equal for equal values. Groups are equal in size but for ties."""
    ordered = np.sort(values)
    lowest_rank = np.searchsorted(ordered, values, side="left")  # people with a lower value
    return 1 + (groups * lowest_rank) // max(len(values), 1)


def band_scores(values: NDArray[np.generic], lower_edges: Sequence[int]) -> Scores:
    """Score i for values from ``lower_edges[i-1]`` up to the next edge; values below the first edge score 1."""
    return np.clip(np.searchsorted(np.asarray(lower_edges), values, side="right"), 1, None).astype(np.int64)


def rfm_score(summary: OrderSummary, frequency_bands: Sequence[int]) -> RfmScores:
    """Recency and spend by quintiles; frequency by the five ``frequency_bands``, or by quintiles when there are none.

    Raises ValueError when the bands are not five rising numbers.
    """
    if frequency_bands and (len(frequency_bands) != 5 or any(np.diff(frequency_bands) <= 0)):
        raise ValueError("frequency_bands: give five rising numbers of order days, or none")
    return RfmScores(
        r=quintile_scores(-summary.days_since_last_order),
        f=band_scores(summary.order_days, frequency_bands) if frequency_bands else quintile_scores(summary.order_days),
        m=quintile_scores(summary.amount_total),
    )


def cell_labels(scores: RfmScores) -> tuple[NDArray[np.int64], list[str], list[str]]:
    """Per person an index into the 25 cells, and the 25 cells' texts ("55") and names."""
    cells = [(r, f) for r in range(1, 6) for f in range(1, 6)]
    index = (scores.r - 1) * 5 + scores.f - 1
    return index, [f"{r}{f}" for r, f in cells], [CELL_NAMES[cell] for cell in cells]


@dataclass(frozen=True, slots=True)
class RfmCell:
    """One of the 25 cells. ``amount_median`` is None where nobody is."""

    r: int
    f: int
    name: str
    people: int
    amount_median: float | None


def rfm_cells(summary: OrderSummary, scores: RfmScores) -> list[RfmCell]:
    """All 25, recency 5 first; sizes add up to everybody."""
    index, _, names = cell_labels(scores)
    order = np.argsort(index, kind="stable")
    amounts = np.split(summary.amount_total[order], np.searchsorted(index[order], np.arange(1, 25)))
    return [
        RfmCell(r, f, names[i], len(amounts[i]), float(np.median(amounts[i])) if len(amounts[i]) else None)
        for r in range(5, 0, -1)
        for f in range(1, 6)
        for i in [(r - 1) * 5 + f - 1]
    ]


def score_ranges(values: NDArray[np.int64], scores: Scores) -> list[tuple[int, int] | None]:
    """Lowest and highest value behind the scores 1 to 5; None for a score that nobody has."""
    ranges: list[tuple[int, int] | None] = []
    for score in range(1, 6):
        inside = values[scores == score]
        ranges.append((int(inside.min()), int(inside.max())) if len(inside) else None)
    return ranges
