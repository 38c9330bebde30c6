"""From raw identifiers to people, thousands at a time: one look-up by blind index, matching in memory, COPY of what is new.

One at a time (``cdp.profiles.locks``), so that two resolvers that meet the same new identifier make one person of it.
"""

import datetime as dt
from collections.abc import Sequence

from django.conf import settings

from cdp.access.keys import keyring
from cdp.core.errors import Problem, RejectedError
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.core.normalise import identifier_normalise
from cdp.events.services import server_cursor
from cdp.identity.matching import Graph, Group, Match, Node, Rule, sighting_match
from cdp.identity.models import IdentifierType
from cdp.identity.recording import graph_record, sightings_record
from cdp.identity.records import Chunk, Known, Observation, Resolution
from cdp.profiles.locks import people_lock

MAX_OBSERVATIONS = 5_000


def rules_load() -> dict[str, tuple[IdentifierType, Rule, frozenset[str]]]:
    """The identifier types with their matching rule and blocked values, by key."""
    return {
        kind.key: (
            kind,
            Rule(
                kind.key,
                kind.priority,
                kind.is_known,
                1 if kind.is_unique else max(1, kind.max_per_profile),
                kind.max_profiles,
            ),
            frozenset(value.casefold() for value in kind.blocked_values),
        )
        for kind in IdentifierType.objects.all()
    }


def identifiers_resolve(observations: Sequence[Observation], now: dt.datetime) -> list[Resolution]:
    """Whose each observation is, in order; new people, links, merges and decisions are written in the caller's transaction.

    At most 5,000 observations (RejectedError). Values that are malformed, blocked, over a limit or erased are left out and
    named in ``rejected``. ``now`` dates the evidence, whatever time the observations are of. When the strongest of an
    observation was erased, or nothing is left, it belongs to nobody.
    """
    if not observations:
        return []
    if len(observations) > MAX_OBSERVATIONS:
        raise RejectedError(f"resolve at most {MAX_OBSERVATIONS:,} observations a transaction.", code="too_many_rows")
    people_lock()
    rules = rules_load()
    chunk = _read(observations, rules)
    _look_up(chunk)
    _drop_erased(chunk)
    matches = _match(chunk, observations, {key: rule for key, (_, rule, _) in rules.items()}, now)
    sightings_record(chunk)
    return [
        Resolution(None, None, rejected)
        if match is None
        else Resolution(
            ProfileNo(match.group.root().profile_no or 0), IdentifierNo(match.strongest.identifier_no or 0), rejected
        )
        for match, rejected in zip(matches, chunk.rejected, strict=True)
    ]


def _read(observations: Sequence[Observation], rules: dict[str, tuple[IdentifierType, Rule, frozenset[str]]]) -> Chunk:
    """Normalise every distinct value once."""
    index, region = keyring().blind_index, settings.CONFIG.cdp_phone_region or None
    raw: dict[tuple[str, object], Known | Problem] = {}
    distinct: dict[tuple[str, str], Known] = {}
    chunk = Chunk()
    for observation in observations:
        usable: list[Known] = []
        rejected: list[Problem] = []
        for pair in observation.identifiers:
            key, value = pair
            memo = (key, value if isinstance(value, (str, int)) and not isinstance(value, bool) else repr(value))
            found = raw.get(memo)
            if found is None:
                if key not in rules:
                    found = Problem(key[:30], "unknown_type", "no identifier type has this name.")
                else:
                    kind, rule, blocked = rules[key]
                    try:
                        text = identifier_normalise(
                            kind.normaliser, value, field=key, blocked_values=blocked, region=region
                        )
                    except RejectedError as error:
                        found = Problem(error.field, error.code, error.message)
                    else:
                        found = distinct.get((key, text))
                        if found is None:
                            found = distinct[key, text] = Known(
                                kind,
                                text,
                                index(key, text),
                                Node(rule),
                                observation.seen_at,
                                observation.seen_at,
                                observation.source_no,
                            )
                raw[memo] = found
            if isinstance(found, Problem):
                rejected.append(found)
                continue
            if found not in usable:
                usable.append(found)
            if observation.seen_at < found.seen_from:
                found.seen_from, found.source_no = observation.seen_at, observation.source_no
            elif observation.seen_at > found.seen_until:
                found.seen_until = observation.seen_at
        if len(usable) > 1:
            usable.sort(key=lambda known: known.node.rule.priority)
        if not usable and not rejected:
            rejected.append(Problem("identifiers", "required", "give at least one identifier."))
        chunk.usable.append(usable)
        chunk.rejected.append(rejected)
    chunk.known = list(distinct.values())
    return chunk


