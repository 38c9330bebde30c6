"""Writes of profiles: new people, what they said of themselves, what we computed about them.

Callers hold ``cdp.events.locks.ledger_write_lock`` in their transaction (rule: at most about 5,000 rows each).
Row locks are taken by ascending number: identifiers first, then profiles.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from django.db import connection

from cdp.core.copying import rows_copy
from cdp.core.errors import Problem, RejectedError
from cdp.core.ids import ProfileNo, uuid7
from cdp.profiles.models import ComputedTraits, Profile, Trait, TraitValue
from cdp.profiles.trait_values import (
    TraitRow,
    TraitSpec,
    trait_key_check,
    trait_key_is_plain,
    trait_type_infer,
    trait_value_fit,
)

__all__ = [
    "NewProfile",
    "Sighting",
    "TraitsWritten",
    "profiles_add",
    "profiles_create",
    "profiles_erase",
    "profiles_lock",
    "profiles_merged_into",
    "profiles_parted",
    "profiles_project",
    "profiles_sighted",
    "profiles_touch",
    "traits_declare",
    "traits_write",
]


# Reads the table of identity, the floor above, by name: which identifiers a profile has is the only thing it needs of it.
PROJECT = """
WITH said AS (
    SELECT profile_no, jsonb_object_agg(key, value) AS traits
    FROM (
        SELECT DISTINCT ON (i.profile_no, v.trait_no) i.profile_no, t.key, v.value
        FROM cdp_identifier i
        JOIN cdp_traitvalue v USING (identifier_no)
        JOIN cdp_trait t USING (trait_no)
        WHERE i.profile_no = ANY(%(numbers)s)
        ORDER BY i.profile_no, v.trait_no, v.set_at DESC, v.value::text COLLATE "C" DESC
    ) AS latest
    WHERE value <> 'null'
    GROUP BY profile_no
), seen AS (
    SELECT i.profile_no, min(i.first_seen_at) AS first_seen_at, max(i.last_seen_at) AS last_seen_at,
           bool_or(t.is_known) AS is_known
    FROM cdp_identifier i JOIN cdp_identifiertype t ON t.id = i.type_id
    WHERE i.profile_no = ANY(%(numbers)s)
    GROUP BY i.profile_no
), wanted AS (
    SELECT p.profile_no, coalesce(said.traits, '{}') AS traits,
           coalesce(seen.first_seen_at, p.first_seen_at) AS first_seen_at,
           coalesce(seen.last_seen_at, p.last_seen_at) AS last_seen_at,
           coalesce(seen.is_known, false) AS is_identified
    FROM cdp_profile p LEFT JOIN said USING (profile_no) LEFT JOIN seen USING (profile_no)
    WHERE p.profile_no = ANY(%(numbers)s)
)
UPDATE cdp_profile p
SET traits = w.traits, first_seen_at = w.first_seen_at, last_seen_at = w.last_seen_at, is_identified = w.is_identified,
    change_seq = nextval('cdp_profile_change_seq'), updated_at = now()
FROM wanted w
WHERE p.profile_no = w.profile_no
  AND (p.traits, p.first_seen_at, p.last_seen_at, p.is_identified)
      IS DISTINCT FROM (w.traits, w.first_seen_at, w.last_seen_at, w.is_identified)
"""


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


@dataclass(frozen=True, slots=True)
class TraitsWritten:
    """How many values changed, and which rows (by position) were refused and why."""

    changed: int
    rejected: list[tuple[int, Problem]]


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


def profiles_lock(profile_nos: Iterable[int]) -> None:
    """Row locks until the transaction ends, by ascending number, so that two projections of one person follow each other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM cdp_profile WHERE profile_no = ANY(%s) "
            "ORDER BY profile_no FOR NO KEY UPDATE) AS locked",
            [sorted(set(profile_nos))],
        )


def profiles_touch(profile_nos: Iterable[int]) -> None:
    """Give each profile the next change number, so that snapshots and readers see that it changed."""
    numbers = sorted(set(profile_nos))
    if not numbers:
        return
    profiles_lock(numbers)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE cdp_profile SET change_seq = nextval('cdp_profile_change_seq'), updated_at = now() "
            "WHERE profile_no = ANY(%s)",
            [numbers],
        )


def profiles_sighted(sightings: Sequence[Sighting], *, touch: bool = False) -> None:
    """Widen first and last seen, and identify. Only changed profiles are written and touched, or all of them with ``touch``."""
    if not sightings:
        return
    profiles_lock(sighting.profile_no for sighting in sightings)
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
    profiles_lock(winner_of.keys() | set(winner_of.values()))
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
    profiles_lock(profile_nos)
    TraitValue.objects.filter(identifier_no__in=identifier_nos).delete()
    ComputedTraits.objects.filter(profile_no__in=profile_nos).delete()
    Profile.objects.filter(profile_no__in=profile_nos).update(
        erased_at=now, traits={}, is_identified=False, first_seen_at=now, last_seen_at=now, updated_at=now
    )
    profiles_touch(profile_nos)


