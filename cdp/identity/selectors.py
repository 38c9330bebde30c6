"""Reads of identity: who holds an identifier, which identifiers a person holds."""

import uuid
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import connection

from cdp.access.keys import keyring
from cdp.core.errors import RejectedError
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.core.normalise import identifier_normalise
from cdp.events.services import server_cursor
from cdp.identity.models import IdentifierType
from cdp.identity.recording import VALUE_CONTEXT
from cdp.profiles.selectors import profile_no_of_id

ROWS_PER_FETCH = 10_000


def identifier_locate(type_key: str, raw_value: object) -> tuple[int, bytes]:
    """The (type id, blind index) to find an identifier by. Raises RejectedError for an unknown type or a malformed value."""
    kind = IdentifierType.objects.filter(key=type_key).first()
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


def profile_find(type_key: str, raw_value: object) -> ProfileNo | None:
    """The living profile that holds this identifier (or has this ``profile_id``), None when nobody does.

    Raises RejectedError for an unknown type or a malformed value.
    """
    if type_key == "profile_id":
        try:
            return profile_no_of_id(uuid.UUID(str(raw_value)))
        except ValueError:
            raise RejectedError("profile_id must be a UUID.", code="uuid", field="profile_id") from None
    type_id, blind_index = identifier_locate(type_key, raw_value)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT profile_no FROM cdp_identifier WHERE type_id = %s AND blind_index = %s", [type_id, blind_index]
        )
        row = cursor.fetchone()
    return None if row is None else ProfileNo(row[0])


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
                "WHERE profile_no = ANY(%s) AND type_id = ANY(%s) ORDER BY profile_no, identifier_no",
                [wanted[start : start + ROWS_PER_FETCH].tolist(), list(keys)],
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
