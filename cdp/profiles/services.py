"""Writes of profiles: new people, what they said of themselves, what we computed about them.

All run in the caller's transaction, which stays short: about 5,000 rows. They write alone (``cdp.profiles.locks``).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from cdp.core.copying import rows_copy
from cdp.core.ids import ProfileNo, uuid7
from cdp.profiles.computing import computed_traits_write
from cdp.profiles.locks import people_lock
from cdp.profiles.models import ComputedTraits, Profile, TraitValue
from cdp.profiles.projecting import profiles_project, profiles_touch
from cdp.profiles.stating import TraitsWritten, traits_declare, traits_write
from cdp.profiles.upkeep import profiles_upkeep

__all__ = [
    "NewProfile",
    "Sighting",
    "TraitsWritten",
    "computed_traits_write",
    "profiles_add",
    "profiles_create",
    "profiles_erase",
    "profiles_merged_into",
    "profiles_parted",
    "profiles_project",
    "profiles_sighted",
    "profiles_touch",
    "profiles_upkeep",
    "traits_declare",
    "traits_write",
]


@dataclass(frozen=True, slots=True)
class NewProfile:
    """A profile to be made."""

    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    is_identified: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """A profile was seen between two moments, ``is_known`` by an identifier that tells who it is."""

    profile_no: int
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    is_known: bool


def profiles_create(n: int, now: dt.datetime) -> list[ProfileNo]:
    """``n`` anonymous profiles first seen ``now``."""
    return profiles_add([NewProfile(now, now, is_identified=False)] * n, now)


def profiles_add(rows: Sequence[NewProfile], now: dt.datetime) -> list[ProfileNo]:
    """One profile per row, in order, by one COPY."""
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('cdp_profile', 'profile_no')), nextval('cdp_profile_change_seq') "
            "FROM generate_series(1, %s)",
            [len(rows)],
        )
        numbers = cursor.fetchall()
        rows_copy(
            cursor,
            "cdp_profile",
            "profile_no, profile_id, created_at, first_seen_at, last_seen_at, updated_at, change_seq, is_identified, traits",
            (
                (
                    profile_no,
                    uuid7(),
                    now,
                    row.first_seen_at,
                    row.last_seen_at,
                    now,
                    change_seq,
                    row.is_identified,
                    "{}",
                )
                for (profile_no, change_seq), row in zip(numbers, rows, strict=True)
            ),
        )
    return [ProfileNo(profile_no) for profile_no, _ in numbers]


def profiles_sighted(sightings: Sequence[Sighting], *, touch: bool = False) -> None:
    """Widen first and last seen, and identify. Only changed profiles are written and touched, or all of them with ``touch``."""
    if not sightings:
        return
    people_lock()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE cdp_profile p
            SET first_seen_at = least(p.first_seen_at, s.first_seen_at),
                last_seen_at = greatest(p.last_seen_at, s.last_seen_at),
                is_identified = p.is_identified OR s.is_known,
                change_seq = nextval('cdp_profile_change_seq'), updated_at = now()
            FROM (
                SELECT profile_no, min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at,
                       bool_or(is_known) AS is_known
                FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::boolean[])
                    AS given (profile_no, first_seen_at, last_seen_at, is_known)
                GROUP BY profile_no
            ) AS s
            WHERE p.profile_no = s.profile_no
              AND (%s OR s.first_seen_at < p.first_seen_at OR s.last_seen_at > p.last_seen_at OR s.is_known > p.is_identified)
            """,
            [
                [s.profile_no for s in sightings],
                [s.first_seen_at for s in sightings],
                [s.last_seen_at for s in sightings],
                [s.is_known for s in sightings],
                touch,
            ],
        )


def profiles_merged_into(winner_of: Mapping[int, int]) -> None:
    """Let each merged profile point to its survivor. Its row stays, so that the merge can be undone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE cdp_profile p SET merged_into_no = m.winner_no "
            "FROM unnest(%s::bigint[], %s::bigint[]) AS m (loser_no, winner_no) WHERE p.profile_no = m.loser_no",
            [list(winner_of), list(winner_of.values())],
        )


def profiles_parted(profile_no: int) -> None:
    """Let a merged profile stand on its own again."""
    Profile.objects.filter(profile_no=profile_no).update(merged_into_no=None)


def profiles_erase(profile_nos: Sequence[int], identifier_nos: Sequence[int], now: dt.datetime) -> None:
    """Blank these profiles for good and delete what their identifiers said and what was computed about them."""
    TraitValue.objects.filter(identifier_no__in=identifier_nos).delete()
    ComputedTraits.objects.filter(profile_no__in=profile_nos).delete()
    Profile.objects.filter(profile_no__in=profile_nos).update(
        erased_at=now, traits={}, is_identified=False, first_seen_at=now, last_seen_at=now, updated_at=now
    )
    profiles_touch(profile_nos)
