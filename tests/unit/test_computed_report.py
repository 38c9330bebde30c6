"""The report card: figures against slow definitions, tie-safe rankings, and what the gate says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.computed_traits.report import (
    Check,
    Measure,
    concentration,
    forecast_errors,
    gate_reason,
    histogram,
    histogram_edges,
    means_by_group,
    percent,
    tenths,
    within_limits,
)

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=10, max_size=80)


@given(pairs, st.randoms())
def test_the_order_of_people_never_matters(rows: list[tuple[int, int]], random: object) -> None:
    shuffled = rows[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = []
    for each in (rows, shuffled):
        guess, truth = np.array(each, dtype=float).T
        found.append([forecast_errors(guess, truth).to_json(), tenths(guess, truth)])
    assert [list(map(_rounded, part)) for part in _flat(found[0])] == [
        list(map(_rounded, part)) for part in _flat(found[1])
    ]


def _flat(found: list[object]) -> list[list[object]]:
    errors, rows = found
    return [list(errors.values()), *[list(row.values()) for row in rows]]  # type: ignore[attr-defined]


def _rounded(value: object) -> object:
    return None if value is None else round(float(str(value)), 9)


def test_figures_equal_their_definitions() -> None:
    random = np.random.default_rng(0)
    truth = random.poisson(2.0, 400).astype(float)
    guess = truth * 0.7 + random.random(400)
    found = forecast_errors(guess, truth)
    assert found.mae == pytest.approx(sum(abs(g - t) for g, t in zip(guess, truth, strict=True)) / 400)
    assert found.rmse == pytest.approx((sum((g - t) ** 2 for g, t in zip(guess, truth, strict=True)) / 400) ** 0.5)
    assert found.total_ratio == pytest.approx(guess.sum() / truth.sum())
    in_order = truth[np.argsort(guess)]
    best = np.sort(truth)

    def slow_gini(values: np.ndarray) -> float:
        n = len(values)
        return float(sum((2 * (i + 1) - n - 1) * v for i, v in enumerate(values)) / (n * values.sum()))

    assert found.gini == pytest.approx(slow_gini(in_order) / slow_gini(best))
    assert found.top_lift == pytest.approx(in_order[-40:].mean() / truth.mean())


def test_a_perfect_and_a_useless_forecast() -> None:
    truth = np.arange(100.0)
    perfect = forecast_errors(truth, truth)
    assert (perfect.mae, perfect.rmse, perfect.total_ratio) == (0, 0, 1)
    assert perfect.gini == pytest.approx(1)
    useless = forecast_errors(np.full(100, 49.5), truth)
    assert useless.gini == pytest.approx(0, abs=1e-12)
    assert useless.pearson is None
    assert useless.top_lift == pytest.approx(1)


def test_nobody_ordered_leaves_ratios_unknown() -> None:
    found = forecast_errors(np.ones(20), np.zeros(20))
    assert (found.total_ratio, found.gini, found.top_lift, found.pearson) == (None, None, None, None)
    assert not within_limits(found.total_ratio)


def test_tenths_cover_everybody() -> None:
    guess = np.array([0.0] * 50 + [1.0] * 53)
    truth = np.array([1.0] * 50 + [2.0] * 53)
    rows = tenths(guess, truth)
    assert sum(row["people"] for row in rows) == 103
    assert sum(row["actual_share"] for row in rows) == pytest.approx(1)
    assert [rows[0]["actual"], rows[-1]["actual"]] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("model", "baselines", "better", "reading", "tone"),
    [
        (1.0, (2.0, 3.0), "lower", "Better than both", "ok"),
        (1.02, (1.0, 3.0), "lower", "One simple guess is slightly better", "warn"),
        (2.0, (1.0, 1.5), "lower", "Both simple guesses are better", "bad"),
        (0.67, (0.68, 0.68), "higher", "Both simple guesses are slightly better", "warn"),
        (1.0, (1.0, 0.5), "higher", "One simple guess is slightly better", "warn"),
        (0.83, (2.6, 2.2), "near_one", "Within 0.7 to 1.3", "ok"),
        (1.44, (1.0, 1.0), "near_one", "Outside 0.7 to 1.3", "bad"),
        (None, (1.0, 1.0), "lower", "Not known", "warn"),
    ],
)
def test_readings(model: float | None, baselines: tuple[float, float], better: str, reading: str, tone: str) -> None:
    measure = Measure("key", "Title", "score", better, model, baselines)  # type: ignore[arg-type]
    assert measure.reading() == (reading, tone)
    assert measure.to_json()["reading"] == reading


def test_the_gate_says_every_failure() -> None:
    checks = [Check("a", True, "A."), Check("b", False, "B fails."), Check("c", False, "C fails.")]
    assert gate_reason(checks) == "B fails. C fails."
    assert gate_reason(checks[:1]) == ""


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_a_histogram_counts_everybody_once(values: list[float]) -> None:
    edges = histogram_edges(np.array(values))
    assert len(edges) == 12
    assert edges[0] == 0
    assert sum(row["people"] for row in histogram(np.array(values), edges)) == len(values)


def test_histogram_edges_fit_the_scale() -> None:
    assert histogram_edges(np.linspace(0, 300, 1_000)) == [0, 5, 10, 20, 30, 40, 60, 80, 100, 150, 200, 300]
    assert histogram_edges(np.linspace(0, 30_000, 1_000))[-1] == 30_000
    assert histogram_edges(np.zeros(3))[-1] == 300


def test_small_words() -> None:
    assert percent(0.23) == "23\u00a0%"
    assert concentration(np.array([1.0, 1, 1, 97]), 0.25) == pytest.approx(0.97)
    assert concentration(np.zeros(4), 0.25) == 0
    assert means_by_group(np.array([0, 0, 9]), {0: "none", 1: "one"}, np.ones(3), np.zeros(3)) == [
        {"label": "none", "people": 2, "predicted": 1.0, "actual": 0.0}
    ]
