"""Reads of identity: who holds an identifier, which identifiers a person holds."""

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import connection

from cdp.access.keys import keyring
from cdp.core.copying import numbers_text
from cdp.core.errors import Problem, RejectedError
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.core.normalise import identifier_normalise
from cdp.events.services import server_cursor
from cdp.identity.models import IdentifierType
from cdp.identity.recording import VALUE_CONTEXT
from cdp.profiles.selectors import profile_nos_of_ids

ROWS_PER_FETCH = 10_000
TYPES_TTL_SECONDS = 5.0


_types: tuple[float, dict[str, IdentifierType]] = (-TYPES_TTL_SECONDS, {})


def identifier_types() -> dict[str, IdentifierType]:
    """The types by key, kept for five seconds a process: reads ask for them with every request."""
    global _types
    read_at, types = _types
    if time.monotonic() - read_at > TYPES_TTL_SECONDS:
        types = {kind.key: kind for kind in IdentifierType.objects.all()}
        _types = (time.monotonic(), types)
    return types


def types_addressing() -> frozenset[str]:
    """The types by which one can write to a person; their values stand in no URL."""
    return frozenset(key for key, kind in identifier_types().items() if kind.normaliser in {"email", "phone"})


def identifier_locate(type_key: str, raw_value: object) -> tuple[int, bytes]:
    """The (type id, blind index) to find an identifier by. Raises RejectedError for an unknown type or a malformed value."""
    kind = identifier_types().get(type_key)
    if kind is None:
        raise RejectedError("no identifier type has this name.", code="unknown_type", field="type")
    text = identifier_normalise(
        kind.normaliser,
        raw_value,
        field=type_key,
        blocked_values=frozenset(value.casefold() for value in kind.blocked_values),
        region=settings.CONFIG.cdp_phone_region or None,
    )
    return kind.pk, keyring().blind_index(type_key, text)


def profiles_locate(asked: Sequence[tuple[str, object]]) -> tuple[list[ProfileNo | None], dict[int, Problem]]:
    """For each (type key, raw value) the living profile or None, in order; and by position what cannot be looked up.

    ``profile_id`` counts as a type. Two statements, however many are asked.
    """
    refused: dict[int, Problem] = {}
    ids: dict[int, uuid.UUID] = {}
    keys: dict[int, tuple[int, bytes]] = {}
    for position, (type_key, value) in enumerate(asked):
        try:
            if type_key == "profile_id":
                ids[position] = uuid.UUID(str(value))
            else:
                keys[position] = identifier_locate(type_key, value)
        except RejectedError as error:
            refused[position] = Problem(error.field, error.code, error.message)
        except ValueError:
            refused[position] = Problem("profile_id", "uuid", "profile_id must be a UUID.")
    by_id = profile_nos_of_ids(list(set(ids.values()))) if ids else {}
    held: dict[bytes, int] = {}
    if keys:
        with server_cursor() as cursor:
            cursor.execute(
                "SELECT blind_index, profile_no FROM cdp_identifier WHERE type_id = ANY(%s) AND blind_index = ANY(%s)",
                [sorted({type_id for type_id, _ in keys.values()}), sorted({blind for _, blind in keys.values()})],
                binary=True,
            )
            held = {bytes(blind): number for blind, number in cursor}
    found: list[ProfileNo | None] = []
    for position in range(len(asked)):
        number = by_id.get(ids[position]) if position in ids else None
        if position in keys:
            number = held.get(keys[position][1])  # type: ignore[assignment]
        found.append(number)
    return found, refused


def profile_find(type_key: str, raw_value: object) -> ProfileNo | None:
    """The living profile that holds this identifier (or has this ``profile_id``), None when nobody does.

    Raises RejectedError for an unknown type or a malformed value.
    """
    found, refused = profiles_locate([(type_key, raw_value)])
    for problem in refused.values():
        raise RejectedError(problem.message, code=problem.code, field=problem.field)
    return found[0]


def identifier_values(
    profile_nos: npt.NDArray[np.int64] | Sequence[int], types: Sequence[str]
) -> Iterator[tuple[ProfileNo, IdentifierNo, str, str]]:
    """(profile_no, identifier_no, type key, plain value) of these people, by profile and identifier number; streamed.

    Decrypts, so it is for the moment of sending only; nothing of it is logged or kept.
    """
    wanted = np.unique(np.asarray(profile_nos, dtype=np.int64))
    keys = dict(IdentifierType.objects.filter(key__in=types).values_list("id", "key"))
    decrypt = keyring().decrypt
    for start in range(0, len(wanted), ROWS_PER_FETCH):
        with server_cursor() as cursor:
            cursor.execute(
                "SELECT profile_no, identifier_no, type_id, value_encrypted FROM cdp_identifier "
                "WHERE profile_no = ANY(%s::bigint[]) AND type_id = ANY(%s) ORDER BY profile_no, identifier_no",
                [numbers_text(wanted[start : start + ROWS_PER_FETCH]), list(keys)],
                binary=True,
            )
            rows = cursor.fetchall()
        for profile_no, identifier_no, type_id, sealed in rows:
            yield (
                ProfileNo(profile_no),
                IdentifierNo(identifier_no),
                keys[type_id],
                decrypt(sealed, context=VALUE_CONTEXT),
            )


def profile_living(profile_no: int) -> ProfileNo | None:
    """The survivor behind a number: itself, or whom it was merged into; None when unknown or erased."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE chain AS (
                SELECT profile_no, merged_into_no, erased_at FROM cdp_profile WHERE profile_no = %s
                UNION
                SELECT p.profile_no, p.merged_into_no, p.erased_at
                FROM chain JOIN cdp_profile p ON p.profile_no = chain.merged_into_no
            )
            SELECT profile_no FROM chain WHERE merged_into_no IS NULL AND erased_at IS NULL
            """,
            [profile_no],
        )
        row = cursor.fetchone()
    return None if row is None else ProfileNo(row[0])


def profile_family(profile_no: int) -> list[int]:
    """The profile and all that were merged into it, directly or through others, ascending."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE family AS (
                SELECT %s::bigint AS profile_no
                UNION
                SELECT p.profile_no FROM family JOIN cdp_profile p ON p.merged_into_no = family.profile_no
            )
            SELECT profile_no FROM family ORDER BY profile_no
            """,
            [profile_no],
        )
        return [no for (no,) in cursor.fetchall()]


def identifiers_by_profile(profile_nos: Iterable[int]) -> dict[int, list[IdentifierNo]]:
    """{profile_no: its identifiers}."""
    found: dict[int, list[IdentifierNo]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT profile_no, identifier_no FROM cdp_identifier WHERE profile_no = ANY(%s) ORDER BY identifier_no",
            [list(profile_nos)],
        )
        for profile_no, identifier_no in cursor.fetchall():
            found.setdefault(profile_no, []).append(IdentifierNo(identifier_no))
    return found
