"""Can these numbers be trusted? Errors on time that the model did not see, beside naive guesses, and the gate.

Validation protocol: split at a closed day, keep the people born before it, compare prediction and truth on the days after.
Order of people with equal predictions never matters: within such a tie everybody counts with the tie's mean truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Numbers = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_]
type Tone = Literal["ok", "warn", "bad"]
type Better = Literal["lower", "higher", "near_one"]

RATIO_LIMITS = (0.7, 1.3)
SLIGHT = 0.05  # a relative difference below this is called slight


@dataclass(frozen=True, slots=True)
class ForecastErrors:
    """Errors of one forecast against the truth. None where the truth leaves a figure undefined."""

    mae: float
    rmse: float
    total_ratio: float | None
    """Predicted total divided by actual total."""
    pearson: float | None
    gini: float | None
    """Normalised: Gini of the truth in predicted order over Gini of the truth in its own order; 1 is a perfect ranking."""
    top_lift: float | None
    """Mean truth in the tenth that was predicted highest, over everybody's mean."""

    def to_json(self) -> dict[str, float | None]:
        """Plain numbers by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the report card: the model's figure beside each baseline's, with how to read it."""

    key: str
    title: str
    unit: str
    """``currency``, ``orders``, ``ratio``, ``share`` or ``score``: how a page writes the numbers."""
    better: Better
    model: float | None
    baselines: tuple[float | None, ...]

    def reading(self) -> tuple[str, Tone]:
        """What the row says, in a few words, with its colour."""
        if self.model is None:
            return "Not known", "warn"
        if self.better == "near_one":
            low, high = RATIO_LIMITS
            inside = low <= self.model <= high
            return f"{'Within' if inside else 'Outside'} {low} to {high}", "ok" if inside else "bad"
        known = [value for value in self.baselines if value is not None]
        sign = 1 if self.better == "higher" else -1
        worse_than = [value for value in known if sign * (value - self.model) >= 0]
        if not worse_than:
            return ("Better than both" if len(known) == 2 else "Better"), "ok"
        slight = all(abs(value - self.model) <= SLIGHT * abs(value) for value in worse_than)
        who = "Both simple guesses are" if len(worse_than) == len(known) > 1 else "One simple guess is"
        return f"{who}{' slightly' if slight else ''} better", "warn" if slight else "bad"

    def to_json(self) -> dict[str, str | float | list[float | None] | None]:
        """The row as a page shows it."""
        text, tone = self.reading()
        return {
            "key": self.key,
            "title": self.title,
            "unit": self.unit,
            "model": self.model,
            "baselines": list(self.baselines),
            "reading": text,
            "tone": tone,
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One condition for publishing. ``failure`` is the sentence to show when it does not hold."""

    title: str
    holds: bool
    failure: str


def gate_reason(checks: Sequence[Check]) -> str:
    """Empty when every check holds, else the failures as sentences."""
    return " ".join(check.failure for check in checks if not check.holds)


def tie_means(predicted: Numbers, actual: Numbers) -> tuple[Floats, Floats]:
    """Both sorted by prediction, ascending, the truth averaged within equal predictions."""
    values, inverse, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=actual) / counts
    return np.repeat(values.astype(np.float64), counts), np.repeat(means, counts)


def gini(ordered: Floats) -> float:
    """Gini of values in the given order (ascending by prediction): 0 for no concentration at the end."""
    shares = np.cumsum(ordered) / ordered.sum()
    return float(1 + 1 / len(ordered) - 2 * shares.mean())


def forecast_errors(predicted: Numbers, actual: Numbers) -> ForecastErrors:
    """Errors over people; both ``(n_people,)``, n at least 10."""
    guess, truth = predicted.astype(np.float64), actual.astype(np.float64)
    total = float(truth.sum())
    varies = float(truth.std()) > 0 and float(guess.std()) > 0
    _, ordered = tie_means(guess, truth)
    own_gini = gini(np.sort(truth)) if total > 0 else 0.0
    top = max(round(len(truth) / 10), 1)
    return ForecastErrors(
        mae=float(np.abs(guess - truth).mean()),
        rmse=float(np.sqrt(((guess - truth) ** 2).mean())),
        total_ratio=float(guess.sum()) / total if total > 0 else None,
        pearson=float(np.corrcoef(guess, truth)[0, 1]) if varies else None,
        gini=gini(ordered) / own_gini if own_gini > 0 else None,
        top_lift=float(ordered[-top:].mean()) / (total / len(truth)) if total > 0 else None,
    )


def tenths(predicted: Numbers, actual: Numbers) -> list[dict[str, float]]:
    """Ten equal groups by prediction, lowest first: people, mean predicted, mean actual, share of the actual total."""
    guess, truth = tie_means(predicted, actual)
    total = float(truth.sum())
    return [
        {
            "people": len(part),
            "predicted": float(part.mean()),
            "actual": float(real.mean()),
            "actual_share": float(real.sum()) / total if total else 0.0,
        }
        for part, real in zip(np.array_split(guess, 10), np.array_split(truth, 10), strict=True)
        if len(part)
    ]


def means_by_group(
    groups: NDArray[np.int64], labels: Mapping[int, str], predicted: Numbers, actual: Numbers
) -> list[dict[str, str | float]]:
    """Mean prediction and truth for each labelled group that anybody is in."""
    found: list[dict[str, str | float]] = []
    for group, label in labels.items():
        inside = groups == group
        if people := int(inside.sum()):
            found.append(
                {
                    "label": label,
                    "people": people,
                    "predicted": float(predicted[inside].astype(np.float64).mean()),
                    "actual": float(actual[inside].astype(np.float64).mean()),
                }
            )
    return found


def within_limits(ratio: float | None) -> bool:
    """Whether a predicted-to-actual total may be published."""
    return ratio is not None and RATIO_LIMITS[0] <= ratio <= RATIO_LIMITS[1]


def histogram(values: Floats, lower_edges: Sequence[float]) -> list[dict[str, float]]:
    """People from each edge up to the next; the last is open. Values below the first edge count in it."""
    index = np.clip(np.searchsorted(np.asarray(lower_edges), values, side="right") - 1, 0, None)
    counts = np.bincount(index, minlength=len(lower_edges))
    return [{"from": float(edge), "people": int(count)} for edge, count in zip(lower_edges, counts, strict=True)]


def histogram_edges(values: Floats) -> list[float]:
    """Twelve readable edges that fit the values' scale: 0, 5, 10, 20 … 300 for values around 10 to 300."""
    steps = np.array([0, 5, 10, 20, 30, 40, 60, 80, 100, 150, 200, 300], dtype=np.float64)
    high = float(np.quantile(values, 0.98)) if len(values) else 0.0
    scale = 10.0 ** np.round(np.log10(high / 250)) if high > 1e-6 else 1.0
    return [round(float(edge), 6) for edge in steps * scale]


def concentration(values: Floats, share_of_people: float) -> float:
    """Share of the total that the highest ``share_of_people`` hold; 0 when the total is not positive."""
    top = max(round(len(values) * share_of_people), 1)
    total = float(values.sum())
    return float(np.sort(values)[-top:].sum()) / total if total > 0 else 0.0


def percent(share: float) -> str:
    """A share as people read it: "23 %", with a no-break space."""
    return f"{100 * share:.0f}\u00a0%"
