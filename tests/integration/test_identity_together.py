"""Everything at once: resolvers, traits, consent, merges, unmerges and an erasure, and the projections still add up."""

import random
import threading

import pytest
from django.db import connection, transaction

from cdp.consent.models import ACTIONS
from cdp.consent.records import NewConsent
from cdp.consent.services import consents_project, consents_record
from cdp.core.errors import RejectedError
from cdp.identity.services import identifiers_resolve, merge_undo, profile_erase, profiles_merge
from cdp.profiles.services import profiles_project, traits_write
from cdp.profiles.trait_values import TraitRow
from tests.integration.people import HOUR, NOW, observation, people, profile_of, projections, resolve, rows

pytestmark = pytest.mark.django_db(transaction=True)

REFUSALS = {"not_found", "same_profile", "already_undone", "erased"}


def drain(chance: random.Random, turn: int) -> None:
    """What one transaction of the inbox does: who it is, what they said, what they agreed to."""
    names = [f"{kind}{i}" for kind in "ude" for i in range(8)]
    sightings = [chance.sample(names, chance.randint(1, 3)) for _ in range(5)]
    at = NOW + chance.randint(0, 50) * HOUR
    with transaction.atomic():
        found = identifiers_resolve([observation(*sighting, at=at) for sighting in sightings], at)
        numbers = [f.identifier_no for f in found if f.identifier_no is not None]
        traits_write([TraitRow(no, "country", chance.choice(["FR", "DE", None]), 1, at) for no in numbers])
        consents_record(
            [
                NewConsent(no, "advertising", chance.choice(ACTIONS), at, at, 1, "save", f"{turn}:{position}")
                for position, no in enumerate(numbers)
            ]
        )


def by_hand(chance: random.Random) -> None:
    """Staff merge, part and erase whomever they please."""
    living = [
        no for (no,) in rows("SELECT profile_no FROM cdp_profile WHERE merged_into_no IS NULL AND erased_at IS NULL")
    ]
    merges = [
        no for (no,) in rows("SELECT decision_no FROM cdp_identitydecision WHERE kind = 'merged' AND undone_at IS NULL")
    ]
    try:
        match chance.randint(0, 9):
            case 0 if living:
                profile_erase(chance.choice(living), "ann", NOW)
            case 1 | 2 | 3 | 4 if merges:
                merge_undo(chance.choice(merges), "ann", NOW)
            case _ if len(living) > 1:
                winner, loser = chance.sample(living, 2)
                profiles_merge(winner, loser, "x", "ann", NOW)
    except RejectedError as error:
        assert error.code in REFUSALS  # somebody else was faster


@pytest.mark.parametrize("seed", range(3))
def test_any_interleaving_ends_consistent(seed: int) -> None:
    problems: list[BaseException] = []

    def work(worker: int) -> None:
        chance = random.Random(seed * 10 + worker)
        try:
            for turn in range(20):
                by_hand(chance) if worker == 3 else drain(chance, worker * 1000 + turn)
        except BaseException as error:  # noqa: BLE001 - told below
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems
    after = projections()
    numbers = [row[0] for row in after]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM cdp_consentstate")
        cursor.execute("UPDATE cdp_profile SET traits = '{}'")
        profiles_project(numbers)
        consents_project(numbers)
    assert projections() == after
    assert rows(
        "SELECT count(*) FROM cdp_identifier i JOIN cdp_profile p USING (profile_no) WHERE p.merged_into_no IS NOT NULL OR p.erased_at IS NOT NULL"
    ) == [(0,)]
    assert rows("SELECT count(*) FROM cdp_identifier JOIN cdp_identitytombstone USING (type_id, blind_index)") == [(0,)]
    for person in people():
        by_hand_joined = rows(
            "SELECT count(*) FROM cdp_identitydecision WHERE reason LIKE 'by hand%%' AND kind = 'merged'"
        )
        assert sum(name.startswith("u") for name in person) <= 1 or by_hand_joined != [(0,)]


def test_a_resolver_that_meets_a_merge_in_progress_lands_on_the_survivor() -> None:
    resolve("u1", "a1")
    winner, loser = profile_of("u1") or 0, profile_of("a1") or 0
    found: list[int | None] = []

    def other() -> None:
        found.append(resolve("a1 e1")[0].profile_no)
        connection.close()

    thread = threading.Thread(target=other)
    with transaction.atomic():
        profiles_merge(winner, loser, "x", "ann", NOW)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(10)
    assert found == [winner]
    assert people() == {frozenset({"u1", "a1", "e1"})}


def test_two_merges_of_the_same_people_at_once_make_one() -> None:
    resolve("u1", "a1")
    winner, loser = profile_of("u1") or 0, profile_of("a1") or 0
    outcomes: list[str] = []

    def work(one: int, two: int) -> None:
        try:
            profiles_merge(one, two, "x", "ann", NOW)
            outcomes.append("merged")
        except RejectedError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=pair) for pair in ((winner, loser), (loser, winner))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(outcomes) == ["merged", "not_found"]
    assert people() == {frozenset({"u1", "a1"})}
