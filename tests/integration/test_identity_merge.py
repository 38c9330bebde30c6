"""Merge, unmerge, erase: everything follows, and everything comes back."""

import threading

import numpy as np
import pytest
from django.db import connection, transaction

from cdp.consent.gate import consent_gate
from cdp.core.errors import RejectedError
from cdp.events.services import outbox_claim
from cdp.identity.models import Identifier, IdentityDecision, IdentityTombstone
from cdp.identity.services import identifiers_resolve, merge_undo, profile_erase, profiles_merge
from cdp.profiles.models import ComputedTraits, Profile, TraitValue
from tests.integration.people import (
    DAY,
    HOUR,
    NOW,
    consent,
    observation,
    people,
    profile_of,
    projections,
    resolve,
    rows,
    say,
)

pytestmark = pytest.mark.django_db


def two_people() -> tuple[int, int]:
    resolve("u1 e1", "a1 d1")
    say("u1", first_name="Ann", country="FR")
    say("a1", at=NOW + HOUR, country="DE", plan="pro")
    consent("u1", "granted")
    consent("a1", "denied", at=NOW - DAY)
    consent("a1", "granted", purpose="analytics")
    return profile_of("u1") or 0, profile_of("a1") or 0


def test_merge_moves_identifiers_and_recomputes_both() -> None:
    winner, loser = two_people()
    profiles_merge(winner, loser, "same person", "ann", NOW)
    assert people() == {frozenset({"u1", "e1", "a1", "d1"})}
    survivor, merged = Profile.objects.get(pk=winner), Profile.objects.get(pk=loser)
    assert survivor.traits == {"first_name": "Ann", "country": "DE", "plan": "pro"}
    assert (merged.traits, merged.merged_into_no) == ({}, winner)
    assert rows(
        "SELECT p.key, s.state, s.is_conflict FROM cdp_consentstate s JOIN cdp_purpose p ON p.id = purpose_id "
        "WHERE profile_no = %s ORDER BY 1",
        winner,
    ) == [
        ("advertising", "denied", True),
        ("analytics", "granted", False),
    ]
    assert rows("SELECT count(*) FROM cdp_consentstate WHERE profile_no = %s", loser) == [(0,)]
    gate = consent_gate(np.array([winner, loser]), ["advertising"], NOW + DAY)
    assert gate.counts() == {"consent_denied": 1, "not_a_profile": 1}
    (message,) = outbox_claim("profiles_merged", 10, NOW + 1000 * DAY, 60)
    assert message.payload == {"profile_nos": sorted([winner, loser]), "pairs": [[winner, loser]]}
    assert rows("SELECT action, subject_id FROM cdp_auditentry") == [("profiles_merged", str(winner))]


def test_unmerge_restores_both_exactly() -> None:
    winner, loser = two_people()
    before = projections()
    decision_no = profiles_merge(winner, loser, "same person", "ann", NOW)
    assert projections() != before
    merge_undo(decision_no, "ann", NOW)
    assert projections() == before
    assert rows("SELECT identifier_no, profile_no FROM cdp_identifieroverlay ORDER BY 1") == rows(
        "SELECT identifier_no, profile_no FROM cdp_identifier WHERE profile_no = %s ORDER BY 1", loser
    )
    with pytest.raises(RejectedError, match="undone already"):
        merge_undo(decision_no, "ann", NOW)
    assert projections() == before


def test_people_parted_by_hand_are_not_joined_again_by_the_same_evidence() -> None:
    resolve("u1", "a1")
    resolve("u1 a1")
    decision = IdentityDecision.objects.get(kind="merged")
    merge_undo(decision.decision_no, "ann", NOW)
    resolve("u1 a1", "a1 e1")
    assert people() == {frozenset({"u1"}), frozenset({"a1", "e1"})}
    winner, loser = profile_of("u1") or 0, profile_of("a1") or 0
    profiles_merge(winner, loser, "they are one after all", "ann", NOW)
    merge_undo(IdentityDecision.objects.filter(kind="merged").latest("decision_no").decision_no, "ann", NOW)
    resolve("u1 a1")
    assert len(people()) == 2


def test_parted_people_stay_apart_when_one_of_them_joins_a_third() -> None:
    resolve("u1", "a1", "e1")
    resolve("u1 a1")
    merge_undo(IdentityDecision.objects.get(kind="merged").decision_no, "ann", NOW)
    profiles_merge(profile_of("e1") or 0, profile_of("u1") or 0, "hand", "ann", NOW)
    resolve("u1 a1")
    assert people() == {frozenset({"u1", "e1"}), frozenset({"a1"})}


