"""What analysis reads of people: never behind what is committed."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from cdp.core.time import utc_now
from cdp.profiles.models import ProfileSnapshot
from cdp.profiles.snapshot import profiles_snapshot_refresh
from cdp.profiles.view import PROFILES, ProfilesView, moment_read, version_read, view_register

__all__ = ["ProfilesView", "computed_groups", "profiles_register", "profiles_version"]


def profiles_version() -> str:
    """Changes whenever an answer over profiles could: values, consent, identifiers, computed traits, columns."""
    with connection.cursor() as cursor:
        return version_read(cursor)


def computed_groups() -> list[str]:
    """The groups of computed traits that have values now."""
    current = ProfileSnapshot.objects.filter(removed_at=None).exclude(group=PROFILES)
    return sorted(current.values_list("group", flat=True))


def profiles_register(duck: Any, *, groups: Sequence[str] | None = None, name: str = "profiles") -> ProfilesView:
    """Make the living profiles of this moment the view ``name`` of a DuckDB connection, in place of an earlier one.

    Columns: ``cdp.profiles.columns.columns_load`` and, for each of ``groups`` (all by default), ``<group>__<key>``, NULL
    for people without values; groups that have no values yet are left out. Pass only the groups that a query reads,
    since each is a join over all people. A snapshot that is missing, has other columns or is more than 50,000 changes
    old is renewed first, which may raise RetryableError under a long-running writer.
    """
    moment = moment_read()
    if moment.is_stale():
        profiles_snapshot_refresh(utc_now())
        moment = moment_read()
    return view_register(duck, moment, list(moment.snapshots) if groups is None else groups, name)
