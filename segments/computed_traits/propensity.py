"""Who will order in the next 90 days?

Logistic regression on logs of recency, order days, spend, age and the order days of the last 30, 90 and 180 days. Learned at an earlier
cut, judged at a later one beside two baselines: the orders model of ``ltv`` (its exact probability of at least one order,
no labels needed) and days since the last order alone. Gradient boosting is no better on such data (reference, models §2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from segments.computed_traits.ltv import UNIT_DAYS, Histories, PurchaseModel, probability_alive
from segments.computed_traits.orders_summary import OrderSummary
from segments.computed_traits.report import tie_means

type Floats = NDArray[np.float64]
type Flags = NDArray[np.bool_]

FEATURES = (
    "days_since_last_order",
    "order_days",
    "amount_total",
    "age_days",
    "order_days_30d",
    "order_days_90d",
    "order_days_180d",
)
RECENCY_ALONE = ("days_since_last_order",)


@dataclass(frozen=True, slots=True)
class IntentModel:
    """Coefficients on standardised log1p features."""

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def to_json(self) -> dict[str, list[str] | list[float] | float]:
        """Parameters; ``from_json`` gives an equal model."""
        return {
            "features": list(self.features),
            "mean": list(self.mean),
            "scale": list(self.scale),
            "coefficients": list(self.coefficients),
            "intercept": self.intercept,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "IntentModel":
        """The model that ``to_json`` wrote."""

        def numbers(name: str) -> tuple[float, ...]:
            values = stored[name]
            assert isinstance(values, Sequence)  # noqa: S101 - written by to_json
            return tuple(float(value) for value in values)

        names = stored["features"]
        assert isinstance(names, Sequence)  # noqa: S101 - written by to_json
        return cls(
            features=tuple(str(name) for name in names),
            mean=numbers("mean"),
            scale=numbers("scale"),
            coefficients=numbers("coefficients"),
            intercept=float(str(stored["intercept"])),
        )


@dataclass(frozen=True, slots=True)
class ProbabilityErrors:
    """How good probabilities are, against what happened."""

    auc: float
    average_precision: float
    brier: float
    ece: float
    """Expected calibration error over ten groups of equal size."""
    top_lift: float
    """Share of buyers in the tenth with the highest probability, over everybody's share."""

    def to_json(self) -> dict[str, float]:
        """Plain numbers by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def intent_features(summary: OrderSummary, names: Sequence[str] = FEATURES) -> Floats:
    """log1p of the named columns, ``(n_people, len(names))``; a negative net spend counts as none."""
    return np.log1p(np.column_stack([np.maximum(getattr(summary, name), 0) for name in names]).astype(np.float64))


def intent_fit(summary: OrderSummary, bought: Flags, names: Sequence[str] = FEATURES) -> IntentModel:
    """Regularised logistic regression (C = 1). ``bought`` must hold both answers."""
    from sklearn.linear_model import LogisticRegression  # takes a second to import, and only runs need it

    features = intent_features(summary, names)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1.0
    fitted = LogisticRegression(max_iter=1000).fit((features - mean) / scale, bought)
    return IntentModel(
        tuple(names),
        tuple(mean.tolist()),
        tuple(scale.tolist()),
        tuple(fitted.coef_[0].tolist()),
        float(fitted.intercept_[0]),
    )


def intent_predict(model: IntentModel, summary: OrderSummary) -> Floats:
    """Probability of an order in the coming window, per person."""
    points = (intent_features(summary, model.features) - np.array(model.mean)) / np.array(model.scale)
    probability: Floats = expit(points @ np.array(model.coefficients) + model.intercept)
    return probability


def order_probability(model: PurchaseModel, histories: Histories, days: float) -> Floats:
    """P(at least one order within ``days``) under BG/NBD, per history: P(alive) * (1 - ((alpha+T)/(alpha+T+t))^(r+x))."""
    step = UNIT_DAYS[model.unit]
    age = model.alpha + histories.age_days / step
    quiet = (age / (age + days / step)) ** (model.r + histories.repeat_orders)
    probability: Floats = probability_alive(model, histories) * (1 - quiet)
    return probability


def probability_errors(probability: Floats, bought: Flags) -> ProbabilityErrors:
    """Figures over people; both ``(n_people,)``; ``bought`` must hold both answers."""
    from sklearn.metrics import average_precision_score, roc_auc_score  # see intent_fit

    ordered, happened = tie_means(probability, bought)
    bins = zip(np.array_split(ordered, 10), np.array_split(happened, 10), strict=True)
    gaps = [len(guess) * abs(float(guess.mean()) - float(real.mean())) for guess, real in bins if len(guess)]
    top = max(round(len(bought) / 10), 1)
    return ProbabilityErrors(
        auc=float(roc_auc_score(bought, probability)),
        average_precision=float(average_precision_score(bought, probability)),
        brier=float(((probability - bought) ** 2).mean()),
        ece=sum(gaps) / len(bought),
        top_lift=float(happened[-top:].mean() / bought.mean()),
    )