def test_undoing_an_older_merge_below_a_newer_one() -> None:
    resolve("u1 e1", "a1", "a2")
    one, two, three = (profile_of(name) or 0 for name in ("u1", "a1", "a2"))
    before = projections()
    first = profiles_merge(two, three, "x", "ann", NOW)
    second = profiles_merge(one, two, "x", "ann", NOW)
    merge_undo(first, "ann", NOW)
    assert people() == {frozenset({"u1", "e1", "a1"}), frozenset({"a2"})}
    merge_undo(second, "ann", NOW)
    assert projections() == before


def test_identifiers_that_came_after_the_merge_stay_with_the_survivor() -> None:
    resolve("u1", "a1")
    decision_no = profiles_merge(profile_of("u1") or 0, profile_of("a1") or 0, "x", "ann", NOW)
    resolve("u1 e1")
    merge_undo(decision_no, "ann", NOW)
    assert people() == {frozenset({"u1", "e1"}), frozenset({"a1"})}


@pytest.mark.parametrize("bad", ["unknown", "self", "merged", "erased"])
def test_merges_that_make_no_sense_are_refused_and_change_nothing(bad: str) -> None:
    resolve("u1", "a1", "a2")
    one, two, three = (profile_of(name) or 0 for name in ("u1", "a1", "a2"))
    profiles_merge(one, two, "x", "ann", NOW)
    profile_erase(three, "ann", NOW)
    before = projections()
    with pytest.raises(RejectedError):
        profiles_merge(one, {"unknown": 10**9, "self": one, "merged": two, "erased": three}[bad], "x", "ann", NOW)
    assert projections() == before


def test_erasure_leaves_numbers_only() -> None:
    winner, loser = two_people()
    profiles_merge(winner, loser, "x", "ann", NOW)
    ComputedTraits.objects.create(profile_no=winner, group="rfm", values={"r": 5}, as_of=NOW, run_no=1)
    erased = profile_erase(loser, "officer", NOW)
    assert (erased.profile_nos, erased.identifiers) == ([winner, loser], 4)
    assert Identifier.objects.count() == TraitValue.objects.count() == ComputedTraits.objects.count() == 0
    assert rows("SELECT count(*) FROM cdp_consentstate") == [(0,)]
    assert IdentityTombstone.objects.count() == 4
    assert set(Profile.objects.values_list("traits__first_name", "is_identified", "erased_at")) == {(None, False, NOW)}
    assert rows("SELECT count(*) FROM cdp_erasedidentifier") == [(4,)]
    assert rows("SELECT count(*) FROM cdp_consentrecord") == [(3,)], (
        "acts stay as evidence under numbers that lead nowhere"
    )
    (message,) = outbox_claim("profile_erased", 10, NOW + 1000 * DAY, 60)
    assert message.payload == {"profile_nos": [winner, loser]}
    assert not IdentityDecision.objects.exclude(message_id="").exists()
    with pytest.raises(RejectedError, match="living"):
        profile_erase(winner, "officer", NOW)


def test_an_erased_person_does_not_come_back() -> None:
    two_people()
    profile_erase(profile_of("u1") or 0, "officer", NOW)
    with transaction.atomic():
        about_them, alone, shared_device = identifiers_resolve(
            [observation("u1", "a9"), observation("e1"), observation("u2", "e1")], NOW
        )
    assert (about_them.profile_no, alone.profile_no) == (None, None)
    assert [p.code for p in about_them.rejected + alone.rejected] == ["erased", "erased"]
    assert shared_device.profile_no == profile_of("u2")
    assert [p.code for p in shared_device.rejected] == ["erased"]
    assert profile_of("u1") is profile_of("e1") is profile_of("a9") is None


@pytest.mark.django_db(transaction=True)
def test_traits_said_while_a_merge_runs_reach_the_survivor() -> None:
    resolve("u1", "a1")
    winner, loser = profile_of("u1") or 0, profile_of("a1") or 0
    started = threading.Event()

    def other() -> None:
        started.set()
        say("a1", at=NOW + DAY, country="DE")
        consent("a1", "withdrawn", at=NOW + DAY)
        connection.close()

    thread = threading.Thread(target=other)
    with transaction.atomic():
        profiles_merge(winner, loser, "x", "ann", NOW)
        thread.start()
        assert started.wait(5)
        thread.join(0.3)
    thread.join(10)
    assert not thread.is_alive()
    assert Profile.objects.get(pk=winner).traits == {"country": "DE"}
    assert rows("SELECT profile_no, state FROM cdp_consentstate") == [(winner, "withdrawn")]
