"""Purchases to test computed traits with: CDNOW as it ships in the lifetimes wheel, and simulated BG/NBD customers."""

import datetime as dt
from functools import cache
from importlib.resources import files

import numpy as np

from segments.computed_traits.orders_summary import AMOUNT_SCALE, Orders, day_number

CDNOW_CALIBRATION_END = day_number(dt.date(1997, 9, 30))
CDNOW_LAST_DAY = day_number(dt.date(1998, 6, 30))
CDNOW_HOLDOUT_DAYS = 273


@cache
def cdnow_rows(name: str) -> tuple[tuple[int, dt.date, float], ...]:
    """(customer, day, dollars) of ``sample`` (1/10, 2,357 people) or ``master`` (all 23,570), original dates.

    The sample's rows carry two ids; the second one counts from 1 to 2,357, as in the published walkthrough.
    """
    text = (files("lifetimes") / "datasets" / f"CDNOW_{name}.txt").read_text()
    fields = [line.split() for line in text.splitlines() if line.strip()]
    id_column = 1 if name == "sample" else 0
    return tuple(
        (int(row[id_column]), dt.datetime.strptime(row[id_column + 1], "%Y%m%d").date(), float(row[-1]))  # noqa: DTZ007
        for row in fields
        if row[0].isdigit()
    )


@cache
def cdnow_orders(name: str) -> Orders:
    """The same as columns; the customer's number is the profile's."""
    rows = cdnow_rows(name)
    return Orders(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([day_number(row[1]) for row in rows], dtype=np.int32),
        np.array([round(row[2] * AMOUNT_SCALE) for row in rows], dtype=np.int64),
    )


def simulated_orders(
    people: int,
    seed: int,
    *,
    days: int = 730,
    r: float = 0.6,
    alpha_days: float = 60.0,
    a: float = 0.8,
    b: float = 2.5,
    price: float = 30.0,
) -> Orders:
    """Orders of people who join at a random day and buy and leave as BG/NBD says; days 1 to ``days``. No loop over people."""
    random = np.random.default_rng(seed)
    first = random.integers(1, days + 1, people)
    rate = random.gamma(r, 1 / alpha_days, people)
    leaves = np.clip(random.beta(a, b, people), 1e-12, 1)
    mean_price = price * random.gamma(4.0, 0.25, people)
    person, day = [np.arange(people)], [first]
    alive, at = np.arange(people), first.astype(np.float64)
    while len(alive):
        at = at + random.exponential(1 / np.maximum(rate[alive], 1e-12))
        inside = at <= days
        alive, at = alive[inside], at[inside]
        person.append(alive)
        day.append(np.floor(at).astype(np.int64))
        stays = random.random(len(alive)) >= leaves[alive]
        alive, at = alive[stays], at[stays]
    who = np.concatenate(person)
    amount = mean_price[who] * random.gamma(6.0, 1 / 6.0, len(who))
    return Orders(
        who.astype(np.int64) + 1,
        np.concatenate(day).astype(np.int32),
        np.round(amount * AMOUNT_SCALE).astype(np.int64),
    )
