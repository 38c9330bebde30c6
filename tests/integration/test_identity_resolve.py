"""From raw identifiers to people: linking, merging, refusing, and two resolvers at once."""

import datetime as dt
import json
import threading

import pytest
from django.db import connection, transaction

from cdp.core.errors import RejectedError
from cdp.identity.models import Identifier, IdentifierType, IdentityDecision
from cdp.identity.selectors import profile_find
from cdp.identity.services import Observation, identifiers_resolve
from cdp.profiles.models import Profile
from tests.integration.people import DAY, HOUR, NOW, observation, people, profile_of, resolve, rows

pytestmark = pytest.mark.django_db


def test_people_of_one_chunk_and_of_the_next() -> None:
    first, second, third = resolve("a1", "u1 e1", "a1 u1")
    assert first.profile_no == second.profile_no == third.profile_no
    assert first.identifier_no != second.identifier_no == third.identifier_no
    assert people() == {frozenset({"a1", "u1", "e1"})}
    again = resolve("e1", "u2 a1")
    assert again[0].profile_no == first.profile_no
    assert again[1].profile_no != first.profile_no
    assert people() == {frozenset({"a1", "u1", "e1"}), frozenset({"u2"})}


def test_values_are_stored_encrypted_and_found_in_any_spelling() -> None:
    resolve("e1")
    (stored,) = Identifier.objects.all()
    assert b"e1" not in bytes(stored.value_encrypted) and len(bytes(stored.blind_index)) == 32
    assert profile_find("email", " E1@EXAMPLE.com ") == stored.profile_no
    assert profile_find("email", "e2@example.com") is None
    with pytest.raises(RejectedError, match="identifier type"):
        profile_find("shoe_size", "44")
    with pytest.raises(RejectedError, match="UUID"):
        profile_find("profile_id", "44")
    assert profile_find("profile_id", Profile.objects.get().profile_id) == stored.profile_no


def test_evidence_of_every_decision() -> None:
    resolve("a1", "u1")
    resolve("a1 u1", "u2 a1", "u1 e1")
    evidence = [
        (d.kind, len(d.identifier_nos), d.reason, d.message_id)
        for d in IdentityDecision.objects.order_by("decision_no")
    ]
    assert evidence == [
        ("created", 1, "seen together", "a1"),
        ("created", 1, "seen together", "u1"),
        ("created", 1, "seen together", "u2-a1"),
        ("demoted", 1, "user_id: at most 1 per person", "u2-a1"),
        ("linked", 1, "seen together", "u1-e1"),
        ("merged", 1, "seen together", "a1-u1"),
    ]


def test_a_known_chunk_decides_nothing() -> None:
    resolve("u1 a1", "u2 a1")
    before = rows("SELECT count(*) FROM cdp_identitydecision")
    resolve("u1 a1", "u2", "u2 a1")  # the same conflict again
    assert rows("SELECT count(*) FROM cdp_identitydecision") == before


def test_refused_values_are_named_and_the_rest_is_used() -> None:
    given = Observation(
        (("user_id", "undefined"), ("email", "no address"), ("shoe", "44"), ("device_id", "d1"), ("phone", None)),
        1,
        "m",
        NOW,
    )
    with transaction.atomic():
        found, nothing = identifiers_resolve([given, Observation((), 1, "m2", NOW)], NOW)
    assert found.profile_no is not None
    assert [(p.field, p.code) for p in found.rejected] == [
        ("user_id", "blocked"),
        ("email", "email"),
        ("shoe", "unknown_type"),
        ("phone", "type"),
    ]
    assert (nothing.profile_no, nothing.identifier_no, nothing.rejected[0].code) == (None, None, "required")
    assert Identifier.objects.count() == 1


def test_a_type_blocks_values_of_its_own() -> None:
    IdentifierType.objects.filter(key="device_id").update(blocked_values=["SHOP-TILL"])
    with transaction.atomic():
        (found,) = identifiers_resolve([Observation((("device_id", "shop-till"),), 1, "m", NOW)], NOW)
    assert (found.profile_no, found.rejected[0].code) == (None, "blocked")


def test_a_limit_leaves_the_value_out_and_tells_it() -> None:
    IdentifierType.objects.filter(key="anonymous_id").update(max_per_profile=2)
    resolve("u1 a1", "u1 a2")
    (third,) = resolve("u1 a3")
    assert third.profile_no == profile_of("u1")
    assert [(p.field, p.code) for p in third.rejected] == [("anonymous_id", "limit")]
    resolve("u1 a4", "u1 a3")
    assert people() == {frozenset({"u1", "a1", "a2"})}
    assert IdentityDecision.objects.filter(kind="demoted").count() == 1


