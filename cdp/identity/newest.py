"""Whom did we see last, and how do they show without being told: masked values, per person the strongest identifier."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from cdp.access.keys import keyring
from cdp.core.crypto import DecryptionError
from cdp.identity.masking import value_mask
from cdp.identity.recording import VALUE_CONTEXT
from cdp.screen.reading import rows


@dataclass(frozen=True, slots=True)
class ShownPerson:
    """One line of the people table."""

    profile_id: uuid.UUID
    masked: str
    type_title: str
    country: str
    is_identified: bool
    identifiers: int
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime


@dataclass(frozen=True, slots=True)
class ShownIdentifier:
    """One identifier of a person, masked unless it was asked for."""

    identifier_no: int
    type_key: str
    type_title: str
    priority: int
    is_known: bool
    value: str
    source_title: str
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    is_suppressed: bool


def _opened(sealed: bytes) -> str:
    try:
        return keyring().decrypt(sealed, context=VALUE_CONTEXT)
    except DecryptionError:
        return ""


PEOPLE_SQL = """
SELECT p.profile_no, p.profile_id, i.value_encrypted, t.key, t.title, p.traits ->> 'country', p.is_identified,
       (SELECT count(*) FROM cdp_identifier n WHERE n.profile_no = p.profile_no),
       p.first_seen_at, p.last_seen_at
FROM ({source}) p
LEFT JOIN LATERAL (
    SELECT i.value_encrypted, i.type_id FROM cdp_identifier i
    JOIN cdp_identifiertype k ON k.id = i.type_id
    WHERE i.profile_no = p.profile_no
    ORDER BY (k.key = 'email') DESC, k.priority, i.identifier_no LIMIT 1
) i ON true
LEFT JOIN cdp_identifiertype t ON t.id = i.type_id
ORDER BY p.change_seq DESC
"""
LIVING = "SELECT * FROM cdp_profile WHERE merged_into_no IS NULL AND erased_at IS NULL"


def people_newest(limit: int) -> list[ShownPerson]:
    """People who changed last, by the index on the change number: one statement however many there are."""
    return list(_people(f"{LIVING} ORDER BY change_seq DESC LIMIT %(given)s", limit).values())


def people_shown(profile_nos: Sequence[int]) -> dict[int, ShownPerson]:
    """These people by number, masked; those who were merged away or erased are left out."""
    return _people(f"{LIVING} AND profile_no = ANY(%(given)s)", list(profile_nos))


def _people(source: str, given: object) -> dict[int, ShownPerson]:
    return {
        profile_no: ShownPerson(
            profile_id,
            value_mask(key, _opened(bytes(sealed))) if sealed is not None else "",
            title or "",
            country or "",
            is_identified,
            identifiers,
            first_seen_at,
            last_seen_at,
        )
        for profile_no, profile_id, sealed, key, title, country, is_identified, identifiers, first_seen_at, last_seen_at in rows(
            PEOPLE_SQL.format(source=source), {"given": given}
        )
    }


def identifiers_shown(profile_no: int, *, revealed: bool) -> list[ShownIdentifier]:
    """A person's identifiers, strongest first. ``revealed`` shows the values: the caller has written an audit entry."""
    found = rows(
        """
            SELECT i.identifier_no, t.key, t.title, t.priority, t.is_known, i.value_encrypted,
                   coalesce(s.title, 'by hand'), i.first_seen_at, i.last_seen_at,
                   EXISTS (SELECT 1 FROM cdp_suppression x WHERE x.identifier_no = i.identifier_no AND x.lifted_at IS NULL)
            FROM cdp_identifier i JOIN cdp_identifiertype t ON t.id = i.type_id
            LEFT JOIN cdp_source s ON s.source_no = i.source_no
            WHERE i.profile_no = %(profile_no)s ORDER BY t.priority, i.identifier_no LIMIT 200
            """,
        {"profile_no": profile_no},
    )
    return [
        ShownIdentifier(
            number,
            key,
            title,
            priority,
            is_known,
            _opened(bytes(sealed)) if revealed else value_mask(key, _opened(bytes(sealed))),
            source_title,
            first_seen_at,
            last_seen_at,
            is_suppressed,
        )
        for number, key, title, priority, is_known, sealed, source_title, first_seen_at, last_seen_at, is_suppressed in found
    ]