def _look_up(chunk: Chunk) -> None:
    """What the database knows of the chunk's identifiers, by one statement."""
    with server_cursor() as cursor:
        # One string of bytes instead of an array: binding thousands of small values costs more than looking them up.
        # LIMIT 1 keeps the planner from hashing the whole table for a chunk that is a sizeable part of it.
        cursor.execute(
            """
            SELECT i.identifier_no, i.profile_no, i.is_shared, i.first_seen_at, i.last_seen_at, t.type_id IS NOT NULL
            FROM unnest(%s::text::bigint[]) WITH ORDINALITY AS given (type_id, position)
            CROSS JOIN LATERAL (SELECT substring(%s::bytea FROM (position::int - 1) * 32 + 1 FOR 32) AS blind_index) AS key
            LEFT JOIN LATERAL (
                SELECT * FROM cdp_identifier i WHERE i.type_id = given.type_id AND i.blind_index = key.blind_index LIMIT 1
            ) AS i ON true
            LEFT JOIN LATERAL (
                SELECT t.type_id FROM cdp_identitytombstone t
                WHERE t.type_id = given.type_id AND t.blind_index = key.blind_index LIMIT 1
            ) AS t ON true
            ORDER BY position
            """,
            [
                "{" + ",".join(str(known.type.pk) for known in chunk.known) + "}",
                b"".join([known.blind_index for known in chunk.known]),
            ],
            binary=True,
        )
        for known, row in zip(chunk.known, cursor, strict=True):
            (
                known.node.identifier_no,
                known.profile_no,
                is_shared,
                known.first_seen_at,
                known.last_seen_at,
                known.is_erased,
            ) = row
            known.node.is_shared = bool(is_shared)


def _needs_decision(usable: list[Known]) -> bool:
    """Whether an observation is anything else than one person whom all its linking identifiers already name."""
    if len(usable) == 1:
        return usable[0].profile_no is None
    linking = [known for known in usable if not known.node.is_shared] or usable[:1]
    return any(known.profile_no is None or known.profile_no != linking[0].profile_no for known in linking)


def _drop_erased(chunk: Chunk) -> None:
    """An erased person stays out: a call that is about them is refused as a whole, a weaker erased identifier is left out."""
    for position, usable in enumerate(chunk.usable):
        if not any(known.is_erased for known in usable):
            continue
        chunk.rejected[position].extend(
            Problem(known.type.key, "erased", "this identifier was erased and may not return.")
            for known in usable
            if known.is_erased
        )
        chunk.usable[position] = [] if usable[0].is_erased else [known for known in usable if not known.is_erased]


def _match(
    chunk: Chunk, observations: Sequence[Observation], rules: dict[str, Rule], now: dt.datetime
) -> list[Match | None]:
    """Match the chunk in memory, write what is new, apply merges."""
    undecided = [position for position, usable in enumerate(chunk.usable) if usable and _needs_decision(usable)]
    groups: dict[int, Group] = {}
    graph = Graph(rules)
    detailed = {known.profile_no for position in undecided for known in chunk.usable[position] if known.profile_no}
    for known in chunk.known:
        if known.profile_no is not None:
            group = groups.get(known.profile_no)
            if group is None:
                group = groups[known.profile_no] = Group(known.profile_no, profile_nos=(known.profile_no,))
            known.node.group = group
    if detailed:
        _detail(graph, groups, chunk, sorted(detailed))
    matches: list[Match | None] = []
    for position, usable in enumerate(chunk.usable):
        if not usable:
            matches.append(None)
            continue
        match = sighting_match(graph, [known.node for known in usable], position)
        chunk.rejected[position].extend(
            Problem(node.rule.key, "limit", "the person holds as many of these as allowed.")
            for node in match.over_limit
        )
        matches.append(match)
    if graph.decisions or graph.merged:
        graph_record(graph, chunk, observations, now)
    return matches


def _detail(graph: Graph, groups: dict[int, Group], chunk: Chunk, profile_nos: list[int]) -> None:
    """Load what limits are checked against: identifiers by type, people parted by hand, earlier demotions."""
    by_no = {known.node.identifier_no: known.node for known in chunk.known if known.node.identifier_no is not None}
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT i.profile_no, t.key, count(*) FROM cdp_identifier i JOIN cdp_identifiertype t ON t.id = i.type_id "
            "WHERE i.profile_no = ANY(%s) GROUP BY 1, 2",
            [profile_nos],
        )
        for profile_no, key, count in cursor:
            group = groups[profile_no]
            group.counts[key] = count
            group.is_known = group.is_known or graph.rules[key].is_known
        cursor.execute(
            "SELECT profile_no, other_profile_no, identifier_nos, reason FROM cdp_identitydecision "
            "WHERE kind = 'demoted' AND profile_no = ANY(%s)",
            [profile_nos],
        )
        for profile_no, other_no, identifier_nos, reason in cursor:
            if not identifier_nos:
                graph.noted.add((profile_no, reason))
            elif identifier_nos[0] in by_no:
                node = by_no[identifier_nos[0]]
                node.seen_with = (node.seen_with or set()) | {other_no}
        cursor.execute(
            """
            WITH RECURSIVE family AS (
                SELECT profile_no AS living_no, profile_no FROM unnest(%s::bigint[]) AS given (profile_no)
                UNION
                SELECT family.living_no, p.profile_no
                FROM family JOIN cdp_profile p ON p.merged_into_no = family.profile_no
            )
            SELECT f.living_no, CASE WHEN d.profile_no = f.profile_no THEN d.other_profile_no ELSE d.profile_no END
            FROM family f
            JOIN cdp_identitydecision d ON f.profile_no IN (d.profile_no, d.other_profile_no)
            WHERE d.kind = 'unmerged' AND d.undone_at IS NULL
            """,
            [profile_nos],
        )
        apart: dict[int, set[int]] = {}
        for living_no, other_no in cursor:
            apart.setdefault(living_no, set()).add(other_no)
    for living_no, others in apart.items():
        groups[living_no].apart = frozenset(others)
