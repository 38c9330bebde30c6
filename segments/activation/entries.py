"""The sent state of a list, row by row: who is or may be on it. One function per statement; all numbers are bound.

Every statement that settles a batch names the number that the batch carried, so that an older answer changes nothing.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from django.db import connection

from cdp.core.copying import numbers_read, numbers_text
from cdp.events.services import server_cursor
from segments.activation.bitmaps import BitMap64, bitmap_make
from segments.destinations.contract import Member

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SentPeople:
    """``wanted``: on the list or on their way, less ``refused`` by the network. ``leaving``: removal not yet confirmed."""

    wanted: BitMap64
    refused: BitMap64
    leaving: BitMap64


def entries_read(target_no: int) -> SentPeople:
    """The whole sent state; 14 bytes a person while reading, then compressed."""
    with connection.cursor() as cursor:
        rows = numbers_read(
            cursor,
            "SELECT profile_no, CASE WHEN NOT wanted THEN 0 WHEN is_on_list = false AND acknowledged_seq = sent_seq THEN 1 "
            "ELSE 2 END::bigint FROM segments_sententry WHERE target_no = %s",
            [target_no],
            columns=2,
        )
    leaving, refused, wanted = (bitmap_make(rows[rows[:, 1] == place, 0]) for place in range(3))
    return SentPeople(wanted, refused, leaving)


def seq_next(target_no: int) -> int:
    """The target's next wish number; in the caller's transaction, which then holds the target's row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE segments_audiencetarget SET last_seq = last_seq + 1 WHERE target_no = %s RETURNING last_seq",
            [target_no],
        )
        return int(cursor.fetchone()[0])


def entries_insert(target_no: int, seq: int, members: Sequence[Member], now: dt.datetime) -> set[int]:
    """Rows for people who are about to be added, in flight; returns those that had no row yet."""
    with server_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO segments_sententry
                (target_no, profile_no, wanted, seq, sent_seq, acknowledged_seq, is_on_list, members, cause, wanted_at)
            SELECT %s, (m.entry -> 0)::bigint, true, %s, %s, 0, NULL, m.entry -> 1, 'joined', %s
            FROM jsonb_array_elements(%s::jsonb) AS m (entry)
            ON CONFLICT (target_no, profile_no) DO NOTHING RETURNING profile_no
            """,
            [
                *(target_no, seq, seq, now),
                msgspec.json.encode([(m.profile_no, m.identifiers) for m in members]).decode(),
            ],
            binary=True,
        )
        return {row[0] for row in cursor.fetchall()}


def entries_carried(target_no: int, seq: int, profile_nos: Numbers) -> list[Member]:
    """Those whom the batch with this number carried and who are still wanted, with the digests that were sent."""
    return _members(
        "SELECT profile_no, members::text FROM segments_sententry "
        "WHERE target_no = %s AND profile_no = ANY(%s::bigint[]) AND sent_seq = %s AND wanted ORDER BY profile_no",
        [target_no, numbers_text(profile_nos), seq],
    )


def entries_take_leaving(target_no: int, seq: int, profile_nos: Numbers) -> list[Member]:
    """Let the removal batch with this number carry those who are to leave; returns them with their digests."""
    members = _members(
        "UPDATE segments_sententry SET sent_seq = %s WHERE target_no = %s AND profile_no = ANY(%s::bigint[]) "
        "AND NOT wanted AND seq <= %s AND sent_seq <= %s RETURNING profile_no, members::text",
        [seq, target_no, numbers_text(profile_nos), seq, seq],
    )
    return sorted(members, key=lambda member: member.profile_no)


def entries_leaving(target_no: int, causes: Sequence[str] | None) -> Numbers:
    """People who are to leave: all of them, or those of these causes whom no batch has carried since."""
    query = "SELECT profile_no FROM segments_sententry WHERE target_no = %s AND NOT wanted"
    params: list[Any] = [target_no]
    if causes is not None:
        query, params = query + " AND sent_seq < seq AND cause = ANY(%s)", [*params, list(causes)]
    with connection.cursor() as cursor:
        return numbers_read(cursor, query, params)[:, 0]


def entries_wish_removed(target_no: int, seq: int, profile_nos: Numbers, cause: str, now: dt.datetime) -> list[int]:
    """They shall leave. Those whom the network refused were never on the list: their rows just go. Returns who has to leave.

    Somebody who was leaving anyway takes the new cause, so that an opt-out is not held with the rest.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM segments_sententry WHERE target_no = %s AND profile_no = ANY(%s::bigint[]) AND wanted "
            "AND is_on_list = false AND acknowledged_seq = sent_seq",
            [target_no, numbers_text(profile_nos)],
        )
        cursor.execute(
            "UPDATE segments_sententry SET wanted = false, cause = %s, wanted_at = %s, "
            "seq = CASE WHEN wanted THEN %s ELSE seq END "
            "WHERE target_no = %s AND profile_no = ANY(%s::bigint[]) AND (wanted OR cause = 'left') RETURNING profile_no",
            [cause, now, seq, target_no, numbers_text(profile_nos)],
        )
        return [row[0] for row in cursor.fetchall()]


