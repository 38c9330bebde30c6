"""Is what we show still what the ledgers say? Recompute a projection from its ledger and count what differs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.db import connection, transaction

from cdp.consent.services import consents_project
from cdp.events.locks import ledger_write_lock
from cdp.profiles.services import profiles_project

PROFILES_PER_TRANSACTION = 2_000


@dataclass(frozen=True, slots=True)
class Projection:
    """Something derived, and how to recompute it for some profiles: ``project`` writes what differs and returns how much did."""

    name: str
    ledger: str
    project: Callable[[Iterable[int]], int]


PROJECTIONS = {
    each.name: each
    for each in (
        Projection("traits", "trait values by identifier", profiles_project),
        Projection("consents", "the consent ledger", consents_project),
    )
}


def projection_register(projection: Projection) -> None:
    """Add a later slice's projection to ``manage.py rebuild``."""
    PROJECTIONS[projection.name] = projection


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Profiles looked at, and how many entries differed from their ledger."""

    profiles: int
    differences: int


def projection_rebuild(name: str, *, is_check: bool) -> Rebuilt:
    """Recompute one projection for everybody. ``is_check`` rolls every step back, so that only the count remains."""
    projection = PROJECTIONS[name]
    profiles = differences = 0
    for numbers in _profile_numbers():
        with transaction.atomic():
            ledger_write_lock()
            differences += projection.project(numbers)
            if is_check:
                transaction.set_rollback(True)
        profiles += len(numbers)
    return Rebuilt(profiles, differences)


def _profile_numbers() -> Iterator[list[int]]:
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT profile_no FROM cdp_profile WHERE profile_no > %s ORDER BY profile_no LIMIT %s",
                [last, PROFILES_PER_TRANSACTION],
            )
            numbers = [number for (number,) in cursor.fetchall()]
        if not numbers:
            return
        yield numbers
        last = numbers[-1]
