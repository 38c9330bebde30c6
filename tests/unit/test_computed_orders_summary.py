"""Orders to one row a person: equal to lifetimes' summary, exact in money, indifferent to row order."""

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.computed_traits.orders_summary import (
    NO_AMOUNT,
    Orders,
    day_date,
    day_number,
    orders_by_day,
    orders_fingerprint,
    orders_summarise,
    people_sample,
)
from tests.computed_samples import CDNOW_CALIBRATION_END, cdnow_orders, cdnow_rows


def orders_make(*rows: tuple[int, int, float | None]) -> Orders:
    """(person, day, amount); None is an order in another currency."""
    return Orders(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.int32),
        np.array([NO_AMOUNT if row[2] is None else round(row[2] * 10_000) for row in rows], dtype=np.int64),
    )


@pytest.mark.parametrize("name", ["sample", "master"])
def test_equals_the_summary_of_lifetimes(name: str) -> None:
    frame = pd.DataFrame(cdnow_rows(name), columns=["person", "day", "dollars"])
    frame["day"] = pd.to_datetime(frame["day"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes.utils import summary_data_from_transaction_data

        theirs = summary_data_from_transaction_data(
            frame, "person", "day", monetary_value_col="dollars", observation_period_end="1997-09-30"
        )
    order_days = orders_by_day(cdnow_orders(name))
    ours, _ = orders_summarise(order_days, CDNOW_CALIBRATION_END)
    assert ours.profile_no.tolist() == theirs.index.tolist()
    assert ours.repeat_orders.tolist() == theirs["frequency"].tolist()
    assert ours.btyd_recency_days.tolist() == theirs["recency"].tolist()
    assert ours.age_days.tolist() == theirs["T"].tolist()
    np.testing.assert_allclose(ours.repeat_amount_mean, theirs["monetary_value"], rtol=0, atol=1e-9)


def test_counts_days_not_orders_and_leaves_the_first_day_out_of_the_mean() -> None:
    orders = orders_make((7, 10, 5), (7, 10, 6), (7, 12, 20), (7, 12, 10), (7, 20, 1), (9, 20, 4))
    order_days = orders_by_day(orders)
    summary, _ = orders_summarise(order_days, 21)
    assert (order_days.orders, order_days.people, order_days.first_day) == (6, 2, 10)
    assert summary.profile_no.tolist() == [7, 9]
    assert summary.order_days.tolist() == [3, 1]
    assert summary.repeat_orders.tolist() == [2, 0]
    assert summary.btyd_recency_days.tolist() == [10, 0]
    assert summary.age_days.tolist() == [11, 1]
    assert summary.days_since_last_order.tolist() == [1, 1]
    assert summary.amount_total.tolist() == [42.0, 4.0]
    assert summary.repeat_amount_mean.tolist() == [15.5, 0.0]
    assert summary.amount_mean.tolist() == [14.0, 4.0]


def test_an_order_in_another_currency_counts_as_an_order_without_an_amount() -> None:
    orders = orders_make((1, 1, 10), (1, 5, None), (1, 9, 30), (2, 3, None), (2, 4, None))
    order_days = orders_by_day(orders)
    summary, _ = orders_summarise(order_days, 9)
    assert summary.repeat_orders.tolist() == [2, 1]
    assert summary.repeat_amount_mean.tolist() == [30.0, 0.0]
    assert summary.amount_total.tolist() == [40.0, 0.0]


def test_zero_and_negative_amounts_keep_the_person() -> None:
    order_days = orders_by_day(orders_make((1, 1, 0), (1, 2, -5), (1, 3, 0)))
    summary, _ = orders_summarise(order_days, 3)
    assert summary.repeat_orders.tolist() == [2]
    assert summary.repeat_amount_mean.tolist() == [-2.5]


def test_splits_at_the_cut() -> None:
    orders = orders_make((1, 1, 10), (1, 95, 20), (1, 100, 30), (1, 101, 40), (1, 110, 50), (2, 101, 60), (3, 99, 70))
    order_days = orders_by_day(orders)
    summary, later = orders_summarise(order_days, 100, ahead_days=10)
    assert summary.profile_no.tolist() == [1, 3]  # 2 was born after the cut
    assert later.order_days.tolist() == [2, 0]
    assert later.amount.tolist() == [90.0, 0.0]
    assert later.previous_order_days.tolist() == [2, 0]  # 3's first order is no repeat
    assert later.previous_amount.tolist() == [50.0, 0.0]
    assert summary.order_days_30d.tolist() == [2, 1]
    assert summary.order_days_90d.tolist() == [2, 1]
    assert summary.order_days_180d.tolist() == [3, 1]


def test_a_sum_beyond_the_precision_of_a_float_stays_exact() -> None:
    orders = orders_make(*[(1, day, 99_999_999.9999) for day in range(1, 2_000)])
    order_days = orders_by_day(orders)
    assert int(order_days.amount_e4_sum[-1]) == 999_999_999_999 * 1_999


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(-100, 1_000)), min_size=1, max_size=40),
    st.randoms(),
)
def test_the_order_of_rows_matters_nowhere(rows: list[tuple[int, int, int]], random: object) -> None:
    shuffled = rows[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = orders_make(*rows), orders_make(*shuffled)
    assert orders_fingerprint(first) == orders_fingerprint(second)
    summaries = []
    for orders in (first, second):
        order_days = orders_by_day(orders)
        summaries.append(orders_summarise(order_days, 40)[0])
    assert summaries[0].amount_total.tolist() == summaries[1].amount_total.tolist()
    slow = {person: {day for p, day, _ in rows if p == person} for person in {row[0] for row in rows}}
    assert summaries[0].profile_no.tolist() == sorted(slow)
    assert summaries[0].order_days.tolist() == [len(slow[person]) for person in sorted(slow)]


def test_the_fingerprint_sees_every_field_and_a_doubled_row() -> None:
    rows = [(1, 1, 1.0), (2, 2, 2.0)]
    prints = {
        orders_fingerprint(orders_make(*changed))
        for changed in (
            rows,
            [*rows, rows[0]],
            [(1, 1, 1.0), (3, 2, 2.0)],
            [(1, 1, 1.0), (2, 3, 2.0)],
            [(1, 1, 1.0), (2, 2, 2.5)],
            [(1, 1, 2.0), (2, 2, 1.0)],
        )
    }
    assert len(prints) == 6


def test_no_orders_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="orders: none"):
        orders_by_day(orders_make())


def test_a_sample_is_the_same_for_the_same_seed_and_whole_when_small() -> None:
    order_days = orders_by_day(cdnow_orders("sample"))
    whole = orders_summarise(order_days, CDNOW_CALIBRATION_END, ahead_days=30)
    assert people_sample(*whole, 10_000, 1)[0] is whole[0]
    once, later = people_sample(*whole, 100, 1)
    assert (once.people, len(later.amount)) == (100, 100)
    assert once.profile_no.tolist() == people_sample(*whole, 100, 1)[0].profile_no.tolist()
    assert (np.diff(once.profile_no) > 0).all()


def test_day_numbers_go_both_ways() -> None:
    assert day_date(day_number(dt.date(1998, 6, 30))) == dt.date(1998, 6, 30)
    assert day_number(dt.date(1970, 1, 2)) == 1
