"""Which groups of buyers are there by themselves, how stable are they, and what are they called?

KMeans on standardised log1p of recency, order days and total spend (without the log one cluster holds most people). The number of
groups is the one that comes out again when the people are drawn anew (bootstrap adjusted Rand index), not the silhouette,
which always picks two. Ids survive a new run: each group takes the id of the nearest one of the last run (Hungarian).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits

from segments.computed_traits.orders_summary import OrderSummary

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]

FEATURES = ("days_since_last_order", "order_days", "amount_total")
GROUP_COUNTS = (4, 5, 6, 7, 8)
MINIMUM_SHARE = 0.02
FIT_PEOPLE = 50_000  # KMeans on 50,000 and prediction for the rest agrees with KMeans on a million (ARI .96)
STABILITY_PEOPLE = 20_000
BOOTSTRAPS = 10
TIE = 0.01  # stabilities closer than this count as equal: fewer groups win
HABIT = 0.03  # the last run's number of groups stays unless another is better by more, so that groups do not flap
SAME_GROUP_DISTANCE = 1.0  # in standard deviations: further away it is another group and gets a new id


@dataclass(frozen=True, slots=True)
class Stability:
    """How well one number of groups comes out again."""

    groups: int
    ari: float
    """Mean adjusted Rand index over bootstrap samples; 1 is the same split every time."""
    ari_lowest: float
    smallest_share: float


@dataclass(frozen=True, slots=True)
class Clustering:
    """Fitted centres in standardised log units, with what is needed to place anybody. ``ids[i]`` belongs to row i."""

    ids: tuple[str, ...]
    next_id: int
    mean: Floats
    scale: Floats
    centres: Floats

    def to_json(self) -> dict[str, list[str] | int | list[float] | list[list[float]]]:
        """Parameters; ``from_json`` gives an equal clustering."""
        return {
            "features": list(FEATURES),
            "ids": list(self.ids),
            "next_id": self.next_id,
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "centres": self.centres.tolist(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "Clustering | None":
        """The clustering that ``to_json`` wrote; None from the parameters of a run without one."""
        if stored.get("features") != list(FEATURES):
            return None
        return cls(
            ids=tuple(str(value) for value in _sequence(stored["ids"])),
            next_id=int(str(stored["next_id"])),
            mean=np.array(_sequence(stored["mean"]), dtype=np.float64),
            scale=np.array(_sequence(stored["scale"]), dtype=np.float64),
            centres=np.array(_sequence(stored["centres"]), dtype=np.float64),
        )


@dataclass(frozen=True, slots=True)
class Group:
    """One group as a page shows it."""

    id: str
    name: str
    description: str
    people: int
    share: float
    days_since_last_order: float
    """Medians, as the next two."""
    order_days: float
    amount_total: float
    deviations: tuple[float, float, float]
    """Of the centre from everybody, in standard deviations: recency days, order days, spend."""


def _sequence(value: object) -> Sequence[object]:
    assert isinstance(value, Sequence)  # noqa: S101 - written by to_json
    return value


def cluster_features(summary: OrderSummary) -> Floats:
    """log1p of the three features, ``(n_people, 3)``; a negative net spend counts as none."""
    return np.log1p(
        np.column_stack((summary.days_since_last_order, summary.order_days, np.maximum(summary.amount_total, 0)))
    )


def _fit(points: Floats, groups: int, seed: int, starts: int) -> "KMeans":
    from sklearn.cluster import KMeans  # takes a second to import, and only runs need it

    with threadpool_limits(limits=1):  # three times as fast on so few points, and the same sums on every machine
        return KMeans(groups, n_init=starts, random_state=seed).fit(points)


def stability_measure(points: Floats, groups: int, seed: int) -> Stability:
    """Fit on the points and on bootstrap samples of them; compare how they split the same points."""
    from sklearn.metrics import adjusted_rand_score  # see _fit

    random = np.random.default_rng([seed, groups])
    labels = _fit(points, groups, seed, starts=10).labels_
    scores = []
    for sample in range(BOOTSTRAPS):
        drawn = points[random.integers(0, len(points), len(points))]
        scores.append(adjusted_rand_score(labels, _fit(drawn, groups, seed + sample + 1, starts=3).predict(points)))
    smallest = float(np.bincount(labels, minlength=groups).min() / len(points))
    return Stability(groups, float(np.mean(scores)), float(np.min(scores)), smallest)


def groups_choose(rows: Sequence[Stability], last_groups: int | None) -> int | None:
    """Highest stability among those whose smallest group holds 2 %; ties to fewer, the last run's number within a margin."""
    usable = [row for row in rows if row.smallest_share >= MINIMUM_SHARE]
    if not usable:
        return None
    best = max(row.ari for row in usable)
    for row in usable:
        if row.groups == last_groups and row.ari >= best - HABIT:
            return row.groups
    return min(row.groups for row in usable if row.ari >= best - TIE)


def _drawn(features: Floats, people: int, seed: int) -> Floats:
    if len(features) <= people:
        return features
    chosen = np.random.default_rng(seed).choice(len(features), people, replace=False)
    taken: Floats = features[np.sort(chosen)]
    return taken


