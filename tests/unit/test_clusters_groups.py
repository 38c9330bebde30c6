"""Groups of buyers: the same for the same seed, ids that survive a new run, names that tell them apart."""

import numpy as np
import pytest

from segments.computed_traits.clusters import (
    Clustering,
    Stability,
    cluster_features,
    clustering_fit,
    groups_choose,
    groups_describe,
    groups_name,
    ids_match,
    people_place,
)
from segments.computed_traits.orders_summary import OrderSummary, orders_by_day, orders_summarise
from tests.computed_samples import CDNOW_LAST_DAY, cdnow_orders


@pytest.fixture(scope="module")
def summary() -> OrderSummary:
    order_days = orders_by_day(cdnow_orders("sample"))
    return orders_summarise(order_days, CDNOW_LAST_DAY)[0]


@pytest.fixture(scope="module")
def fitted(summary: OrderSummary) -> tuple[Clustering, list[Stability]]:
    clustering, rows = clustering_fit(cluster_features(summary), None, seed=4)
    assert clustering is not None
    return clustering, rows


def moved(clustering: Clustering, by: float, order: list[int]) -> np.ndarray:
    """Its centres in log units, shifted and in another order."""
    return ((clustering.centres + by) * clustering.scale + clustering.mean)[order]


def test_the_same_seed_gives_the_same_groups(summary: OrderSummary, fitted: tuple[Clustering, list[Stability]]) -> None:
    again, rows = clustering_fit(cluster_features(summary), None, seed=4)
    assert again is not None
    assert again.ids == fitted[0].ids
    assert again.centres.tolist() == fitted[0].centres.tolist()
    assert rows == fitted[1]


def test_people_stand_in_their_nearest_group_and_everybody_in_one(
    summary: OrderSummary, fitted: tuple[Clustering, list[Stability]]
) -> None:
    clustering, rows = fitted
    features = cluster_features(summary)
    places = people_place(clustering, features)
    points = (features - clustering.mean) / clustering.scale
    slow = np.sqrt(((points[:, None, :] - clustering.centres[None]) ** 2).sum(axis=2)).argmin(axis=1)
    assert places.tolist() == slow.tolist()
    groups = groups_describe(clustering, places, summary, "USD")
    assert sum(group.people for group in groups) == summary.people
    assert len({group.name for group in groups}) == len({group.id for group in groups}) == len(groups)
    assert min(group.share for group in groups) >= 0.015
    chosen = next(row for row in rows if row.groups == len(groups))
    assert chosen.ari > 0.8
    assert "with an order" in groups[0].description and "USD" in groups[0].description


def test_ids_stay_with_their_groups(fitted: tuple[Clustering, list[Stability]]) -> None:
    clustering, _ = fitted
    order = list(range(len(clustering.ids)))[::-1]
    ids, next_id = ids_match(moved(clustering, 0.05, order), clustering)
    assert ids == tuple(clustering.ids[i] for i in order)
    assert next_id == clustering.next_id


def test_a_group_that_appears_gets_a_number_never_used(fitted: tuple[Clustering, list[Stability]]) -> None:
    clustering, _ = fitted
    order = list(range(len(clustering.ids)))
    centres = np.vstack((moved(clustering, 0.0, order[1:]), clustering.mean + 9 * clustering.scale))
    ids, next_id = ids_match(centres, clustering)
    assert ids == (*clustering.ids[1:], f"c{clustering.next_id}")
    assert next_id == clustering.next_id + 1
    smaller = Clustering(ids, next_id, clustering.mean, clustering.scale, clustering.centres[: len(ids)])
    back, _ = ids_match(smaller.centres * smaller.scale + smaller.mean, smaller)
    assert back == ids


def test_a_group_far_from_every_old_one_is_new(fitted: tuple[Clustering, list[Stability]]) -> None:
    clustering, _ = fitted
    ids, _ = ids_match(moved(clustering, 30.0, list(range(len(clustering.ids)))), clustering)
    assert not set(ids) & set(clustering.ids)


@pytest.mark.parametrize(
    ("rows", "last", "chosen"),
    [
        ([(4, 0.95, 0.1), (5, 0.98, 0.1), (6, 0.97, 0.1)], None, 5),
        ([(4, 0.975, 0.1), (5, 0.98, 0.1)], None, 4),  # a tie goes to fewer
        ([(4, 0.95, 0.1), (5, 0.98, 0.019)], None, 4),  # too small a group
        ([(4, 0.98, 0.1), (6, 0.96, 0.1)], 6, 6),  # the last run's number stays while nearly as good
        ([(4, 0.98, 0.1), (6, 0.90, 0.1)], 6, 4),
        ([(4, 0.98, 0.01)], None, None),
        ([], None, None),
    ],
)
def test_how_many_groups(rows: list[tuple[int, float, float]], last: int | None, chosen: int | None) -> None:
    assert groups_choose([Stability(groups, ari, ari, share) for groups, ari, share in rows], last) == chosen


def test_names_are_unique_even_for_twins() -> None:
    centres = np.array([[1.0, -0.5, 0.0], [1.0, -0.5, 0.1], [-2.0, 2.0, 2.0], [1.0, -0.5, 0.0]])
    medians = np.array([[400.0, 1, 20], [300.0, 1, 20], [10.0, 12, 500], [400.0, 1, 20]])
    names = groups_name(centres, medians)
    assert len(set(names)) == 4
    assert names[2] == "Very frequent big spenders, very recent"
    assert names[0].startswith("One order, long ago, around 20 spent")


def test_parameters_survive_json(fitted: tuple[Clustering, list[Stability]]) -> None:
    import json

    clustering, _ = fitted
    stored = Clustering.from_json(json.loads(json.dumps(clustering.to_json())))
    assert stored is not None
    assert stored.centres.tolist() == clustering.centres.tolist()
    assert (stored.ids, stored.next_id) == (clustering.ids, clustering.next_id)
    assert Clustering.from_json({}) is None


def test_identical_people_form_no_groups() -> None:
    clustering, rows = clustering_fit(np.ones((500, 3)), None, seed=1)
    assert clustering is None
    assert rows == []
