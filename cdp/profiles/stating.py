"""What people say of themselves: the trait catalogue and the values that identifiers stated."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from django.db import connection

from cdp.core.copying import rows_copy
from cdp.core.errors import Problem, RejectedError
from cdp.profiles.locks import people_lock
from cdp.profiles.models import Trait
from cdp.profiles.projecting import profiles_project
from cdp.profiles.trait_values import (
    TraitRow,
    TraitSpec,
    trait_key_check,
    trait_key_is_plain,
    trait_type_infer,
    trait_value_fit,
)

__all__ = ["TraitsWritten", "traits_declare", "traits_write"]


@dataclass(frozen=True, slots=True)
class TraitsWritten:
    """How many values changed, and which rows (by position) were refused and why."""

    changed: int
    rejected: list[tuple[int, Problem]]


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
    people_lock()
    with connection.cursor() as cursor:
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
