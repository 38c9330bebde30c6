"""What people said of themselves: order of arrival never matters, every refusal is named."""

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.profiles.models import Profile, Trait, TraitValue
from cdp.profiles.selectors import profile_get_many, profile_no_of_id
from cdp.profiles.services import profiles_create, profiles_project, profiles_touch, traits_write
from cdp.profiles.trait_values import TraitRow
from tests.integration.people import HOUR, NOW, identifier_of, profile_of, projections, resolve, rows, say

pytestmark = pytest.mark.django_db


def traits(name: str) -> dict[str, object]:
    return dict(Profile.objects.get(pk=profile_of(name)).traits)


def test_the_later_statement_wins_whatever_arrives_first() -> None:
    say("u1", at=NOW, country="FR")
    say("u1", at=NOW - HOUR, country="DE", plan="pro")
    assert traits("u1") == {"country": "FR", "plan": "pro"}
    assert say("u1", at=NOW, country="FR").changed == 0


def test_null_takes_a_trait_away() -> None:
    say("u1", country="FR", plan="pro")
    say("u1", at=NOW + HOUR, country=None)
    assert traits("u1") == {"plan": "pro"}
    assert say("u1", at=NOW + HOUR, never_said=None).changed == 0
    assert not Trait.objects.filter(key="never_said").exists()


def test_between_identifiers_of_one_person_the_latest_wins() -> None:
    resolve("u1 a1")
    say("u1", country="FR")
    say("a1", at=NOW + HOUR, country="DE")
    assert traits("u1") == {"country": "DE"}


def test_new_keys_enter_the_catalogue_undeclared_with_the_type_of_their_first_value() -> None:
    written = say("u1", shoe_size=44, loyal=True, joined="2026-01-01")
    assert (written.changed, written.rejected) == (3, [])
    found = {
        t.key: (t.value_type, t.is_declared) for t in Trait.objects.filter(key__in=["shoe_size", "loyal", "joined"])
    }
    assert found == {"shoe_size": ("number", False), "loyal": ("boolean", False), "joined": ("date", False)}


def test_values_that_do_not_fit_are_refused_one_by_one() -> None:
    number = identifier_of("u1")
    with transaction.atomic():
        written = traits_write(
            [
                TraitRow(number, "age", "old", 1, NOW),
                TraitRow(number, "country", "FR", 1, NOW),
                TraitRow(number, "Bad Key", "x", 1, NOW),
                TraitRow(number, "rfm.r", 5, 1, NOW),
            ]
        )
    assert written.changed == 1
    assert [(position, problem.code) for position, problem in written.rejected] == [
        (0, "trait_type"),
        (2, "trait_key"),
        (3, "trait_key"),
    ]
    assert traits("u1") == {"country": "FR"}


def test_profiles_are_made_touched_and_found() -> None:
    one, two = profiles_create(2, NOW)
    before = dict(Profile.objects.values_list("profile_no", "change_seq"))
    profiles_touch([one])
    after = dict(Profile.objects.values_list("profile_no", "change_seq"))
    assert after[one] > max(before.values()) and after[two] == before[two]
    found = profile_get_many([two, one, 10**9])
    assert [row.profile_no for row in found] == [one, two]
    assert profile_no_of_id(found[0].profile_id) == one


said = st.lists(
    st.tuples(
        st.sampled_from(["u1", "a1", "u2"]),
        st.sampled_from(["country", "plan", "age"]),
        st.sampled_from(["1", "2", "3", None]),
        st.integers(-2, 2),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said, st.randoms(), st.integers(1, 5))
def test_any_order_and_any_batching_ends_the_same_and_equals_a_rebuild(
    statements: list[tuple[str, str, str | None, int]], chance: object, size: int
) -> None:
    outcomes = []
    shuffled = list(statements)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    for order in (statements, shuffled + shuffled[:2]):
        with transaction.atomic():
            resolve("u1 a1", "u2")
            numbers = {name: identifier_of(name) for name in ("u1", "a1", "u2")}
            written = [TraitRow(numbers[n], key, value, 1, NOW + hours * HOUR) for n, key, value, hours in order]
            for start in range(0, len(written), size):
                traits_write(written[start : start + size])
            outcomes.append(rows("SELECT traits FROM cdp_profile ORDER BY profile_no"))
            incremental = projections()
            with connection.cursor() as cursor:
                cursor.execute("UPDATE cdp_profile SET traits = '{\"wrong\": true}', is_identified = false")
            profiles_project([row[0] for row in incremental])
            assert projections() == incremental
            transaction.set_rollback(True)
    assert outcomes[0] == outcomes[1]
    assert TraitValue.objects.count() == 0
