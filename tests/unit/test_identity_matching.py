"""Matching against networkx, and the limits that hold whatever arrives."""

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.identity.matching import Graph, Group, Match, Node, Rule, sighting_match

RULES = {
    "user_id": Rule("user_id", 1, is_known=True, limit=1, max_profiles=25),
    "email": Rule("email", 2, is_known=True, limit=3, max_profiles=25),
    "device_id": Rule("device_id", 8, limit=4, max_profiles=3),
}
FREE = {key: Rule(key, rule.priority, rule.is_known, limit=10**6, max_profiles=10**6) for key, rule in RULES.items()}


class World:
    """Identifiers by name: ``u1`` is a user_id, ``e1`` an email, ``d1`` a device."""

    def __init__(self, rules: dict[str, Rule] = RULES) -> None:
        self.graph = Graph(rules)
        self.nodes: dict[str, Node] = {}
        self.seen = 0

    def rule(self, name: str) -> Rule:
        return self.graph.rules[{"u": "user_id", "e": "email", "d": "device_id"}[name[0]]]

    def person(self, profile_no: int, *names: str, apart: frozenset[int] = frozenset()) -> Group:
        """An existing profile with identifiers."""
        group = Group(profile_no, apart=apart, profile_nos=(profile_no,))
        for name in names:
            self.nodes[name] = Node(self.rule(name), identifier_no=len(self.nodes) + 1, group=group)
            group.counts[self.rule(name).key] = group.counts.get(self.rule(name).key, 0) + 1
            group.is_known = group.is_known or self.rule(name).is_known
        return group

    def see(self, *names: str) -> Match:
        nodes = [self.nodes.setdefault(name, Node(self.rule(name))) for name in names]
        nodes.sort(key=lambda node: node.rule.priority)
        self.seen += 1
        return sighting_match(self.graph, nodes, self.seen)

    def groups(self) -> set[frozenset[str]]:
        found: dict[Group, set[str]] = {}
        for name, node in self.nodes.items():
            if node.group is not None:
                found.setdefault(node.group.root(), set()).add(name)
        return {frozenset(names) for names in found.values()}

    def kinds(self) -> list[str]:
        return [decision.kind for decision in self.graph.decisions]


def test_nobody_known_makes_a_person() -> None:
    world = World()
    match = world.see("d1")
    assert (world.groups(), world.kinds(), match.group.profile_no) == ({frozenset({"d1"})}, ["created"], None)


def test_one_known_is_joined() -> None:
    world = World()
    person = world.person(7, "d1")
    match = world.see("d1", "u1")
    assert (match.group.root(), world.kinds()) == (person, ["linked"])
    assert match.strongest is world.nodes["u1"]


def test_several_known_become_one_and_the_known_and_older_survive() -> None:
    world = World()
    world.person(1, "d1"), world.person(5, "u1"), world.person(3, "e1")
    match = world.see("d1", "u1", "e1")
    assert match.group.root().profile_no == 3
    assert sorted(loser.profile_no for loser, _ in world.graph.merged if loser.profile_no) == [1, 5]


def test_two_accounts_never_become_one_the_device_gives_way() -> None:
    world = World()
    world.person(1, "u1", "d1"), world.person(2, "u2")
    match = world.see("u2", "d1")
    assert match.group.root().profile_no == 2
    assert world.groups() == {frozenset({"u1", "d1"}), frozenset({"u2"})}
    assert world.kinds() == ["demoted"]
    world.see("u2", "d1")
    assert world.kinds() == ["demoted"], "one row per pair, not per event"


def test_only_what_breaks_a_limit_gives_way() -> None:
    world = World()
    world.person(1, "u1", "e1"), world.person(2, "u2")
    world.see("u2", "e1", "d9")
    assert world.groups() == {frozenset({"u1", "e1"}), frozenset({"u2", "d9"})}


def test_a_new_account_on_a_known_address_is_another_person() -> None:
    world = World()
    world.person(1, "u1", "e1", "d1")
    match = world.see("u2", "e1", "d1")
    assert match.group.profile_no is None
    assert world.groups() == {frozenset({"u1", "e1", "d1"}), frozenset({"u2"})}
    assert sorted(world.kinds()) == ["created", "demoted", "demoted"]