def clustering_fit(features: Floats, last: Clustering | None, seed: int) -> tuple[Clustering | None, list[Stability]]:
    """The chosen clustering and the stability of every number of groups; no clustering when none has all groups of 2 %."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1.0
    points = (_drawn(features, FIT_PEOPLE, seed) - mean) / scale
    measured = _drawn(points, STABILITY_PEOPLE, seed)
    distinct = len(np.unique(measured, axis=0))
    rows = [stability_measure(measured, groups, seed) for groups in GROUP_COUNTS if groups <= distinct // 2]
    groups = groups_choose(rows, len(last.ids) if last else None)
    if groups is None:
        return None, rows
    centres: Floats = _fit(points, groups, seed, starts=10).cluster_centers_
    centres = centres[np.lexsort(centres.T)]  # by spend, then order days: a first run numbers groups from low to high
    ids, next_id = ids_match(centres * scale + mean, last)
    return Clustering(ids, next_id, mean, scale, centres), rows


def ids_match(centres: Floats, last: Clustering | None) -> tuple[tuple[str, ...], int]:
    """Ids for centres in log units: those of the last run where a group stayed near (one to one, least total distance).

    A group without a counterpart gets a number that was never used before.
    """
    next_id = last.next_id if last else 1
    taken: dict[int, str] = {}
    if last:
        old = last.centres * last.scale + last.mean
        distance = np.sqrt((((centres[:, None, :] - old[None, :, :]) / last.scale) ** 2).sum(axis=2))
        for new, before in zip(*linear_sum_assignment(distance), strict=True):
            if distance[new, before] <= SAME_GROUP_DISTANCE:
                taken[int(new)] = last.ids[before]
    ids = []
    for row in range(len(centres)):
        if row not in taken:
            taken[row] = f"c{next_id}"
            next_id += 1
        ids.append(taken[row])
    return tuple(ids), next_id


def people_place(clustering: Clustering, features: Floats) -> Ints:
    """Index of the nearest centre per person."""
    points = (features - clustering.mean) / clustering.scale
    # |p - c|^2 without |p|^2, which is the same for every centre
    distance = (clustering.centres**2).sum(axis=1) - 2 * points @ clustering.centres.T
    return distance.argmin(axis=1).astype(np.int64)


def groups_describe(clustering: Clustering, places: Ints, summary: OrderSummary, currency: str) -> list[Group]:
    """Size, medians, a unique name and a sentence with the numbers for each group, in the order of the centres."""
    columns = (summary.days_since_last_order, summary.order_days, summary.amount_total)
    medians = np.array(
        [
            [np.median(column[places == i]) if (places == i).any() else 0.0 for column in columns]
            for i in range(len(clustering.ids))
        ]
    )
    names = groups_name(clustering.centres, medians)
    sizes = np.bincount(places, minlength=len(clustering.ids))
    return [
        Group(
            id=clustering.ids[i],
            name=names[i],
            description=(
                f"Typically {days_text(medians[i, 1])} with an order, {medians[i, 2]:,.0f} {currency} spent in total, "
                f"last order {days_text(medians[i, 0])} ago."
            ),
            people=int(sizes[i]),
            share=float(sizes[i] / len(places)),
            days_since_last_order=float(medians[i, 0]),
            order_days=float(medians[i, 1]),
            amount_total=float(medians[i, 2]),
            deviations=(float(centre[0]), float(centre[1]), float(centre[2])),
        )
        for i, centre in enumerate(clustering.centres)
    ]


def days_text(days: float) -> str:
    """ "1 day", "12 days"."""
    return f"{days:,.0f} day{'' if round(days) == 1 else 's'}"


def groups_name(centres: Floats, medians: Floats) -> list[str]:
    """Plain, unique words from how far each centre lies from everybody: how often, how much, how long ago."""
    names = [_words(tuple(centre), median[1]) for centre, median in zip(centres, medians, strict=True)]
    for shown, unit in ((2, "around {:,.0f} spent"), (0, "around {:,.0f} days ago"), (None, "group {:d}")):
        for name in {name for name in names if names.count(name) > 1}:
            for number, row in enumerate([i for i, other in enumerate(names) if other == name], start=1):
                names[row] = f"{name}, {unit.format(number if shown is None else medians[row, shown])}"
    return names


def _words(deviation: tuple[float, ...], order_days: float) -> str:
    quiet, often, much = deviation
    if order_days < 1.5:
        spend = "big " if much >= 0.6 else "small " if much <= -0.6 else ""
        bought = f"One {spend}order"
    else:
        how_often = "Very frequent" if often >= 1.8 else "Frequent" if often >= 0.7 else "Occasional"
        spend = "big spenders" if much >= 1.2 else "small spenders" if much <= -0.6 else "buyers"
        bought = f"{how_often} {spend}"
    if quiet <= -1.5:
        return f"{bought}, very recent"
    if quiet <= -0.3:
        return f"{bought}, recent"
    return f"{bought}, long ago" if quiet >= 0.3 else f"{bought}, a while ago"