def traits_declare(specs: Sequence[TraitSpec]) -> None:
    """Make sure that the catalogue holds these traits. What exists keeps its type and title; a discovered one becomes declared.

    Raises RejectedError for a key in another spelling or one that is declared with another type.
    """
    for spec in specs:
        trait_key_check(spec.key, is_computed=spec.is_computed)
    known = {trait.key: trait for trait in Trait.objects.filter(key__in=[spec.key for spec in specs])}
    for spec in specs:
        trait = known.get(spec.key)
        if trait is None:
            continue
        if trait.is_declared and (trait.value_type, trait.is_computed) != (spec.value_type, spec.is_computed):
            raise RejectedError(
                f"the trait {spec.key} is already declared as {trait.value_type}; choose another key.",
                code="trait_type",
                field="key",
            )
        if spec.is_declared and not trait.is_declared:
            trait.is_declared, trait.value_type, trait.title, trait.unit = True, spec.value_type, spec.title, spec.unit
            trait.save(update_fields=["is_declared", "value_type", "title", "unit"])
    Trait.objects.bulk_create(
        [
            Trait(
                key=spec.key,
                title=spec.title,
                value_type=spec.value_type,
                unit=spec.unit,
                description=spec.description,
                is_computed=spec.is_computed,
                is_personal=spec.is_personal,
                is_declared=spec.is_declared,
            )
            for spec in specs
            if spec.key not in known
        ],
        ignore_conflicts=True,
    )


def _catalogue(rows: Sequence[TraitRow]) -> dict[str, tuple[int, str]]:
    """{key: (trait_no, value type)} of the keys in ``rows``; new keys enter undeclared with the type of their first value."""
    keys = {row.key for row in rows if trait_key_is_plain(row.key)}
    found = {
        key: (no, kind)
        for key, no, kind in Trait.objects.filter(key__in=keys, is_computed=False).values_list(
            "key", "trait_no", "value_type"
        )
    }
    if missing := keys - found.keys():
        first = {row.key: row.value for row in reversed(rows) if row.key in missing and row.value is not None}
        traits_declare(
            [
                TraitSpec(
                    key=key,
                    title=key.replace("_", " ").capitalize(),
                    value_type=trait_type_infer(value),
                    is_declared=False,
                )
                for key, value in sorted(first.items())
            ]
        )
        found |= {
            key: (no, kind)
            for key, no, kind in Trait.objects.filter(key__in=missing, is_computed=False).values_list(
                "key", "trait_no", "value_type"
            )
        }
    return found


def traits_write(rows: Sequence[TraitRow]) -> TraitsWritten:
    """Store what identifiers said and project it to their profiles, in the caller's transaction.

    Per identifier and trait the later ``set_at`` wins, whatever the order of arrival (ties: the larger text). Safe to repeat.
    Values that do not fit their declared type are refused one by one; keys that nobody declared enter the catalogue undeclared.
    """
    if not rows:
        return TraitsWritten(0, [])
    catalogue, fit, rejected = _catalogue(rows), [], []
    for position, row in enumerate(rows):
        if row.key not in catalogue:
            if not trait_key_is_plain(row.key):
                rejected.append((position, Problem("traits", "trait_key", "write trait names in snake_case.")))
            continue  # else only ever null: there is nothing to take away
        trait_no, value_type = catalogue[row.key]
        try:
            value = trait_value_fit(row.key, value_type, row.value)
        except RejectedError as error:
            rejected.append((position, Problem(error.field, error.code, error.message)))
            continue
        fit.append((row.identifier_no, trait_no, msgspec.json.encode(value).decode(), row.source_no, row.set_at))
    if not fit:
        return TraitsWritten(0, rejected)
    identifier_nos = sorted({row[0] for row in fit})
    with connection.cursor() as cursor:
        # Shared with other writers of values, exclusive against a merge that would move the identifier meanwhile.
        cursor.execute(
            "SELECT identifier_no FROM cdp_identifier WHERE identifier_no = ANY(%s) ORDER BY identifier_no FOR SHARE",
            [identifier_nos],
        )
        cursor.fetchall()
        cursor.execute(
            "CREATE TEMP TABLE IF NOT EXISTS cdp_stage_traits (identifier_no bigint, trait_no bigint, value jsonb, "
            "source_no bigint, set_at timestamptz) ON COMMIT DELETE ROWS"
        )
        rows_copy(cursor, "cdp_stage_traits", "identifier_no, trait_no, value, source_no, set_at", fit)
        cursor.execute(
            """
            WITH written AS (
                INSERT INTO cdp_traitvalue AS old (identifier_no, trait_no, value, source_no, set_at)
                SELECT DISTINCT ON (identifier_no, trait_no) identifier_no, trait_no, value, source_no, set_at
                FROM cdp_stage_traits
                ORDER BY identifier_no, trait_no, set_at DESC, value::text COLLATE "C" DESC
                ON CONFLICT (identifier_no, trait_no) DO UPDATE
                SET value = excluded.value, source_no = excluded.source_no, set_at = excluded.set_at
                WHERE (excluded.set_at, excluded.value::text COLLATE "C") > (old.set_at, old.value::text COLLATE "C")
                RETURNING identifier_no
            )
            SELECT coalesce((SELECT count(*) FROM written), 0),
                   ARRAY(SELECT DISTINCT profile_no FROM cdp_identifier JOIN written USING (identifier_no))
            """
        )
        changed, profile_nos = cursor.fetchone()
        cursor.execute("TRUNCATE cdp_stage_traits")
    profiles_project(profile_nos)
    return TraitsWritten(changed, rejected)


def profiles_project(profile_nos: Iterable[int]) -> int:
    """Recompute from the profiles' identifiers what a profile shows: traits, identified, first and last seen.

    Per trait the latest statement of any identifier wins (ties: the larger text); null takes the trait away. A profile
    without identifiers has no traits and keeps its times. Only changed rows are written and touched; returns how many.
    """
    numbers = sorted(set(profile_nos))
    if not numbers:
        return 0
    profiles_lock(numbers)
    with connection.cursor() as cursor:
        cursor.execute(PROJECT, {"numbers": numbers})
        return int(cursor.rowcount)
