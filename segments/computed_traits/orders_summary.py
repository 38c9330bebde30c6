"""How often, how recently and for how much has each person ordered, as of a day?

Day granularity: several orders on one day count once, as in lifetimes' ``summary_data_from_transaction_data`` (a test
holds both equal). The ledger is sorted once by person and day; every summary after that is a few passes of numpy over it
(measured at 1 M people and 2.1 M orders: 0.5 s and 0.1 s, where DuckDB took 1.5 s and 2 s a summary).
Money is summed as integers of 1/10,000, so that totals are exact.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

type Ints = NDArray[np.int64]
type Floats = NDArray[np.float64]

AMOUNT_SCALE = 10_000
NO_AMOUNT = np.iinfo(np.int64).min
EPOCH = dt.date(1970, 1, 1)
DAY_BITS = 20  # a person's number and a day share one 64-bit key: days to the year 4840, 8.8e12 people


@dataclass(frozen=True, slots=True)
class Orders:
    """The order ledger as columns, one entry an order, any order of rows."""

    profile_no: Ints
    day: NDArray[np.int32]
    """Days since 1970-01-01, cut in the workspace's time zone."""
    amount_e4: Ints
    """Net amount in 1/10,000 of the currency; ``NO_AMOUNT`` for an order in another currency."""


@dataclass(frozen=True, slots=True)
class OrderDays:
    """The ledger, one entry a person and day with an order, sorted by both. Sums run from 0 before the first entry."""

    profile_no: Ints
    """``(n_people,)``, ascending."""
    start: Ints
    """``(n_people,)``: where the person's days begin."""
    day: Ints
    """``(n_order_days,)``, ascending within a person."""
    amount_e4_sum: Ints
    """``(n_order_days + 1,)``."""
    priced_sum: Ints
    """``(n_order_days + 1,)``: days with an amount."""
    orders: int

    @property
    def people(self) -> int:
        return len(self.profile_no)

    @property
    def first_day(self) -> int:
        return int(self.day[self.start].min())


@dataclass(frozen=True, slots=True)
class OrderSummary:
    """One entry a person, ascending by ``profile_no``; everything as known at the end of ``cut_day``."""

    cut_day: int
    profile_no: Ints
    repeat_orders: Ints
    """Order days after the first: x of BG/NBD."""
    btyd_recency_days: Ints
    """First to last order day: t_x of BG/NBD."""
    age_days: Ints
    """First order day to ``cut_day``: T of BG/NBD."""
    days_since_last_order: Ints
    amount_total: Floats
    repeat_amount: Floats
    """Spend after the first order day."""
    repeat_amount_mean: Floats
    """Mean spend per repeat order day; 0 without one: m of Gamma-Gamma."""
    order_days_30d: Ints
    order_days_90d: Ints
    order_days_180d: Ints

    @property
    def people(self) -> int:
        return len(self.profile_no)

    @property
    def order_days(self) -> Ints:
        """Distinct days with an order, the first included."""
        return self.repeat_orders + 1

    @property
    def amount_mean(self) -> Floats:
        """Spend per order day, the first included."""
        return self.amount_total / self.order_days


@dataclass(frozen=True, slots=True)
class LaterOrders:
    """What the same people did in the ``days`` after the cut, and in as many days up to it (first orders left out)."""

    days: int
    order_days: Ints
    amount: Floats
    previous_order_days: Ints
    previous_amount: Floats


