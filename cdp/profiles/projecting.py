"""What a profile shows, worked out from its identifiers; and the number that tells readers that it changed."""

from collections.abc import Iterable

from django.db import connection

from cdp.profiles.locks import people_lock

__all__ = ["profiles_project", "profiles_touch"]

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


def profiles_touch(profile_nos: Iterable[int]) -> None:
    """Give each profile the next change number, so that snapshots and readers see that it changed."""
    numbers = sorted(set(profile_nos))
    if not numbers:
        return
    people_lock()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE cdp_profile SET change_seq = nextval('cdp_profile_change_seq'), updated_at = now() "
            "WHERE profile_no = ANY(%s)",
            [numbers],
        )


def profiles_project(profile_nos: Iterable[int]) -> int:
    """Recompute from the profiles' identifiers what a profile shows: traits, identified, first and last seen.

    Per trait the latest statement of any identifier wins (ties: the larger text); null takes the trait away. A profile
    without identifiers has no traits and keeps its times. Only changed rows are written and touched; returns how many.
    """
    numbers = sorted(set(profile_nos))
    if not numbers:
        return 0
    people_lock()
    with connection.cursor() as cursor:
        cursor.execute(PROJECT, {"numbers": numbers})
        return int(cursor.rowcount)
