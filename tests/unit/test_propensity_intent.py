"""Intent: better than both baselines on a later cut of CDNOW; the orders model's exact probability."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from segments.computed_traits.ltv import PurchaseModel, histories_collapse, summary_collapse
from segments.computed_traits.ltv_fit import purchase_model_fit
from segments.computed_traits.orders_summary import OrderSummary, day_number, orders_by_day, orders_summarise
from segments.computed_traits.propensity import (
    RECENCY_ALONE,
    IntentModel,
    intent_features,
    intent_fit,
    intent_predict,
    order_probability,
    probability_errors,
)
from tests.computed_samples import cdnow_orders

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "models.json").read_text())["intent_full"]


@pytest.fixture(scope="module")
def cuts() -> tuple[OrderSummary, np.ndarray, OrderSummary, np.ndarray]:
    order_days = orders_by_day(cdnow_orders("master"))
    train, trained = orders_summarise(order_days, day_number(dt.date(1997, 12, 31)), ahead_days=90)
    test, tested = orders_summarise(order_days, day_number(dt.date(1998, 3, 31)), ahead_days=90)
    return train, trained.order_days > 0, test, tested.order_days > 0


def test_beats_both_baselines_on_the_later_cut(cuts: tuple[OrderSummary, np.ndarray, OrderSummary, np.ndarray]) -> None:
    train, trained, test, tested = cuts
    found = probability_errors(intent_predict(intent_fit(train, trained), test), tested)
    assert float(tested.mean()) == pytest.approx(GOLDEN["base_share"], abs=5e-4)
    for figure, value in GOLDEN["model"].items():
        assert getattr(found, figure) == pytest.approx(value, abs=0.01 if figure == "top_lift" else 6e-4), figure
    recency = probability_errors(intent_predict(intent_fit(train, trained, RECENCY_ALONE), test), tested)
    assert recency.auc == pytest.approx(GOLDEN["recency_alone_auc"], abs=5e-4)
    histories = summary_collapse(test)
    orders_model = purchase_model_fit(histories, unit="week")
    baseline = probability_errors(order_probability(orders_model, histories, 90)[histories.inverse], tested)
    for other in (recency, baseline):
        assert found.auc > other.auc
        assert found.brier < other.brier


def test_the_orders_models_probability_is_the_simulated_one() -> None:
    """BG/NBD drawn forward: rate from its posterior given alive, at least one order within the window."""
    used = PurchaseModel("bgnbd", "day", 0.5, 40.0, 0.7, 2.0, 0.0, 0.0)
    one = histories_collapse(np.array([4]), np.array([150]), np.array([200]))
    random = np.random.default_rng(3)
    rate, leaves = random.gamma(0.5, 1 / 40, 4_000_000), random.beta(0.7, 2.0, 4_000_000)
    # weight of each draw by the likelihood of the history, alive and gone
    stay = rate**4 * (1 - leaves) ** 3 * np.exp(-rate * 150)
    alive, gone = stay * (1 - leaves) * np.exp(-rate * 50), stay * leaves
    expected = float((alive * -np.expm1(-rate * 90)).sum() / (alive.sum() + gone.sum()))
    assert order_probability(used, one, 90)[0] == pytest.approx(expected, rel=0.01)


def test_parameters_survive_json(cuts: tuple[OrderSummary, np.ndarray, OrderSummary, np.ndarray]) -> None:
    train, trained, test, _ = cuts
    fitted = intent_fit(train, trained)
    stored = IntentModel.from_json(json.loads(json.dumps(fitted.to_json())))
    assert stored == fitted
    assert intent_predict(stored, test).tolist() == intent_predict(fitted, test).tolist()


def test_predictions_equal_scikit_learns(cuts: tuple[OrderSummary, np.ndarray, OrderSummary, np.ndarray]) -> None:
    from sklearn.linear_model import LogisticRegression

    train, trained, test, _ = cuts
    fitted = intent_fit(train, trained)
    scale = np.array(fitted.mean), np.array(fitted.scale)
    theirs = LogisticRegression(max_iter=1000).fit((intent_features(train) - scale[0]) / scale[1], trained)
    expected = theirs.predict_proba((intent_features(test) - scale[0]) / scale[1])[:, 1]
    np.testing.assert_allclose(intent_predict(fitted, test), expected, rtol=1e-9)


def test_figures_of_chance_and_certainty() -> None:
    bought = np.array([False] * 80 + [True] * 20)
    sure = probability_errors(bought.astype(float), bought)
    assert (sure.auc, sure.brier, sure.ece, sure.average_precision, sure.top_lift) == (1, 0, 0, 1, pytest.approx(5))
    blind = probability_errors(np.full(100, 0.2), bought)
    assert (blind.auc, blind.top_lift) == (0.5, pytest.approx(1))
    assert blind.brier == pytest.approx(0.16)
    assert blind.ece == pytest.approx(0, abs=1e-12)
