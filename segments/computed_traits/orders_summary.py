"""How often, how recently and for how much has each person ordered, as of a day?

Day granularity: several orders on one day count once, as in lifetimes' ``summary_data_from_transaction_data`` (a test
holds both equal). Money is summed as integers of 1/10,000, so that totals are exact.
Measured in reference: DuckDB's ``arg_min`` form is four times as fast as the pandas one.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

type Ints = NDArray[np.int64]
type Floats = NDArray[np.float64]

AMOUNT_SCALE = 10_000
NO_AMOUNT = np.iinfo(np.int64).min
EPOCH = dt.date(1970, 1, 1)

ORDER_DAYS_SQL = """
CREATE TABLE order_day AS
SELECT profile_no, day,
       CAST(coalesce(sum(amount_e4) FILTER (amount_e4 <> $no_amount), 0) AS BIGINT) AS amount_e4,
       CAST(bool_or(amount_e4 <> $no_amount) AS TINYINT) AS priced,
       CAST(count(*) AS BIGINT) AS orders
FROM order_input GROUP BY profile_no, day
"""

# One pass for what is known at the cut and what happened after it; people without an order by then are left out.
SUMMARY_SQL = """
SELECT profile_no,
       count(*) FILTER (day <= $cut) - 1 AS repeat_orders,
       CAST(min(day) AS BIGINT) AS first_day,
       CAST(max(day) FILTER (day <= $cut) AS BIGINT) AS last_day,
       CAST(coalesce(sum(amount_e4) FILTER (day <= $cut), 0) AS BIGINT) AS amount_e4,
       arg_min(amount_e4, day) AS first_amount_e4,
       CAST(coalesce(sum(priced) FILTER (day <= $cut), 0) AS BIGINT) AS priced_days,
       CAST(arg_min(priced, day) AS BIGINT) AS first_priced,
       count(*) FILTER (day <= $cut AND day > $cut - 30) AS order_days_30d,
       count(*) FILTER (day <= $cut AND day > $cut - 90) AS order_days_90d,
       count(*) FILTER (day <= $cut AND day > $cut - 180) AS order_days_180d,
       count(*) FILTER (day > $cut) AS later_order_days,
       CAST(coalesce(sum(amount_e4) FILTER (day > $cut), 0) AS BIGINT) AS later_amount_e4,
       count(*) FILTER (day <= $cut AND day > $cut - $ahead) AS previous_order_days,
       CAST(coalesce(sum(amount_e4) FILTER (day <= $cut AND day > $cut - $ahead), 0) AS BIGINT) AS previous_amount_e4
FROM order_day
WHERE day <= $cut + $ahead
GROUP BY profile_no
HAVING min(day) <= $cut
ORDER BY profile_no
"""


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
    """The ledger inside an open DuckDB connection, one row a person and day with an order."""

    connection: duckdb.DuckDBPyConnection
    orders: int
    people: int
    first_day: int
    last_day: int


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


@contextmanager
def order_days_open(orders: Orders, *, threads: int = 2, memory_limit: str = "2GB") -> Iterator[OrderDays]:
    """Load the ledger into a private in-memory DuckDB for the length of a run. Raises ValueError without any order."""
    if not len(orders.profile_no):
        raise ValueError("orders: none to summarise")
    table = pa.table({"profile_no": orders.profile_no, "day": orders.day, "amount_e4": orders.amount_e4})
    with duckdb.connect(":memory:", config={"threads": threads, "memory_limit": memory_limit}) as connection:
        connection.register("order_input", table)
        connection.execute(ORDER_DAYS_SQL, {"no_amount": NO_AMOUNT})
        connection.unregister("order_input")
        row = connection.execute(
            "SELECT count(DISTINCT profile_no), min(day), max(day), sum(orders) FROM order_day"
        ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate without GROUP BY always gives one row
        yield OrderDays(connection, people=row[0], first_day=row[1], last_day=row[2], orders=int(row[3]))


def orders_summarise(order_days: OrderDays, cut_day: int, *, ahead_days: int = 0) -> tuple[OrderSummary, LaterOrders]:
    """Everybody with an order by the end of ``cut_day``, and what they did in the ``ahead_days`` after it."""
    result = order_days.connection.execute(SUMMARY_SQL, {"cut": cut_day, "ahead": ahead_days})
    columns: dict[str, Ints] = {name: np.asarray(column) for name, column in result.fetchnumpy().items()}
    first_day = columns["first_day"]
    repeat_amount = (columns["amount_e4"] - columns["first_amount_e4"]) / AMOUNT_SCALE
    priced_repeats = columns["priced_days"] - columns["first_priced"]
    first_in_previous = first_day > cut_day - ahead_days
    summary = OrderSummary(
        cut_day=cut_day,
        profile_no=columns["profile_no"],
        repeat_orders=columns["repeat_orders"],
        btyd_recency_days=columns["last_day"] - first_day,
        age_days=cut_day - first_day,
        days_since_last_order=cut_day - columns["last_day"],
        amount_total=columns["amount_e4"] / AMOUNT_SCALE,
        repeat_amount=repeat_amount,
        repeat_amount_mean=np.where(priced_repeats > 0, repeat_amount / np.maximum(priced_repeats, 1), 0.0),
        order_days_30d=columns["order_days_30d"],
        order_days_90d=columns["order_days_90d"],
        order_days_180d=columns["order_days_180d"],
    )
    later = LaterOrders(
        days=ahead_days,
        order_days=columns["later_order_days"],
        amount=columns["later_amount_e4"] / AMOUNT_SCALE,
        previous_order_days=columns["previous_order_days"] - first_in_previous,
        previous_amount=(columns["previous_amount_e4"] - first_in_previous * columns["first_amount_e4"]) / AMOUNT_SCALE,
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
