"""Where lifetimes breaks, the service does not: reference models §1.4, one test a row."""

import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from segments.computed_traits import ltv_fit
from segments.computed_traits.ltv import (
    Histories,
    PurchaseModel,
    SpendModel,
    discounted_orders,
    expected_orders,
    expected_spend,
    histories_collapse,
    orders_by_month,
    probability_alive,
)
from segments.computed_traits.ltv_fit import (
    data_shortage,
    models_fit,
    nbd_fit,
    purchase_model_fit,
    spend_model_fit,
)
from segments.computed_traits.ltv_lifetimes import bgnbd_fit
from segments.computed_traits.orders_summary import Orders, OrderSummary, orders_by_day, orders_summarise
from tests.computed_samples import CDNOW_CALIBRATION_END, cdnow_orders, simulated_orders


def summarise(orders: Orders, day: int) -> OrderSummary:
    order_days = orders_by_day(orders)
    return orders_summarise(order_days, day)[0]


def model(r: float, alpha: float, a: float, b: float) -> PurchaseModel:
    return PurchaseModel("bgnbd", "day", r, alpha, a, b, log_likelihood=0.0, tolerance=0.0)


def histories(*rows: tuple[int, int, int]) -> Histories:
    return histories_collapse(*(np.array(column) for column in zip(*rows, strict=True)))


def steady_orders(people: int, seed: int, days: int = 200) -> Orders:
    """Everybody keeps buying at their own rate: nobody ever leaves."""
    random = np.random.default_rng(seed)
    rate = random.gamma(1.5, 0.03, people)
    buys = random.random((people, days)) < rate[:, None]
    buys[:, 0] = True
    person, day = np.nonzero(buys)
    amount = np.round(random.gamma(4, 8, len(person)) * 10_000).astype(np.int64)
    return Orders(person.astype(np.int64) + 1, day.astype(np.int32), amount)


def without_repeat_order_by_quadrature(r: float, alpha: float, a: float, b: float, age: float, ahead: float) -> float:
    """E[orders] = integral of (1 - exp(-rate p t)) / p over rate ~ Gamma(r, alpha + T), p ~ Beta(a, b).

    The integral over the rate is (1 - ((alpha + T) / (alpha + T + p t))^r) / p.
    """

    def given_p(p: float) -> float:
        return -math.expm1(-r * math.log1p(p * ahead / (alpha + age))) / p * stats.beta.pdf(p, a, b)

    return sum(integrate.quad(given_p, low, high, limit=500)[0] for low, high in ((0, 1e-6), (1e-6, 0.5), (0.5, 1)))


@pytest.mark.parametrize(
    ("a", "b"), [(0.3, 0.4), (0.05, 0.2), (0.4, 0.6), (1.0, 0.5), (1.0, 1.0), (0.7, 1.0), (1.6, 2.2)]
)
def test_without_repeat_orders_any_a_and_b_give_the_true_value(a: float, b: float) -> None:
    r, alpha, age, ahead = 0.4, 30.0, 200, 365
    ours = expected_orders(model(r, alpha, a, b), histories((0, 0, age)), ahead)[0]
    assert ours == pytest.approx(without_repeat_order_by_quadrature(r, alpha, a, b, age, ahead), rel=2e-5)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0.05, 5),
    st.floats(1, 500),
    st.floats(0.02, 5),
    st.floats(0.02, 20),
    st.integers(0, 400),
    st.integers(1, 900),
    st.floats(0, 1),
)
def test_every_prediction_is_finite_and_sensible(
    r: float, alpha: float, a: float, b: float, x: int, age: int, share: float
) -> None:
    one = histories((x, round(age * share) if x else 0, age))
    used = model(r, alpha, a, b)
    alive = probability_alive(used, one)[0]
    short, long = expected_orders(used, one, 90)[0], expected_orders(used, one, 365)[0]
    assert 0 <= alive <= 1
    assert np.isfinite([short, long]).all()
    assert -1e-9 <= short <= long * (1 + 1e-9) + 1e-9
    assert discounted_orders(orders_by_month(used, one))[0] <= long * (1 + 1e-9) + 1e-9


def test_thousands_of_orders_do_not_overflow() -> None:
    used = model(0.24, 30.9, 0.79, 2.43)
    many = histories((171, 540, 545), (5_000, 700, 720), (5_000, 100, 720))
    assert np.isfinite(expected_orders(used, many, 365)).all()
    alive = probability_alive(used, many)
    assert alive.max() > 0.9
    assert alive.min() == pytest.approx(0, abs=1e-12)


