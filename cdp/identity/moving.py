"""Moving identifiers between people: what a merge, an unmerge and a correction have in common.

Nothing but the identifier moves. Events follow through the overlay, orders by their identifier, traits and consent by
recomputing the projections of both people, audiences through the outbox message.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from cdp.consent.services import consents_project
from cdp.core.copying import rows_copy
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.events.services import outbox_write, overlay_write
from cdp.profiles.services import profiles_merged_into, profiles_project, profiles_touch

DECISION_COLUMNS = "kind, profile_no, other_profile_no, identifier_nos, reason, source_no, message_id, decided_at"


@dataclass(frozen=True, slots=True)
class Move:
    """``loser_no`` becomes one with ``winner_no``, and what said so."""

    winner_no: int
    loser_no: int
    reason: str
    source_no: int
    message_id: str = ""


def numbers_text(numbers: Iterable[int | None]) -> str:
    """PostgreSQL's text of an array, which COPY takes as it is; the general way through Python costs ten times as much."""
    return "{" + ",".join(map(str, numbers)) + "}"


def moves_apply(moves: Sequence[Move], now: dt.datetime) -> None:
    """Merge people, in the caller's transaction, under the lock of people. Each loser occurs once."""
    winner_of = {move.loser_no: move.winner_no for move in moves}
    held = identifiers_held(winner_of)
    target = {identifier_no: winner_of[loser_no] for loser_no, numbers in held.items() for identifier_no in numbers}
    identifiers_place(target)
    with connection.cursor() as cursor:
        rows_copy(
            cursor,
            "cdp_identitydecision",
            DECISION_COLUMNS,
            (
                (
                    "merged",
                    m.winner_no,
                    m.loser_no,
                    numbers_text(held[m.loser_no]),
                    m.reason,
                    m.source_no,
                    m.message_id,
                    now,
                )
                for m in moves
            ),
        )
    profiles_merged_into(winner_of)
    people_recompute(winner_of.keys() | set(winner_of.values()))
    pairs = sorted([winner, loser] for loser, winner in winner_of.items())
    outbox_write("profiles_merged", {"profile_nos": sorted({no for pair in pairs for no in pair}), "pairs": pairs})


def identifiers_held(profile_nos: Iterable[int]) -> defaultdict[int, list[int]]:
    """{profile_no: its identifiers, ascending}."""
    held: defaultdict[int, list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT identifier_no, profile_no FROM cdp_identifier WHERE profile_no = ANY(%s) ORDER BY 1",
            [sorted(profile_nos)],
        )
        for identifier_no, profile_no in cursor.fetchall():
            held[profile_no].append(identifier_no)
    return held


def identifiers_place(target: dict[int, int]) -> None:
    """Give each identifier its profile, and the event store the overlay that makes its history follow."""
    if not target:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE cdp_identifier i SET profile_no = t.profile_no "
            "FROM unnest(%s::bigint[], %s::bigint[]) AS t (identifier_no, profile_no) "
            "WHERE i.identifier_no = t.identifier_no",
            [list(target), list(target.values())],
        )
    by_profile: defaultdict[int, list[IdentifierNo]] = defaultdict(list)
    for identifier_no, profile_no in target.items():
        by_profile[profile_no].append(IdentifierNo(identifier_no))
    for profile_no, identifier_nos in by_profile.items():
        overlay_write(identifier_nos, ProfileNo(profile_no))


def people_recompute(profile_nos: Iterable[int]) -> None:
    """Bring every projection of these people up to date after their identifiers moved."""
    numbers = sorted(profile_nos)
    profiles_project(numbers)
    consents_project(numbers)
    profiles_touch(numbers)