def day_number(day: dt.date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def day_date(number: int) -> dt.date:
    """The date of a day number."""
    return EPOCH + dt.timedelta(days=number)


def orders_fingerprint(orders: Orders) -> str:
    """Equal for the same orders in any row order: count and wrapped sums of two mixes of each row (splitmix64)."""

    def mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))

    row = mix(orders.profile_no.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    row = mix(row ^ orders.day.astype(np.int64).view(np.uint64))
    row = mix(row ^ orders.amount_e4.view(np.uint64))
    sums = (len(row), int(row.sum(dtype=np.uint64)), int(mix(row + np.uint64(1)).sum(dtype=np.uint64)))
    return hashlib.sha256(repr(sums).encode()).hexdigest()


def orders_by_day(orders: Orders) -> OrderDays:
    """Sort the ledger and sum it by person and day.

    Raises ValueError without any order, and for days before 1970 or numbers below 0.
    """
    if not len(orders.profile_no):
        raise ValueError("orders: none to summarise")
    if int(orders.day.min()) < 0 or int(orders.profile_no.min()) < 0:
        raise ValueError("orders: days must lie after 1969, profile numbers must not be negative")
    key = (orders.profile_no << DAY_BITS) | orders.day
    order = np.argsort(key, kind="stable")
    key = key[order]
    entry = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    is_priced = (orders.amount_e4 != NO_AMOUNT)[order]
    amount = np.add.reduceat(np.where(is_priced, orders.amount_e4[order], 0), entry)
    priced = np.maximum.reduceat(is_priced.astype(np.int64), entry)
    profile_no = key[entry] >> DAY_BITS
    start = np.flatnonzero(np.concatenate(([True], profile_no[1:] != profile_no[:-1])))
    return OrderDays(
        profile_no=profile_no[start],
        start=start,
        day=key[entry] & ((1 << DAY_BITS) - 1),
        amount_e4_sum=np.concatenate(([0], np.cumsum(amount))),
        priced_sum=np.concatenate(([0], np.cumsum(priced))),
        orders=len(orders.profile_no),
    )


def orders_summarise(order_days: OrderDays, cut_day: int, *, ahead_days: int = 0) -> tuple[OrderSummary, LaterOrders]:
    """Everybody with an order by the end of ``cut_day``, and what they did in the ``ahead_days`` after it."""

    def days_until(last: int) -> Ints:
        """Order days of each person up to the end of a day."""
        return np.add.reduceat((order_days.day <= last).astype(np.int64), order_days.start)

    known = days_until(cut_day)
    born = known > 0
    known, start = known[born], order_days.start[born]
    first_day, amounts = order_days.day[start], order_days.amount_e4_sum

    def since(last: int) -> Ints:
        """Order days after ``last``, up to the cut."""
        return known - days_until(last)[born]

    def amount(of: Ints, until: Ints) -> Floats:
        """Spend on the order days number ``of`` to ``until`` of each person (0-based, half-open)."""
        spent: Floats = (amounts[start + until] - amounts[start + of]) / AMOUNT_SCALE
        return spent

    priced_repeats = order_days.priced_sum[start + known] - order_days.priced_sum[start + 1]
    repeat_amount = amount(np.ones_like(known), known)
    summary = OrderSummary(
        cut_day=cut_day,
        profile_no=order_days.profile_no[born],
        repeat_orders=known - 1,
        btyd_recency_days=order_days.day[start + known - 1] - first_day,
        age_days=cut_day - first_day,
        days_since_last_order=cut_day - order_days.day[start + known - 1],
        amount_total=amount(np.zeros_like(known), known),
        repeat_amount=repeat_amount,
        repeat_amount_mean=np.where(priced_repeats > 0, repeat_amount / np.maximum(priced_repeats, 1), 0.0),
        order_days_30d=since(cut_day - 30),
        order_days_90d=since(cut_day - 90),
        order_days_180d=since(cut_day - 180),
    )
    by_the_end = days_until(cut_day + ahead_days)[born]
    # a first order is no repeat: it counts as before the previous period, whenever it was
    before_previous = np.maximum(known - since(cut_day - ahead_days), 1)
    later = LaterOrders(
        days=ahead_days,
        order_days=by_the_end - known,
        amount=amount(known, by_the_end),
        previous_order_days=known - before_previous,
        previous_amount=amount(before_previous, known),
    )
    return summary, later


def people_sample(
    summary: OrderSummary, later: LaterOrders, people: int, seed: int
) -> tuple[OrderSummary, LaterOrders]:
    """At most ``people`` of them, drawn by ``seed``; everybody when there are no more."""
    if summary.people <= people:
        return summary, later
    chosen = np.sort(np.random.default_rng(seed).choice(summary.people, people, replace=False))

    def taken[T: (OrderSummary, LaterOrders)](whole: T) -> T:
        columns = {f.name: getattr(whole, f.name) for f in fields(whole)}
        return replace(whole, **{k: v[chosen] for k, v in columns.items() if isinstance(v, np.ndarray)})  # type: ignore[arg-type]

    return taken(summary), taken(later)
