"""Writes what matching decided: people, identifiers, sightings, moves and the evidence, each in one statement per chunk."""

import datetime as dt
from collections.abc import Sequence

from django.db import connection

from cdp.access.keys import keyring
from cdp.core.copying import rows_copy
from cdp.identity.matching import Decision, Graph, Group
from cdp.identity.moving import DECISION_COLUMNS, Move, moves_apply, numbers_text
from cdp.identity.records import Chunk, Known, Observation
from cdp.profiles.services import NewProfile, Sighting, profiles_add, profiles_sighted

VALUE_CONTEXT = b"cdp_identifier.value_encrypted"
# When somebody was last seen is kept to the hour: an event a second must not rewrite the person every second.
SEEN_RESOLUTION = dt.timedelta(hours=1)
IDENTIFIER_COLUMNS = (
    "identifier_no, type_id, blind_index, value_encrypted, profile_no, first_seen_at, last_seen_at, source_no"
)


def graph_record(graph: Graph, chunk: Chunk, observations: Sequence[Observation], now: dt.datetime) -> None:
    """Number and store new people and identifiers, write the evidence, then move what was merged."""
    fresh = [known for known in chunk.known if known.node.identifier_no is None and known.node.group is not None]
    created: dict[Group, list[Known]] = {}
    linked: list[Known] = []
    for known in fresh:
        root = _root(known)
        if root.profile_no is None:
            created.setdefault(root, []).append(known)
        else:
            linked.append(known)
    numbers = profiles_add(
        [
            NewProfile(min(k.seen_from for k in members), max(k.seen_until for k in members), root.is_known)
            for root, members in created.items()
        ],
        now,
    )
    for root, profile_no in zip(created, numbers, strict=True):
        root.profile_no = profile_no
    _identifiers_add(fresh)
    _shared_mark([node.identifier_no for d in graph.decisions if d.kind == "blocked" for node in d.nodes])
    _decisions_add(graph.decisions, observations, set(numbers), now)
    profiles_sighted(
        [Sighting(_root(k).profile_no or 0, k.seen_from, k.seen_until, k.node.rule.is_known) for k in linked],
        touch=True,
    )
    moves = []
    for loser, sighting in graph.merged:
        root, seen = loser.root(), observations[sighting]
        if loser.profile_no is not None and root.profile_no is not None:
            moves.append(Move(root.profile_no, loser.profile_no, "seen together", seen.source_no, seen.message_id))
    if moves:
        moves_apply(moves, now)


def _root(known: Known) -> Group:
    if known.node.group is None:
        raise ValueError("the identifier belongs to nobody")
    return known.node.group.root()


def _identifiers_add(fresh: Sequence[Known]) -> None:
    if not fresh:
        return
    encrypt = keyring().encrypt
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('cdp_identifier', 'identifier_no')) FROM generate_series(1, %s)",
            [len(fresh)],
        )
        for known, (number,) in zip(fresh, cursor.fetchall(), strict=True):
            known.node.identifier_no = number
        rows_copy(
            cursor,
            "cdp_identifier",
            IDENTIFIER_COLUMNS,
            (
                (
                    known.node.identifier_no,
                    known.type.pk,
                    known.blind_index,
                    encrypt(known.value, context=VALUE_CONTEXT),
                    _root(known).profile_no,
                    known.seen_from,
                    known.seen_until,
                    known.source_no,
                )
                for known in fresh
            ),
        )


def _shared_mark(identifier_nos: Sequence[int | None]) -> None:
    if not identifier_nos:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE cdp_identifier SET is_shared = true WHERE identifier_no = ANY(%s)", [list(identifier_nos)]
        )


def _decisions_add(
    decisions: Sequence[Decision], observations: Sequence[Observation], created: set[int], now: dt.datetime
) -> None:
    """Evidence rows. Of several sightings that made one new person the first created it, the others linked."""
    rows: list[tuple[object, ...]] = []
    told: set[int] = set()
    for decision in decisions:
        profile_no = decision.group.root().profile_no or 0
        kind: str = decision.kind
        if kind in {"created", "linked"}:
            kind = "created" if profile_no in created and profile_no not in told else "linked"
            told.add(profile_no)
        seen = observations[decision.sighting]
        rows.append(
            (
                kind,
                profile_no,
                decision.other.root().profile_no if decision.other is not None else None,
                numbers_text(node.identifier_no for node in decision.nodes),
                decision.reason,
                seen.source_no,
                seen.message_id,
                now,
            )
        )
    if rows:
        with connection.cursor() as cursor:
            rows_copy(cursor, "cdp_identitydecision", DECISION_COLUMNS, rows)


def sightings_record(chunk: Chunk) -> None:
    """Widen first and last seen of identifiers known before, and of their people, where it matters by an hour or the past."""
    stale = [
        known
        for known in chunk.known
        if known.first_seen_at is not None
        and known.last_seen_at is not None
        and not known.is_erased
        and (known.seen_until >= known.last_seen_at + SEEN_RESOLUTION or known.seen_from < known.first_seen_at)
    ]
    if not stale:
        return
    numbers = [known.node.identifier_no for known in stale]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE cdp_identifier i
            SET first_seen_at = least(i.first_seen_at, s.seen_from), last_seen_at = greatest(i.last_seen_at, s.seen_until)
            FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS s (identifier_no, seen_from, seen_until)
            WHERE i.identifier_no = s.identifier_no
            RETURNING i.profile_no, i.first_seen_at, i.last_seen_at
            """,
            [numbers, [known.seen_from for known in stale], [known.seen_until for known in stale]],
        )
        profiles_sighted([Sighting(no, first, last, is_known=False) for no, first, last in cursor.fetchall()])
