"""Which model do these orders support? The ladder of fall-backs from the best model down, or "not enough data".

Orders: BG/NBD at rising tolerance, then its limit without dropout (NBD), flagged. A penalty on the parameters, which lifetimes'
own message suggests, is not used: it moves 90-day totals by 2 to 12 %. Spend: Gamma-Gamma, then the same on capped
means, then empirical Bayes by moments.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize, nnls
from scipy.special import digamma, gammaln

from segments.computed_traits.ltv import (
    UNIT_DAYS,
    Floats,
    Histories,
    Ints,
    PurchaseModel,
    SpendModel,
    Unit,
    expected_orders,
    summary_collapse,
)
from segments.computed_traits.ltv_lifetimes import bgnbd_fit, gamma_gamma_fit
from segments.computed_traits.orders_summary import OrderSummary

MINIMUM_PEOPLE = 300
MINIMUM_REPEATERS = 100
TOLERANCES = (1e-7, 1e-6, 1e-5, 1e-4)
NO_DROPOUT_SHARE = 1e-6  # a / (a + b) below this: the data do not show anybody leaving
CAP_QUANTILE = 0.99
IMPLAUSIBLE_MEAN = 5.0  # a population mean so many times the observed one comes from the tail, not from the people


@dataclass(frozen=True, slots=True)
class FittedModels:
    """What was fitted to one summary, and the histories that it was fitted on."""

    orders: PurchaseModel
    spend: SpendModel
    histories: Histories


def data_shortage(summary: OrderSummary) -> str:
    """Why this is too little to learn from, in one sentence; empty when it is enough."""
    repeaters = int((summary.repeat_orders > 0).sum())
    if summary.people < MINIMUM_PEOPLE:
        return f"Not enough data: {summary.people:,} people with an order, {MINIMUM_PEOPLE} are needed."
    if repeaters < MINIMUM_REPEATERS:
        return f"Not enough data: {repeaters:,} people ordered on a second day, {MINIMUM_REPEATERS} are needed."
    return ""


def models_fit(summary: OrderSummary, *, unit: Unit = "week") -> FittedModels:
    """Both models. The caller has asked ``data_shortage``. Raises ValueError on contradictory histories."""
    histories = summary_collapse(summary)
    return FittedModels(purchase_model_fit(histories, unit=unit), spend_model_fit(summary), histories)


def purchase_model_fit(histories: Histories, *, unit: Unit) -> PurchaseModel:
    """The first rung that converges to usable parameters."""
    if not histories.age_days.any():
        raise ValueError("age_days: all zero, so no time has passed to learn from")
    for tolerance in TOLERANCES:
        model = bgnbd_fit(histories, unit=unit, tolerance=tolerance)
        if model is None:
            continue
        if model.a / (model.a + model.b) < NO_DROPOUT_SHARE:
            break
        if np.isfinite(expected_orders(model, histories, 365)).all():
            return model
    return nbd_fit(histories, unit=unit)


def nbd_fit(histories: Histories, *, unit: Unit) -> PurchaseModel:
    """Gamma-mixed Poisson orders without dropout: the limit of BG/NBD for a / (a + b) -> 0, by maximum likelihood."""
    x, weights = histories.repeat_orders, histories.weights
    age = histories.age_days / UNIT_DAYS[unit]
    scale = float(age.max())
    share = weights / weights.sum()

    def loss(log_parameters: Floats) -> tuple[float, Floats]:
        r, alpha = np.exp(log_parameters)
        each = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + age / scale)
        by_r = digamma(r + x) - digamma(r) + np.log(alpha) - np.log(alpha + age / scale)
        by_alpha = r / alpha - (r + x) / (alpha + age / scale)
        return -float(share @ each), -np.array([r * (share @ by_r), alpha * (share @ by_alpha)])

    found = minimize(loss, np.log([0.5, 0.1]), jac=True, method="L-BFGS-B", bounds=[(-15, 15)] * 2)
    r, alpha = (float(value) for value in np.exp(found.x))
    total = -float(found.fun) * float(weights.sum()) - float((weights * x).sum()) * math.log(scale)
    return PurchaseModel(
        "nbd", unit, r, alpha * scale, 0.0, 0.0, total, tolerance=0.0, flags=("dropout_not_identified",)
    )


def spend_model_fit(summary: OrderSummary) -> SpendModel:
    """The first rung that gives a finite, plausible mean. People without a priced repeat order stay out of the fit only."""
    chosen = (summary.repeat_orders > 0) & (summary.repeat_amount_mean > 0)
    orders, means = summary.repeat_orders[chosen], summary.repeat_amount_mean[chosen]
    if len(means) < MINIMUM_REPEATERS:
        priced = summary.amount_total > 0
        mean = float(summary.amount_mean[priced].mean()) if priced.any() else 0.0
        return SpendModel("constant", mean, math.inf, flags=("too_few_priced_repeat_orders",))
    if float(means.std()) <= 1e-9 * float(means.mean()):
        return SpendModel("constant", float(means.mean()), math.inf, flags=("constant_price",))
    plain = _gamma_gamma(orders, means)
    if plain is not None:
        return plain
    cap = float(np.quantile(means, CAP_QUANTILE))
    capped = np.minimum(means, cap)
    winsorised = _gamma_gamma(orders, capped)
    if winsorised is not None:
        return replace(winsorised, kind="winsorised", cap=cap, flags=("heavy_tailed_spend",))
    return empirical_bayes_fit(orders, capped, cap)


def _gamma_gamma(orders: Ints, means: Floats) -> SpendModel | None:
    # distinct (orders, mean) pairs; as complex numbers, since those sort by both parts at once
    pairs, weights = np.unique(orders + 1j * means, return_counts=True)
    fitted = gamma_gamma_fit(pairs.real.astype(np.int64), pairs.imag, weights)
    if fitted is None or fitted[1] <= 1:
        return None
    p, q, v = fitted
    population_mean = p * v / (q - 1)
    if population_mean > IMPLAUSIBLE_MEAN * float(means.mean()):
        return None
    return SpendModel("gamma_gamma", population_mean, (q - 1) / p, p, q, v)


def empirical_bayes_fit(orders: Ints, means: Floats, cap: float) -> SpendModel:
    """Variance between people and within a person from (mean - overall)^2 ~ between + within / orders (non-negative).

    The pull towards everybody is worth ``within / between`` orders; infinite when people do not differ.
    """
    overall = float(np.average(means, weights=orders))
    design = np.column_stack((np.ones(len(means)), 1 / orders))
    weight = np.sqrt(orders)
    (between, within), _ = nnls(design * weight[:, None], (means - overall) ** 2 * weight)
    prior_orders = float(within / between) if between > 0 else math.inf
    return SpendModel("empirical_bayes", overall, prior_orders, cap=cap, flags=("heavy_tailed_spend",))
