"""Predicted value against published tables and against lifetimes itself (tests/golden/models.json says how to reproduce)."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segments.computed_traits import ltv
from segments.computed_traits.ltv import Histories, PurchaseModel, histories_collapse
from segments.computed_traits.ltv_fit import FittedModels, models_fit
from segments.computed_traits.ltv_lifetimes import bgnbd_fit
from segments.computed_traits.ltv_report import HoldoutTest, holdout_test
from segments.computed_traits.orders_summary import LaterOrders, OrderSummary, orders_by_day, orders_summarise
from tests.computed_samples import CDNOW_CALIBRATION_END, CDNOW_HOLDOUT_DAYS, cdnow_orders

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "models.json").read_text())


def split(name: str) -> tuple[OrderSummary, LaterOrders]:
    order_days = orders_by_day(cdnow_orders(name))
    return orders_summarise(order_days, CDNOW_CALIBRATION_END, ahead_days=CDNOW_HOLDOUT_DAYS)


@pytest.fixture(scope="module")
def sample() -> FittedModels:
    return models_fit(split("sample")[0])


@pytest.fixture(scope="module", params=["sample", "full"])
def tested(request: pytest.FixtureRequest) -> tuple[str, HoldoutTest]:
    name = str(request.param)
    return name, holdout_test(*split("master" if name == "full" else name), is_sample=False)


def published_model() -> PurchaseModel:
    return PurchaseModel("bgnbd", "week", **GOLDEN["bgnbd_sample"]["parameters"], log_likelihood=0.0, tolerance=0.0)


def history(repeat_orders: float, recency_weeks: float, age_weeks: float) -> Histories:
    days = [round(weeks * 7) for weeks in (recency_weeks, age_weeks)]
    return histories_collapse(*(np.array([int(value)]) for value in (repeat_orders, *days)))


@pytest.fixture
def their_library() -> Iterator[Any]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        import lifetimes

        yield lifetimes


def test_bgnbd_parameters_and_likelihood(sample: FittedModels) -> None:
    expected = GOLDEN["bgnbd_sample"]
    for name, value in expected["parameters"].items():
        assert getattr(sample.orders, name) == pytest.approx(value, rel=2e-4), name
    assert sample.orders.log_likelihood == pytest.approx(expected["log_likelihood"], abs=0.005)
    assert (sample.orders.kind, sample.orders.unit, sample.orders.tolerance) == ("bgnbd", "week", 1e-7)
    assert sample.orders.flags == ()


def test_gamma_gamma_parameters(sample: FittedModels) -> None:
    for name, value in GOLDEN["gamma_gamma_sample"]["parameters"].items():
        assert getattr(sample.spend, name) == pytest.approx(value, rel=2e-3), name
    assert sample.spend.population_mean == pytest.approx(35.171, abs=0.01)


def test_an_independent_implementation_finds_the_same_on_all_people(tested: tuple[str, HoldoutTest]) -> None:
    name, test = tested
    if name == "full":
        for parameter, value in GOLDEN["bgnbd_full"]["parameters"].items():
            assert getattr(test.models.orders, parameter) == pytest.approx(value, rel=1e-5), parameter


@pytest.mark.parametrize("row", GOLDEN["forecasts"]["rows"], ids=lambda row: f"x{row['repeat_orders']}")
def test_published_forecasts(row: dict[str, float | None]) -> None:
    x, recency, age, ahead = (float(row[key] or 0) for key in ("repeat_orders", "recency", "age", "ahead"))
    one = history(x, recency, age)
    assert ltv.expected_orders(published_model(), one, ahead * 7)[0] == pytest.approx(
        row["expected"], rel=1e-3, abs=5e-5
    )
    if row["probability_alive"] is not None:
        assert ltv.probability_alive(published_model(), one)[0] == pytest.approx(row["probability_alive"], abs=1e-6)


def test_the_published_forecast_of_customer_1516(sample: FittedModels) -> None:
    one = history(26, 216 / 7, 217 / 7)
    assert ltv.expected_orders(published_model(), one, 52 * 7)[0] == pytest.approx(25.75659, abs=1e-4)
    assert ltv.expected_orders(sample.orders, one, 52 * 7)[0] == pytest.approx(25.757, abs=2e-3)


def test_a_new_customer(sample: FittedModels) -> None:
    expected = ltv.expected_orders(published_model(), history(0, 0, 0), 52 * 7)[0]
    assert expected == pytest.approx(GOLDEN["forecasts"]["new_customer_52_weeks"], abs=1e-5)


def test_more_orders_with_the_same_old_last_order_lower_the_forecast() -> None:
    forecasts = [ltv.expected_orders(published_model(), history(x, 20, 39), 364)[0] for x in (10, 15, 20, 25, 60)]
    assert forecasts == sorted(forecasts, reverse=True)
    assert forecasts[-1] >= 0


def test_errors_on_held_out_time(tested: tuple[str, HoldoutTest]) -> None:
    name, test = tested
    for errors, expected in (
        (test.order_errors[0], GOLDEN["holdout_orders"][name]),
        (test.order_errors[1], GOLDEN["holdout_orders"][f"{name}_past_rate"]),
    ):
        for figure, value in expected.items():
            # the published lift breaks ties by row order, ours by their mean
            within = {"mae": 6e-5, "top_lift": 0.02}.get(figure, 6e-4)
            assert getattr(errors, figure) == pytest.approx(value, abs=within), figure
    if name == "sample":
        expected = GOLDEN["holdout_spend_sample"]
        spend = test.amount_errors[0]
        assert spend.mae == pytest.approx(expected["mae"], abs=0.05)
        assert spend.total_ratio == pytest.approx(expected["total_ratio"], abs=5e-4)
        assert spend.top_lift == pytest.approx(expected["top_lift"], abs=0.02)


def test_conditional_means_by_past_orders() -> None:
    test = holdout_test(*split("sample"), is_sample=False)
    past = np.minimum(test.summary.repeat_orders, 7)
    actual = [float(test.later.order_days[past == x].mean()) for x in range(8)]
    expected = [float(test.orders[past == x].mean()) for x in range(8)]
    np.testing.assert_allclose(actual, GOLDEN["holdout_orders"]["sample_actual_by_repeat_orders"], atol=6e-4)
    np.testing.assert_allclose(expected, GOLDEN["holdout_orders"]["sample_expected_by_repeat_orders"], atol=1.5e-3)


def test_collapsed_and_uncollapsed_parameters_agree() -> None:
    summary, _ = split("sample")
    collapsed = ltv.summary_collapse(summary)
    everybody = Histories(
        summary.repeat_orders,
        summary.btyd_recency_days,
        summary.age_days,
        np.ones(summary.people, dtype=np.int64),
        np.arange(summary.people),
    )
    assert len(collapsed) < summary.people
    one = bgnbd_fit(collapsed, unit="week", tolerance=1e-7)
    other = bgnbd_fit(everybody, unit="week", tolerance=1e-7)
    assert one is not None and other is not None
    for name in ("r", "alpha", "a", "b"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6), name
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-9)


@pytest.mark.parametrize(("unit", "frequency", "month_days"), [("week", "W", 4.345 * 7), ("day", "D", 30.0)])
def test_twelve_month_value_equals_that_of_lifetimes(
    their_library: Any, unit: ltv.Unit, frequency: str, month_days: float
) -> None:
    import pandas as pd

    summary, _ = split("sample")
    models = models_fit(summary, unit=unit)
    step = ltv.UNIT_DAYS[unit]
    orders, spend = their_library.BetaGeoFitter(), their_library.GammaGammaFitter()
    orders.params_ = pd.Series({name: getattr(models.orders, name) for name in ("r", "alpha", "a", "b")})
    orders.predict = orders.conditional_expected_number_of_purchases_up_to_time
    spend.params_ = pd.Series({name: getattr(models.spend, name) for name in ("p", "q", "v")})
    repeaters = summary.repeat_amount_mean > 0
    columns = [
        pd.Series(column[repeaters].astype(float))
        for column in (
            summary.repeat_orders,
            summary.btyd_recency_days / step,
            summary.age_days / step,
            summary.repeat_amount_mean,
        )
    ]
    theirs = spend.customer_lifetime_value(orders, *columns, time=12, discount_rate=0.01, freq=frequency)
    by_month = ltv.orders_by_month(models.orders, models.histories, month_days=month_days)
    spend_each = ltv.expected_spend(models.spend, summary.repeat_orders, summary.repeat_amount_mean)
    ours = ltv.discounted_orders(by_month)[models.histories.inverse] * spend_each
    np.testing.assert_allclose(ours[repeaters], theirs.to_numpy(), rtol=1e-9, atol=1e-9)


def test_predictions_equal_those_of_lifetimes(their_library: Any, sample: FittedModels) -> None:
    import pandas as pd

    fitter = their_library.BetaGeoFitter()
    fitter.params_ = pd.Series({name: getattr(sample.orders, name) for name in ("r", "alpha", "a", "b")})
    h = sample.histories
    weeks = (h.recency_days / 7, h.age_days / 7)
    theirs = fitter.conditional_expected_number_of_purchases_up_to_time(52, h.repeat_orders, *weeks)
    np.testing.assert_allclose(ltv.expected_orders(sample.orders, h, 364), theirs, rtol=1e-9)
    alive = fitter.conditional_probability_alive(h.repeat_orders, *weeks)
    np.testing.assert_allclose(ltv.probability_alive(sample.orders, h), alive, rtol=1e-9)
