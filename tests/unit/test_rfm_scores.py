"""RFM: equal values score alike, every cell has one name, sizes add up."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.computed_traits.orders_summary import orders_by_day, orders_summarise
from segments.computed_traits.rfm import (
    CELL_NAMES,
    NAMED_CELLS,
    band_scores,
    cell_labels,
    quintile_scores,
    rfm_cells,
    rfm_score,
    score_ranges,
)
from tests.computed_samples import CDNOW_LAST_DAY, cdnow_orders

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "models.json").read_text())
BANDS = (1, 2, 3, 4, 7)


def test_each_of_the_25_cells_has_exactly_one_of_ten_names() -> None:
    cells = [(r, f) for recencies, frequencies in NAMED_CELLS.values() for r in recencies for f in frequencies]
    assert len(NAMED_CELLS) == 10
    assert Counter(cells) == Counter((r, f) for r in range(1, 6) for f in range(1, 6))
    assert (CELL_NAMES[5, 5], CELL_NAMES[3, 3], CELL_NAMES[1, 1]) == ("Champions", "Need attention", "Hibernating")
    assert (CELL_NAMES[2, 5], CELL_NAMES[4, 1], CELL_NAMES[5, 1]) == ("Can't lose", "Promising", "New")


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=200), st.sampled_from([5, 10]))
def test_scores_are_fair(numbers: list[int], groups: int) -> None:
    values = np.array(numbers)
    scores = quintile_scores(values, groups=groups)
    assert ((scores >= 1) & (scores <= groups)).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(scores[order]) >= 0).all()  # a higher value never scores lower
    assert all(len(set(scores[values == value])) == 1 for value in values)  # equal values, equal scores
    lower = np.array([(values < value).sum() for value in values])
    assert scores.tolist() == (1 + np.floor(groups * lower / len(values))).astype(int).tolist()


@given(st.lists(st.integers(0, 10_000), min_size=5, max_size=300, unique=True))
def test_fifths_are_equal_without_ties(numbers: list[int]) -> None:
    sizes = np.bincount(quintile_scores(np.array(numbers)), minlength=6)[1:]
    assert sizes.max() - sizes.min() <= 1


def test_bands_include_their_lower_edge() -> None:
    assert band_scores(np.array([0, 1, 2, 3, 4, 6, 7, 171]), BANDS).tolist() == [1, 1, 2, 3, 4, 4, 5, 5]


def test_cdnow_as_published_in_the_golden_file() -> None:
    order_days = orders_by_day(cdnow_orders("master"))
    summary, _ = orders_summarise(order_days, CDNOW_LAST_DAY)
    scores = rfm_score(summary, BANDS)
    cells = rfm_cells(summary, scores)
    sizes: Counter[str] = Counter()
    for cell in cells:
        sizes[cell.name] += cell.people
    expected = GOLDEN["rfm_full"]
    assert dict(sizes) == expected["names"]
    assert sum(cell.people for cell in cells) == expected["people"] == summary.people
    assert sum(cell.people for cell in cells if cell.f == 1) == expected["one_order_day"]
    assert all((cell.amount_median is None) == (cell.people == 0) for cell in cells)
    assert score_ranges(summary.order_days, scores.f) == [(1, 1), (2, 2), (3, 3), (4, 6), (7, 171)]
    # all 12,054 people with one order day share one score, by fifths as well
    assert set(rfm_score(summary, ()).f[summary.repeat_orders == 0]) == {1}
    index, texts, names = cell_labels(scores)
    assert [int(texts[i]) for i in index[:500]] == scores.cell[:500].tolist()
    assert [names[i] for i in index[:500]] == [
        CELL_NAMES[r, f] for r, f in zip(scores.r[:500], scores.f[:500], strict=True)
    ]


@pytest.mark.parametrize("bands", [(1, 2, 3), (1, 2, 2, 4, 5)])
def test_bands_that_are_not_five_rising_numbers_are_refused(bands: tuple[int, ...]) -> None:
    order_days = orders_by_day(cdnow_orders("sample"))
    summary, _ = orders_summarise(order_days, CDNOW_LAST_DAY)
    with pytest.raises(ValueError, match="frequency_bands"):
        rfm_score(summary, bands)