def test_dropout_that_nobody_shows_ends_at_its_limit_and_says_so() -> None:
    summary = summarise(steady_orders(600, seed=3), 199)
    found = purchase_model_fit(ltv_fit.summary_collapse(summary), unit="week")
    assert (found.kind, found.flags) == ("nbd", ("dropout_not_identified",))
    assert probability_alive(found, ltv_fit.summary_collapse(summary)).min() == 1
    assert found.r == pytest.approx(1.5, rel=0.2)
    expected = expected_orders(found, histories((7, 50, 140)), 70)[0]
    assert expected == pytest.approx(10 * (found.r + 7) / (found.alpha + 20), rel=1e-12)


def test_the_ladder_climbs_one_tolerance_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def refuses(histories: Histories, *, unit: str, tolerance: float) -> PurchaseModel | None:
        asked.append(tolerance)
        return model(0.2, 4.0, 0.8, 2.4) if tolerance >= 1e-5 else None

    monkeypatch.setattr(ltv_fit, "bgnbd_fit", refuses)
    summary = summarise(cdnow_orders("sample"), CDNOW_CALIBRATION_END)
    assert purchase_model_fit(ltv_fit.summary_collapse(summary), unit="day").kind == "bgnbd"
    assert asked == [1e-7, 1e-6, 1e-5]


def test_likelihoods_of_both_models_are_comparable() -> None:
    """BG/NBD contains its limit, so it cannot fit worse; the limit's figure is the plain formula in the model's own unit."""
    collapsed = ltv_fit.summary_collapse(summarise(cdnow_orders("sample"), CDNOW_CALIBRATION_END))
    whole, limit = purchase_model_fit(collapsed, unit="week"), nbd_fit(collapsed, unit="week")
    assert whole.log_likelihood > limit.log_likelihood
    from scipy.special import gammaln

    r, alpha, x, age = limit.r, limit.alpha, collapsed.repeat_orders, collapsed.age_days / 7
    each = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + age)
    assert limit.log_likelihood == pytest.approx(float((collapsed.weights * each).sum()), rel=1e-9)


def test_the_unit_travels_with_the_model() -> None:
    summary = summarise(cdnow_orders("sample"), CDNOW_CALIBRATION_END)
    by_week, by_day = models_fit(summary, unit="week"), models_fit(summary, unit="day")
    assert by_day.orders.alpha == pytest.approx(7 * by_week.orders.alpha, rel=1e-4)
    np.testing.assert_allclose(
        expected_orders(by_day.orders, by_day.histories, 90),
        expected_orders(by_week.orders, by_week.histories, 90),
        rtol=1e-3,
    )


@pytest.mark.parametrize(("people", "words"), [(150, "300 are needed"), (300, "100 are needed"), (3_000, "")])
def test_too_little_data_is_said(people: int, words: str) -> None:
    orders = simulated_orders(people, seed=5, r=0.2, alpha_days=200)
    shortage = data_shortage(summarise(orders, 730))
    assert words in shortage
    assert bool(shortage) == bool(words)


def test_constant_price_is_the_mean_and_flagged() -> None:
    orders = simulated_orders(2_000, seed=1)
    summary = summarise(Orders(orders.profile_no, orders.day, np.full(len(orders.day), 195_000)), 730)
    one_a_day = summary.repeat_amount_mean <= 19.5  # nobody's second order of the day
    if not one_a_day.all():
        summary = summarise(
            Orders(
                *[
                    c[np.unique(np.stack((orders.profile_no, orders.day)), axis=1, return_index=True)[1]]
                    for c in (orders.profile_no, orders.day, np.full(len(orders.day), 195_000))
                ]
            ),
            730,
        )
    found = spend_model_fit(summary)
    assert (found.kind, found.flags, found.population_mean) == ("constant", ("constant_price",), 19.5)
    assert set(expected_spend(found, summary.repeat_orders, summary.repeat_amount_mean)) == {19.5}


def test_heavy_tailed_spend_stays_positive_and_finite() -> None:
    orders = simulated_orders(4_000, seed=2)
    random = np.random.default_rng(7)
    wild = 5 + 3 * random.pareto(0.7, len(orders.day)) ** 1.5
    summary = summarise(
        Orders(orders.profile_no, orders.day, np.round(np.minimum(wild, 1e8) * 10_000).astype(np.int64)), 730
    )
    found = spend_model_fit(summary)
    assert found.kind in {"winsorised", "empirical_bayes"}
    assert found.flags == ("heavy_tailed_spend",)
    assert found.cap is not None
    spend = expected_spend(found, summary.repeat_orders, summary.repeat_amount_mean)
    assert np.isfinite(spend).all()
    assert spend.min() > 0
    assert spend.max() <= max(found.cap, found.population_mean)


