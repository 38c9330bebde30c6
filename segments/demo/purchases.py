"""Real purchases for the demo: CDNOW's 69,659 orders by 23,570 people, out of the lifetimes wheel, as a shop's order file.

Fader and Hardie's CDNOW data set, January 1997 to June 1998. The purchases are real; the dates are moved by one constant
number of days, so that the data end yesterday. Nothing else is changed.
"""

import csv
import datetime as dt
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LAST_DAY = dt.date(1998, 6, 30)
COLUMNS = ("order_id", "user_id", "ordered_at", "amount", "currency", "items")


@dataclass(frozen=True, slots=True)
class Purchase:
    """One line of the file, with its original day."""

    line: int
    person: str
    day: dt.date
    items: int
    amount: str


def cdnow_path() -> Path:
    """The file inside the lifetimes wheel (found without importing it)."""
    found = importlib.util.find_spec("lifetimes")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the lifetimes wheel is not installed")
    return Path(found.submodule_search_locations[0]) / "datasets" / "CDNOW_master.txt"


def purchases_read(path: Path) -> Iterator[Purchase]:
    """Every purchase in file order; the first line is a heading."""
    with path.open(encoding="ascii") as lines:
        next(lines)
        for number, line in enumerate(lines, start=1):
            person, day, items, amount = line.split()
            date = dt.date(int(day[:4]), int(day[4:6]), int(day[6:]))
            yield Purchase(number, person, date, int(items), amount)


def days_moved(today: dt.date) -> int:
    """By how many days the demo moves every date, so that the last purchase was yesterday."""
    return (today - dt.timedelta(days=1) - LAST_DAY).days


def orders_write(purchases: Iterator[Purchase], path: Path, moved_days: int) -> int:
    """The order file; returns its rows. Noon UTC, since the source names days only."""
    rows = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for purchase in purchases:
            day = purchase.day + dt.timedelta(days=moved_days)
            order = f"cdnow-{purchase.line}"
            writer.writerow([order, purchase.person, f"{day}T12:00:00Z", purchase.amount, "USD", purchase.items])
            rows += 1
    return rows
