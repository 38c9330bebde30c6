"""What will each person order and spend in the next 90 and 365 days, and are they still with us?

BG/NBD: Fader, Hardie, Lee, "Counting Your Customers the Easy Way" (2005), equations 8 and 10, P(alive) from Hardie's note
021. Gamma-Gamma: Hardie's note 025, equation 5. The same numbers as lifetimes', evaluated on unique histories only and in
a form that neither overflows nor takes the logarithm of a negative number (a + b < 1 with no repeat order).
The time unit of ``alpha`` travels with the model; histories and horizons are always given in days.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, hyp2f1

from segments.computed_traits.orders_summary import OrderSummary

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]
type Unit = Literal["day", "week"]

UNIT_DAYS: Mapping[Unit, float] = {"day": 1.0, "week": 7.0}
SINGULAR = 1e-7  # a = 1, and a + b = 1 without repeat orders, are removable singularities: step aside by this much
KEY_BITS = 21  # three counts of up to 2,097,151 share one 64-bit key


@dataclass(frozen=True, slots=True)
class PurchaseModel:
    """``bgnbd`` with dropout (a, b) after each order, or its limit ``nbd`` when the data show no dropout (a, b unused)."""

    kind: Literal["bgnbd", "nbd"]
    unit: Unit
    r: float
    alpha: float
    """In ``unit``."""
    a: float
    b: float
    log_likelihood: float
    """In ``unit``, over all people: comparable between models of the same unit."""
    tolerance: float
    """At which the optimiser converged: the rung of the ladder."""
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, str | float | list[str]]:
        """Parameters with their unit; ``from_json`` gives an equal model."""
        return asdict(self) | {"flags": list(self.flags)}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "PurchaseModel":
        """The model that ``to_json`` wrote. Raises TypeError on missing or unknown parameters."""
        flags = stored["flags"]
        assert isinstance(flags, Sequence)  # noqa: S101 - written by to_json
        return cls(**{**stored, "flags": tuple(flags)})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class SpendModel:
    """Mean spend per order day: each person's own mean, drawn towards everybody's by ``prior_orders`` order days.

    ``gamma_gamma`` keeps its p, q, v; ``winsorised`` is fitted on means capped at ``cap``; ``empirical_bayes`` estimates the
    two variances by moments; ``constant`` means that everybody pays the same.
    """

    kind: Literal["gamma_gamma", "winsorised", "empirical_bayes", "constant"]
    population_mean: float
    prior_orders: float
    p: float | None = None
    q: float | None = None
    v: float | None = None
    cap: float | None = None
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, str | float | list[str] | None]:
        """Parameters; ``from_json`` gives an equal model. JSON has no infinity: infinitely many orders are None."""
        prior_orders = None if math.isinf(self.prior_orders) else self.prior_orders
        return asdict(self) | {"flags": list(self.flags), "prior_orders": prior_orders}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "SpendModel":
        """The model that ``to_json`` wrote. Raises TypeError on missing or unknown parameters."""
        flags, prior_orders = stored["flags"], stored["prior_orders"]
        assert isinstance(flags, Sequence)  # noqa: S101 - written by to_json
        prior_orders = math.inf if prior_orders is None else prior_orders
        return cls(**{**stored, "flags": tuple(flags), "prior_orders": prior_orders})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Histories:
    """Distinct (repeat orders, recency, age) with the number of people behind each.

    ``inverse[i]`` is the row of person i, so that ``values[inverse]`` maps results back to people.
    """

    repeat_orders: Ints
    recency_days: Ints
    age_days: Ints
    weights: Ints
    inverse: Ints

    def __len__(self) -> int:
        return len(self.weights)


def histories_collapse(repeat_orders: Ints, recency_days: Ints, age_days: Ints) -> Histories:
    """Group equal histories. Raises ValueError when they contradict themselves, naming the column."""
    columns = (repeat_orders, recency_days, age_days)
    if any((column < 0).any() or (column >= 1 << KEY_BITS).any() for column in columns):
        raise ValueError("repeat_orders, recency_days, age_days: whole numbers from 0 to 2,097,151")
    if (recency_days > age_days).any():
        raise ValueError("recency_days: the last order cannot lie after the end of the data (age_days)")
    if ((repeat_orders == 0) & (recency_days != 0)).any():
        raise ValueError("recency_days: must be 0 for people without a repeat order")
    key = (repeat_orders << 2 * KEY_BITS) | (recency_days << KEY_BITS) | age_days
    unique, inverse, weights = np.unique(key, return_inverse=True, return_counts=True)
    mask = (1 << KEY_BITS) - 1
    return Histories(
        unique >> 2 * KEY_BITS, (unique >> KEY_BITS) & mask, unique & mask, weights.astype(np.int64), inverse
    )


def summary_collapse(summary: OrderSummary) -> Histories:
    """The distinct purchase histories of a summary."""
    return histories_collapse(summary.repeat_orders, summary.btyd_recency_days, summary.age_days)


def _beside_singularity(value: float, singular: float) -> float:
    return singular + SINGULAR if abs(value - singular) < SINGULAR else value


def expected_orders(model: PurchaseModel, histories: Histories, days: float) -> Floats:
    """Expected order days in the next ``days``, per history.

    Equation 10 after Euler's transformation of the hypergeometric function, which cancels the large powers:
    (a+b+x-1)/(a-1) * (1 - w^(a-1) * 2F1(a+b-1-r, a-1; a+b+x-1; 1-w)) * P(alive), w = (alpha+T)/(alpha+T+t).
    """
    step = UNIT_DAYS[model.unit]
    x, age, ahead = histories.repeat_orders, histories.age_days / step, days / step
    if model.kind == "nbd":
        return ahead * (model.r + x) / (model.alpha + age)
    a = _beside_singularity(model.a, 1.0)
    b = _beside_singularity(a + model.b, 1.0) - a
    remaining = (model.alpha + age) / (model.alpha + age + ahead)
    series = hyp2f1(a + b - 1 - model.r, a - 1, a + b + x - 1, 1 - remaining)
    if_alive = (a + b + x - 1) / (a - 1) * (1 - remaining ** (a - 1) * series)
    expected: Floats = if_alive * probability_alive(model, histories)
    return expected


def probability_alive(model: PurchaseModel, histories: Histories) -> Floats:
    """Probability that the person will order again at all, per history; 1 without a repeat order, by the model."""
    x = histories.repeat_orders
    if model.kind == "nbd":
        return np.ones(len(histories))
    step = UNIT_DAYS[model.unit]
    quiet = np.log1p(
        (histories.age_days - histories.recency_days) / step / (model.alpha + histories.recency_days / step)
    )
    log_odds_gone = np.log(model.a / (model.b + np.maximum(x, 1) - 1)) + (model.r + x) * quiet
    return np.where(x > 0, expit(-log_odds_gone), 1.0)


def expected_spend(model: SpendModel, repeat_orders: Ints, repeat_amount_mean: Floats) -> Floats:
    """Expected mean spend per future order day. People without a priced repeat order get everybody's mean."""
    own = repeat_amount_mean if model.cap is None else np.minimum(repeat_amount_mean, model.cap)
    orders = np.where(own > 0, repeat_orders, 0)
    weight = orders / np.maximum(orders + model.prior_orders, SINGULAR)  # 0 / 0: no order, and nothing to share
    return (1 - weight) * model.population_mean + weight * own


def orders_by_month(
    model: PurchaseModel, histories: Histories, *, months: int = 12, month_days: float = 365 / 12
) -> Floats:
    """Expected order days up to the end of each coming month, ``(months, n_histories)``."""
    return np.stack([expected_orders(model, histories, month * month_days) for month in range(1, months + 1)])


def discounted_orders(by_month: Floats, *, monthly_discount: float = 0.01) -> Floats:
    """Expected order days of each coming month, discounted at its end and summed, per history.

    Times ``expected_spend`` it is lifetimes' ``customer_lifetime_value`` (with months of 30 days, or of 4.345 weeks),
    from 12 predictions instead of 24.
    """
    discounts = (1 + monthly_discount) ** -np.arange(1.0, len(by_month) + 1)
    total: Floats = discounts @ np.diff(by_month, axis=0, prepend=0.0)
    return total