def test_empirical_bayes_finds_the_pull_that_made_the_data() -> None:
    random = np.random.default_rng(0)
    orders = random.integers(1, 12, 40_000)
    own = 50 + 10 * random.standard_normal(40_000)
    means = own + 20 * random.standard_normal(40_000) / np.sqrt(orders)
    found = ltv_fit.empirical_bayes_fit(orders, means, cap=1e9)
    assert found.population_mean == pytest.approx(50, abs=0.3)
    assert found.prior_orders == pytest.approx(20**2 / 10**2, rel=0.1)
    drawn = expected_spend(found, orders, means)
    assert ((drawn - own) ** 2).mean() < ((means - own) ** 2).mean()


def test_amounts_of_zero_and_below_stay_out_of_the_spend_fit_only() -> None:
    plain = cdnow_orders("sample")
    summary = summarise(plain, CDNOW_CALIBRATION_END)
    poor = summary.repeat_orders.argmax()
    amounts = plain.amount_e4.copy()
    amounts[plain.profile_no == summary.profile_no[poor]] = -10_000
    changed = summarise(Orders(plain.profile_no, plain.day, amounts), CDNOW_CALIBRATION_END)
    assert changed.people == summary.people
    models = models_fit(changed)
    assert models.orders == models_fit(summary).orders
    spend = expected_spend(models.spend, changed.repeat_orders, changed.repeat_amount_mean)
    assert spend[poor] == pytest.approx(models.spend.population_mean)
    assert spend.min() > 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((1, 30, 20), "recency_days"),
        ((0, 3, 20), "recency_days"),
        ((-1, 0, 20), "whole numbers"),
        ((1, -2, 20), "whole numbers"),
    ],
)
def test_contradictory_histories_are_named(row: tuple[int, int, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        histories(row)


def test_no_time_to_learn_from_is_said() -> None:
    with pytest.raises(ValueError, match="age_days"):
        purchase_model_fit(histories((0, 0, 0)), unit="week")


def test_collapsing_maps_back_to_people() -> None:
    random = np.random.default_rng(1)
    age = random.integers(0, 50, 500)
    x = np.where(age > 0, random.integers(0, 4, 500), 0)
    recency = np.where(x > 0, age // 2, 0)
    found = histories_collapse(x, recency, age)
    assert found.repeat_orders[found.inverse].tolist() == x.tolist()
    assert found.recency_days[found.inverse].tolist() == recency.tolist()
    assert found.age_days[found.inverse].tolist() == age.tolist()
    assert int(found.weights.sum()) == 500


@pytest.mark.parametrize("kind", ["fitted", "nbd", "constant"])
def test_parameters_survive_json(kind: str) -> None:
    summary = summarise(cdnow_orders("sample"), CDNOW_CALIBRATION_END)
    models = models_fit(summary)
    orders = nbd_fit(models.histories, unit="day") if kind == "nbd" else models.orders
    spend = SpendModel("constant", 12.5, math.inf, flags=("constant_price",)) if kind == "constant" else models.spend
    stored = json.loads(json.dumps([orders.to_json(), spend.to_json()], allow_nan=False))
    assert PurchaseModel.from_json(stored[0]) == orders
    assert SpendModel.from_json(stored[1]) == spend
    first = expected_orders(PurchaseModel.from_json(stored[0]), models.histories, 365)
    assert first.tolist() == expected_orders(orders, models.histories, 365).tolist()
    money = [
        expected_spend(m, summary.repeat_orders, summary.repeat_amount_mean)
        for m in (spend, SpendModel.from_json(stored[1]))
    ]
    assert money[0].tolist() == money[1].tolist()


def test_the_library_leaves_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    """It filters FutureWarning for everybody, sets a pandas option and prints: none of that gets out."""
    before, option = list(warnings.filters), pd.options.mode.chained_assignment
    steady = ltv_fit.summary_collapse(summarise(steady_orders(400, seed=9, days=120), 119))
    bgnbd_fit(steady, unit="week", tolerance=1e-7)
    models_fit(summarise(cdnow_orders("sample"), CDNOW_CALIBRATION_END))
    assert warnings.filters == before
    assert pd.options.mode.chained_assignment == option
    assert capsys.readouterr() == ("", "")
    with pytest.warns(FutureWarning):
        warnings.warn("still heard", FutureWarning, stacklevel=1)
