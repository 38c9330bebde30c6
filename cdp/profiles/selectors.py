"""Reads of profiles and of the trait catalogue."""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from cdp.core.ids import ProfileNo
from cdp.profiles.models import Profile, Trait


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """What a profile is, without its identifiers."""

    profile_no: ProfileNo
    profile_id: uuid.UUID
    created_at: dt.datetime
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    is_identified: bool
    merged_into_no: ProfileNo | None
    erased_at: dt.datetime | None
    traits: dict[str, Any]


def profile_get_many(profile_nos: Iterable[int]) -> list[ProfileRow]:
    """The rows of these profiles by ascending number. Unknown numbers are left out; merged and erased ones are not."""
    return [
        ProfileRow(
            profile_no=ProfileNo(row.profile_no),
            profile_id=row.profile_id,
            created_at=row.created_at,
            first_seen_at=row.first_seen_at,
            last_seen_at=row.last_seen_at,
            is_identified=row.is_identified,
            merged_into_no=None if row.merged_into_no is None else ProfileNo(row.merged_into_no),
            erased_at=row.erased_at,
            traits=row.traits,
        )
        for row in Profile.objects.filter(profile_no__in=list(profile_nos)).order_by("profile_no")
    ]


def profile_nos_of_ids(profile_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, ProfileNo]:
    """The living profiles behind public ids: a merged one leads to its survivor; erased and unknown ones are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE chain AS (
                SELECT profile_id AS asked, profile_no, merged_into_no, erased_at
                FROM cdp_profile WHERE profile_id = ANY(%s)
                UNION
                SELECT chain.asked, p.profile_no, p.merged_into_no, p.erased_at
                FROM chain JOIN cdp_profile p ON p.profile_no = chain.merged_into_no
            )
            SELECT asked, profile_no FROM chain WHERE merged_into_no IS NULL AND erased_at IS NULL
            """,
            [list(profile_ids)],
        )
        return {asked: ProfileNo(number) for asked, number in cursor.fetchall()}


def profile_no_of_id(profile_id: uuid.UUID) -> ProfileNo | None:
    """The living profile behind a public id, None when there is none."""
    return profile_nos_of_ids([profile_id]).get(profile_id)


def traits_declared() -> list[Trait]:
    """The stated traits that have a typed column, by key. Computed ones live in the files of their group."""
    return list(Trait.objects.filter(is_declared=True, is_computed=False).order_by("key"))