def entries_wish_again(target_no: int, seq: int, profile_nos: Numbers) -> list[tuple[int, str]]:
    """People whose removal failed shall leave once more; (profile_no, cause) of each."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE segments_sententry SET seq = %s WHERE target_no = %s AND profile_no = ANY(%s::bigint[]) AND NOT wanted "
            "RETURNING profile_no, cause",
            [seq, target_no, numbers_text(profile_nos)],
        )
        return [(row[0], row[1]) for row in cursor.fetchall()]


def entries_settle_added(
    target_no: int, seq: int, profile_nos: Numbers, now: dt.datetime, *, is_on_list: bool | None
) -> int:
    """The network answered for an add: they are on the list (or refused, or some of them are: unknown)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE segments_sententry SET acknowledged_seq = sent_seq, is_on_list = %s, acknowledged_at = %s "
            "WHERE target_no = %s AND profile_no = ANY(%s::bigint[]) AND sent_seq = %s",
            [is_on_list, now, target_no, numbers_text(profile_nos), seq],
        )
        return int(cursor.rowcount)


def entries_settle_removed(target_no: int, seq: int, profile_nos: Numbers) -> list[int]:
    """The network confirmed a removal: the rows go, digests and all. A newer wish keeps its row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM segments_sententry WHERE target_no = %s AND profile_no = ANY(%s::bigint[]) "
            "AND sent_seq = %s AND NOT wanted AND seq <= sent_seq RETURNING profile_no",
            [target_no, numbers_text(profile_nos), seq],
        )
        return [row[0] for row in cursor.fetchall()]


def entries_forget(target_no: int, seq: int, profile_nos: Numbers) -> int:
    """Rows of people whom this batch was about to carry and did not: nothing was sent, nothing is kept."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM segments_sententry WHERE target_no = %s AND profile_no = ANY(%s::bigint[]) AND sent_seq = %s "
            "AND acknowledged_seq = 0",
            [target_no, numbers_text(profile_nos), seq],
        )
        return int(cursor.rowcount)


def entries_of_people(target_nos: Sequence[int], profile_nos: Sequence[int]) -> list[tuple[int, int]]:
    """(target_no, profile_no) of the wanted entries of these people, by target."""
    with connection.cursor() as cursor:
        rows = numbers_read(
            cursor,
            "SELECT target_no, profile_no FROM segments_sententry WHERE target_no = ANY(%s) AND profile_no = ANY(%s::bigint[]) "
            "AND wanted ORDER BY target_no, profile_no",
            [list(target_nos), list(profile_nos)],
            columns=2,
        )
    return [(int(target), int(profile)) for target, profile in rows]


def entries_members(target_no: int, profile_nos: Numbers) -> list[Member]:
    """The digests as sent, of wanted and leaving alike."""
    return _members(
        "SELECT profile_no, members::text FROM segments_sententry WHERE target_no = %s AND profile_no = ANY(%s::bigint[])",
        [target_no, numbers_text(profile_nos)],
    )


def _members(query: str, params: Sequence[object]) -> list[Member]:
    decode = msgspec.json.Decoder(tuple[tuple[str, ...], ...]).decode
    with server_cursor() as cursor:
        cursor.execute(query.encode(), params)
        return [Member(profile_no, decode(text)) for profile_no, text in cursor.fetchall()]