def test_a_limit_leaves_the_new_value_out_and_says_so_once() -> None:
    world = World()
    world.person(1, "u1", "d1", "d2", "d3", "d4")
    matches = [world.see("u1", name) for name in ("d5", "d6")]
    assert [match.over_limit for match in matches] == [(world.nodes["d5"],), (world.nodes["d6"],)]
    assert world.nodes["d5"].group is None
    assert [(d.kind, d.reason) for d in world.graph.decisions] == [("demoted", "device_id: at most 4 per person")]


def test_a_person_beyond_a_lowered_limit_is_still_found() -> None:
    world = World()
    person = world.person(1, "d1", "d2", "d3", "d4", "d5", "d6")
    assert world.see("d1", "d2").group.root() is person
    assert world.kinds() == []


def test_a_shared_device_ends_by_joining_nobody() -> None:
    world = World()
    for number in range(1, 6):
        world.person(number, f"u{number}")
    for number in range(1, 6):
        world.see(f"u{number}", "d1")
    assert world.nodes["d1"].is_shared
    assert world.kinds() == ["linked", "demoted", "demoted", "demoted", "blocked"]
    before = world.groups()
    world.see("u9", "d1"), world.see("e9", "d1")
    assert world.groups() == before | {frozenset({"u9"}), frozenset({"e9"})}
    assert world.see("d1").group.root().profile_no == 1, "alone it is still its holder's"


def test_people_parted_by_hand_stay_apart() -> None:
    world = World()
    world.person(1, "u1", apart=frozenset({2})), world.person(2, "d1")
    world.see("u1", "d1")
    assert world.groups() == {frozenset({"u1"}), frozenset({"d1"})}
    assert [d.reason for d in world.graph.decisions] == ["parted by hand"]


names = st.sampled_from([f"{kind}{i}" for kind in "ued" for i in range(6)])
sightings = st.lists(st.lists(names, min_size=1, max_size=4, unique=True), max_size=25)


@given(sightings, st.randoms())
def test_without_limits_people_are_the_connected_components_in_any_order(seen: list[list[str]], chance: object) -> None:
    oracle = nx.Graph()
    for sighting in seen:
        oracle.add_nodes_from(sighting)
        nx.add_path(oracle, sighting)
    expected = {frozenset(component) for component in nx.connected_components(oracle)}
    shuffled = list(seen)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    for order in (seen, shuffled):
        world = World(FREE)
        for sighting in order:
            world.see(*sighting)
        assert world.groups() == expected


@given(sightings)
def test_limits_hold_whatever_arrives_and_the_result_is_repeatable(seen: list[list[str]]) -> None:
    world, again = World(), World()
    for sighting in seen:
        match = world.see(*sighting)
        again.see(*sighting)
        assert match.strongest.group is not None
        assert match.strongest.group.root() is match.group.root()
    assert world.groups() == again.groups()
    assert [(d.kind, d.reason, d.sighting) for d in world.graph.decisions] == [
        (d.kind, d.reason, d.sighting) for d in again.graph.decisions
    ]
    oracle = nx.Graph()
    for sighting in seen:
        nx.add_path(oracle, sighting)
    for group in world.groups():
        for key, kind in (("user_id", "u"), ("email", "e"), ("device_id", "d")):
            assert sum(name.startswith(kind) for name in group) <= RULES[key].limit
        assert len(group) == 1 or nx.is_connected(oracle.subgraph(nx.node_connected_component(oracle, min(group))))
    before = world.groups()
    for sighting in seen:
        if not any(name not in set().union(*before) for name in sighting):
            world.see(*sighting)
    assert len(world.groups()) <= len(before), "seeing the same again never parts anybody"


@pytest.mark.parametrize("size", [1, 50])
def test_counts_follow_joins(size: int) -> None:
    world = World(FREE)
    for i in range(size):
        world.see(f"d{i}")
    for i in range(size - 1):
        world.see(f"d{i}", f"d{i + 1}")
    (group,) = {node.group.root() for node in world.nodes.values() if node.group}
    assert group.counts == {"device_id": size}
