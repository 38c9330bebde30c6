"""Which sightings are the same person? Deterministic matching with limits, one sighting at a time.

A sighting is the set of identifiers that one call or line carried together. Nobody known under any of them: a new
person. One person known: the new identifiers join. Several known: those become one person. The identifiers are taken
from the strongest to the weakest, and one whose taking would break a limit (a second account id, too many devices) or
re-join people who were parted by hand is *demoted*: it keeps whom it had, and the stronger ones decide. Semantics follow
Segment Unify; taking the violating value instead of always the weakest follows Hightouch and RudderStack
(reference/cdp.md §3). Every outcome that is not plain is a decision with its reason.

Plain Python over objects that the caller has loaded; union-find, so that one sighting costs next to constant time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

type DecisionKind = Literal["created", "linked", "merged", "demoted", "blocked"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How one type of identifier behaves; priority 1 is strongest."""

    key: str
    priority: int
    is_known: bool = False
    limit: int = 50
    max_profiles: int = 25


@dataclass(slots=True, eq=False)
class Group:
    """A person under construction: an existing profile, a new one, or several joined (then ``parent`` leads on).

    ``counts`` are identifiers by type, ``apart`` the profiles it must not become one with, ``profile_nos`` all existing
    profiles in it, ``born`` the sighting that made it.
    """

    profile_no: int | None = None
    is_known: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    apart: frozenset[int] = frozenset()
    profile_nos: tuple[int, ...] = ()
    born: int = 0
    is_created: bool = False
    parent: "Group | None" = None

    def root(self) -> "Group":
        """The group that this one has become part of."""
        group = self
        while group.parent is not None:
            if group.parent.parent is not None:
                group.parent = group.parent.parent
            group = group.parent
        return group


@dataclass(slots=True, eq=False)
class Node:
    """One identifier. ``group`` None: nobody had it before and no sighting has taken it yet.

    ``seen_with`` are the people it was seen with without joining them.
    """

    rule: Rule
    identifier_no: int | None = None
    group: Group | None = None
    is_shared: bool = False
    seen_with: set[int | Group] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of evidence; groups become profile numbers once all are numbered. ``sighting`` is the caller's position."""

    kind: DecisionKind
    group: Group
    other: Group | None
    nodes: tuple[Node, ...]
    reason: str
    sighting: int


@dataclass(frozen=True, slots=True)
class Match:
    """Whom a sighting belongs to, the strongest identifier that was taken, and those that were left out by a limit."""

    group: Group
    strongest: Node
    over_limit: tuple[Node, ...] = ()


@dataclass(slots=True)
class Graph:
    """The rules, and the decisions made so far. ``noted`` are demotions that an earlier row already tells of."""

    rules: Mapping[str, Rule]
    decisions: list[Decision] = field(default_factory=list)
    noted: set[tuple[int | Group, str]] = field(default_factory=set)
    merged: list[tuple[Group, int]] = field(default_factory=list)


def sighting_match(graph: Graph, nodes: Sequence[Node], sighting: int) -> Match:
    """Take one sighting into the graph. ``nodes`` are distinct, strongest first, at least one."""
    usable = [node for node in nodes if not node.is_shared]
    if not usable:
        usable = [next((node for node in nodes if node.group is not None), nodes[0])]
    group = Group(born=sighting)
    taken: list[Node] = []
    fresh: list[Node] = []
    over_limit: list[Node] = []
    demoted: list[tuple[Node, str]] = []
    for node in usable:
        if node.group is None:
            breach = _breach_adding(graph, group, node)
            if breach is not None:
                over_limit.append(node)
                demoted.append((node, breach))
                continue
            group.counts[node.rule.key] = group.counts.get(node.rule.key, 0) + 1
            group.is_known = group.is_known or node.rule.is_known
            node.group = group
            fresh.append(node)
        else:
            held_by = node.group.root()
            if held_by is not group:
                breach = _breach_joining(graph, group, held_by)
                if breach is not None:
                    demoted.append((node, breach))
                    continue
                group = _join(graph, group, held_by, sighting)
        taken.append(node)
    if fresh:
        is_new = group.profile_no is None and not group.is_created
        group.is_created = group.is_created or is_new
        graph.decisions.append(
            Decision("created" if is_new else "linked", group, None, tuple(fresh), "seen together", sighting)
        )
    for node, reason in demoted:
        _demote(graph, node, group, reason, sighting)
    return Match(group, taken[0], tuple(over_limit))


def _breach_adding(graph: Graph, group: Group, node: Node) -> str | None:
    rule = node.rule
    if 0 < group.counts.get(rule.key, 0) >= rule.limit:
        return f"{rule.key}: at most {rule.limit} per person"
    return None


def _breach_joining(graph: Graph, one: Group, other: Group) -> str | None:
    for key, count in other.counts.items():
        limit = graph.rules[key].limit
        if 0 < one.counts.get(key, 0) > limit - count:
            return f"{key}: at most {limit} per person"
    if not one.apart.isdisjoint(other.profile_nos) or not other.apart.isdisjoint(one.profile_nos):
        return "parted by hand"
    return None


def _join(graph: Graph, one: Group, other: Group, sighting: int) -> Group:
    """Make both one. An existing profile survives a new one, a known person an anonymous one, the older the younger."""
    winner, loser = sorted((one, other), key=_seniority)  # stable: of equals the first
    loser.parent = winner
    for key, count in loser.counts.items():
        winner.counts[key] = winner.counts.get(key, 0) + count
    winner.is_known = winner.is_known or loser.is_known
    winner.is_created = winner.is_created or loser.is_created
    winner.apart |= loser.apart
    winner.profile_nos += loser.profile_nos
    if loser.profile_no is not None:
        graph.merged.append((loser, sighting))
    return winner


def _seniority(group: Group) -> tuple[bool, bool, int]:
    return group.profile_no is None, not group.is_known, group.profile_no or group.born


def _demote(graph: Graph, node: Node, group: Group, reason: str, sighting: int) -> None:
    """Note once per pair that ``node`` gave way; past ``max_profiles`` people it is shared and joins nobody any more."""
    if node.group is None:
        mark = (group.profile_no or group, reason)
        if mark not in graph.noted:
            graph.noted.add(mark)
            graph.decisions.append(Decision("demoted", group, None, (), reason, sighting))
        return
    other: int | Group = group.profile_no or group
    if node.seen_with is None:
        node.seen_with = set()
    if other in node.seen_with:
        return
    node.seen_with.add(other)
    holder = node.group.root()
    graph.decisions.append(Decision("demoted", holder, group, (node,), reason, sighting))
    if not node.is_shared and len(node.seen_with) + 1 > node.rule.max_profiles:
        node.is_shared = True
        graph.decisions.append(
            Decision("blocked", holder, None, (node,), f"seen with more than {node.rule.max_profiles} people", sighting)
        )
