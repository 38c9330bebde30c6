"""Factories of the tests on people: observations, acts, and what the tables say of them."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction

from cdp.consent.records import NewConsent
from cdp.consent.services import consents_record
from cdp.identity.services import Observation, Resolution, identifiers_resolve
from cdp.profiles.services import TraitsWritten, traits_write
from cdp.profiles.trait_values import TraitRow

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
TYPES = {"u": "user_id", "e": "email", "d": "device_id", "a": "anonymous_id"}


def raw(name: str) -> tuple[str, str]:
    """``u1`` to a user_id, ``e1`` to an address, ``d1`` to a device, ``a1`` to a cookie."""
    return TYPES[name[0]], f"{name}@example.com" if name[0] == "e" else f"{name}-id"


def observation(*names: str, at: dt.datetime = NOW, **overrides: Any) -> Observation:
    values = {"source_no": 1, "message_id": "-".join(names), "seen_at": at} | overrides
    return Observation(identifiers=tuple(raw(name) for name in names), **values)


def resolve(*sightings: str, at: dt.datetime = NOW, now: dt.datetime | None = None) -> list[Resolution]:
    """Each text holds the identifiers of one sighting: ``resolve("u1 a1", "e1")``; in a transaction of its own."""
    with transaction.atomic():
        return identifiers_resolve([observation(*sighting.split(), at=at) for sighting in sightings], now or at)


def profile_of(name: str) -> int | None:
    from cdp.identity.selectors import profile_find

    return profile_find(*raw(name))


def identifier_of(name: str) -> int:
    (found,) = resolve(name)
    assert found.identifier_no is not None
    return found.identifier_no


def say(name: str, at: dt.datetime = NOW, **traits: object) -> TraitsWritten:
    """Identifier ``name`` states traits."""
    number = identifier_of(name)
    with transaction.atomic():
        return traits_write([TraitRow(number, key, value, 1, at) for key, value in traits.items()])


def consent(name: str, action: str, at: dt.datetime = NOW, *, purpose: str = "advertising", **overrides: Any) -> int:
    """Identifier ``name`` acts on a purpose."""
    values = {
        "received_at": at,
        "source_no": 1,
        "method": "save",
        "idempotency_key": f"{name}:{action}:{at.isoformat()}",
    } | overrides
    number = identifier_of(name)
    with transaction.atomic():
        return consents_record([NewConsent(number, purpose, action, at, **values)])


def rows(query: str, *params: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def people() -> set[frozenset[str]]:
    """Identifiers by person, under their short names."""
    from cdp.identity.selectors import identifier_values

    held: dict[int, set[str]] = {}
    numbers = [no for (no,) in rows("SELECT DISTINCT profile_no FROM cdp_identifier")]
    for profile_no, _, _, value in identifier_values(numbers, list(TYPES.values())):
        held.setdefault(profile_no, set()).add(value.partition("@")[0].removesuffix("-id"))
    return {frozenset(names) for names in held.values()}


def projections(profile_nos: Iterable[int] | None = None) -> list[tuple[Any, ...]]:
    """Everything that is worked out of the ledgers, per profile."""
    return rows(
        "SELECT p.profile_no, p.traits, p.is_identified, p.first_seen_at, p.last_seen_at, p.merged_into_no, "
        "(SELECT array_agg((purpose_id, state, since, expires_at, record_no, is_conflict)::text ORDER BY purpose_id) "
        " FROM cdp_consentstate s WHERE s.profile_no = p.profile_no), "
        "(SELECT array_agg(identifier_no ORDER BY 1) FROM cdp_identifier i WHERE i.profile_no = p.profile_no) "
        "FROM cdp_profile p WHERE %s::bigint[] IS NULL OR p.profile_no = ANY(%s) ORDER BY 1",
        *[None if profile_nos is None else list(profile_nos)] * 2,
    )