def test_a_shared_device_joins_nobody_any_more() -> None:
    resolve(*(f"u{i}" for i in range(8)))
    for i in range(8):
        resolve(f"u{i} d1")
    assert Identifier.objects.get(type__key="device_id").is_shared
    assert IdentityDecision.objects.filter(kind="blocked").count() == 1
    assert IdentityDecision.objects.filter(kind="demoted").count() == 5
    (guest,) = resolve("e9 d1")
    assert guest.profile_no not in {profile_of("d1"), None}


def test_first_and_last_seen_to_the_hour_and_into_the_past() -> None:
    resolve("u1 a1", at=NOW)
    sequence = rows("SELECT change_seq FROM cdp_profile")
    resolve("u1", at=NOW + HOUR / 2)
    assert rows("SELECT change_seq FROM cdp_profile") == sequence, "half an hour later is no change"
    resolve("u1", at=NOW + HOUR)
    resolve("a1", at=NOW - 5 * HOUR)
    profile = Profile.objects.get()
    assert (profile.first_seen_at, profile.last_seen_at) == (NOW - 5 * HOUR, NOW + HOUR)
    assert (profile.change_seq,) > sequence[0]


def test_anonymous_people_become_identified() -> None:
    resolve("a1")
    assert not Profile.objects.get().is_identified
    resolve("a1 e1")
    assert Profile.objects.get().is_identified


def test_more_than_a_chunk_is_refused() -> None:
    with pytest.raises(RejectedError, match="5,000"), transaction.atomic():
        identifiers_resolve([observation("u1")] * 5001, NOW)
    assert identifiers_resolve([], NOW) == []
    assert Profile.objects.count() == 0


def test_a_merge_storm_in_one_chunk() -> None:
    resolve(*(f"u{i}" for i in range(60)))
    resolve(*(f"a{i}" for i in range(60)))
    resolve(*(f"u{i} a{i}" for i in range(60)))
    assert people() == {frozenset({f"u{i}", f"a{i}"}) for i in range(60)}
    assert Profile.objects.filter(merged_into_no=None).count() == 60
    (message,) = rows("SELECT payload FROM cdp_outboxmessage WHERE topic = 'profiles_merged'")
    assert len(json.loads(message[0])["pairs"]) == 60


def test_a_chain_in_one_chunk_ends_at_one_survivor() -> None:
    resolve("a1", "a2", "a3", "u1")
    resolve("a1 a2", "a2 a3", "a3 u1")
    assert people() == {frozenset({"a1", "a2", "a3", "u1"})}
    winner = profile_of("u1")
    assert set(rows("SELECT DISTINCT merged_into_no FROM cdp_profile WHERE merged_into_no IS NOT NULL")) == {(winner,)}
    assert rows("SELECT count(*) FROM cdp_identifieroverlay WHERE profile_no = %s", winner) == [(3,)]


@pytest.mark.django_db(transaction=True)
def test_two_resolvers_that_meet_the_same_new_identifier_make_one_person() -> None:
    entered = threading.Event()
    results: list[int | None] = []

    def other() -> None:
        entered.set()
        results.append(resolve("u1 a2")[0].profile_no)
        connection.close()

    thread = threading.Thread(target=other)
    with transaction.atomic():
        (mine,) = identifiers_resolve([observation("u1", "a1")], NOW)
        thread.start()
        assert entered.wait(5)
        thread.join(0.3)
        assert thread.is_alive(), "the second waits for the first"
    thread.join(10)
    assert results == [mine.profile_no]
    assert people() == {frozenset({"u1", "a1", "a2"})}


@pytest.mark.django_db(transaction=True)
def test_many_resolvers_at_once() -> None:
    problems: list[BaseException] = []

    def work(turn: int) -> None:
        try:
            for i in range(10):
                resolve(f"u{i} a{turn}{i}", f"a{turn}{i} e{i}", at=NOW + dt.timedelta(hours=turn * i))
        except BaseException as error:  # noqa: BLE001 - told below
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not problems
    assert people() == {frozenset({f"u{i}", f"e{i}", *(f"a{turn}{i}" for turn in range(4))}) for i in range(10)}
    assert Profile.objects.count() == 10


def test_evidence_is_dated_by_the_resolving_and_the_person_by_what_was_seen() -> None:
    resolve("u1 a1", at=NOW - 700 * DAY, now=NOW)
    profile = Profile.objects.get(pk=profile_of("u1"))
    assert (profile.created_at, profile.first_seen_at) == (NOW, NOW - 700 * DAY)
    assert set(IdentityDecision.objects.values_list("decided_at", flat=True)) == {NOW}
