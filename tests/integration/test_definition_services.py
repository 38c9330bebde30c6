"""Saving rules: versions, refusals, circles."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection

from cdp.access.models import AuditEntry
from cdp.core.errors import RejectedError
from cdp.profiles.services import traits_declare
from cdp.profiles.trait_values import TraitSpec
from segments.definition.limits import DefinitionError
from segments.definition.models import Segment, SegmentVersion
from segments.definition.selectors import catalogue_load, segments_naming
from segments.definition.services import segment_save
from tests.integration.audience_people import FRENCH, rule, save
from tests.integration.people import HOUR, NOW

GERMAN = FRENCH | {"value": "DE"}


def names(key: str) -> dict[str, str]:
    return {"type": "segment", "segment": key}


@pytest.mark.django_db
def test_first_save_makes_version_1_that_is_due_now() -> None:
    user = User.objects.create_user("mira")
    version = segment_save(
        "french", " French ", rule(FRENCH), user, "spring", now=NOW, actor="mira", description="People"
    )
    segment = Segment.objects.get(key="french")
    assert (version.version, version.sentence, version.created_by) == (1, "People whose country is FR.", user)
    assert (segment.title, segment.description, segment.state, segment.due_at) == ("French", "People", "counting", NOW)
    assert segment.current_version == version
    entry = AuditEntry.objects.get(action="segment_saved")
    assert (entry.actor, entry.subject_id, entry.detail) == ("mira", "french", {"version": 1, "reason": "spring"})


@pytest.mark.django_db
def test_the_same_rule_in_another_order_makes_no_version() -> None:
    first = save("french", FRENCH, GERMAN)
    Segment.objects.update(due_at=NOW + HOUR, state="ready")
    again = segment_save("french", "Renamed", rule(GERMAN, FRENCH), None, "", now=NOW)
    assert again == first
    segment = Segment.objects.get()
    assert (segment.title, segment.state, segment.due_at) == ("Renamed", "ready", NOW + HOUR)
    assert SegmentVersion.objects.count() == 1


@pytest.mark.django_db
def test_another_rule_makes_the_next_version_and_ends_a_count_under_way() -> None:
    save("french", FRENCH)
    Segment.objects.update(due_at=NOW + HOUR, state="ready", leased_until=NOW + HOUR, fence=7, error="x")
    version = save("french", FRENCH, GERMAN)
    segment = Segment.objects.get()
    assert (version.version, segment.state, segment.error) == (2, "counting", "")
    assert (segment.due_at, segment.leased_until, segment.fence) == (NOW, None, 8)
    assert [v.version for v in segment.versions.all()] == [2, 1]


@pytest.mark.django_db
def test_a_stale_editor_is_told() -> None:
    save("french", FRENCH)
    save("french", GERMAN)
    with pytest.raises(RejectedError, match="version 2 meanwhile") as caught:
        save("french", FRENCH, GERMAN, expected_version=1)
    assert (caught.value.code, caught.value.field) == ("conflict", "expected_version")
    assert SegmentVersion.objects.count() == 2
    assert save("french", FRENCH, GERMAN, expected_version=2).version == 3


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "1st", "French", "a b", "a" * 61, "ü", "a/b", "preview"])
def test_keys_are_checked(key: str) -> None:
    with pytest.raises(RejectedError) as caught:
        segment_save(key, "Title", rule(FRENCH), None, "", now=NOW)
    assert caught.value.code == "invalid_key"
    assert not Segment.objects.exists()


@pytest.mark.django_db
def test_a_wrong_rule_leaves_everything_as_it_was() -> None:
    save("french", FRENCH)
    with pytest.raises(DefinitionError) as caught:
        save("french", FRENCH | {"trait": "planet"}, names("nobody"))
    assert [p.field for p in caught.value.problems] == ["where.conditions[0].trait", "where.conditions[1].segment"]
    assert SegmentVersion.objects.count() == 1
    assert AuditEntry.objects.filter(action="segment_saved").count() == 1


@pytest.mark.django_db
def test_a_circle_of_four_is_refused() -> None:
    save("a", FRENCH)
    save("b", names("a"))
    save("c", names("b"))
    save("d", names("c"))
    with pytest.raises(DefinitionError, match="d → c → b → a") as caught:
        save("a", names("d"))
    assert caught.value.problems[0].code == "cycle"
    assert [s.key for s in segments_naming("a")] == ["b"]


@pytest.mark.django_db
def test_archived_keys_are_never_used_again() -> None:
    save("french", FRENCH)
    Segment.objects.update(state="archived")
    with pytest.raises(RejectedError, match="never used again") as caught:
        save("french", GERMAN)
    assert caught.value.code == "conflict"
    with pytest.raises(DefinitionError, match="archived"):
        save("other", names("french"))


@pytest.mark.django_db
def test_the_catalogue_holds_what_rules_may_name() -> None:
    traits_declare(
        [TraitSpec("ltv.predicted_365d_amount", "Predicted value", "number", unit="currency", is_computed=True)]
    )
    save("french", FRENCH)
    save("both", names("french"))
    catalogue = catalogue_load()
    value = catalogue.traits["ltv.predicted_365d_amount"]
    assert (value.column, value.unit, value.value_type) == ("ltv__predicted_365d_amount", "USD", "number")
    assert catalogue.traits["country"].column == "t_country"
    assert catalogue.traits["identifier.email"].column == "i_email"
    assert catalogue.traits["birthday"].is_personal
    assert catalogue.properties["category"].column == "p_category"
    assert catalogue.purposes["advertising"] == "Advertising"
    assert catalogue.segments["both"].refers_to == {"french"}


@pytest.mark.django_db(transaction=True)
def test_two_saves_at_once_cannot_close_a_circle() -> None:
    save("a", FRENCH)
    save("b", FRENCH)
    barrier, refused = threading.Barrier(2), []

    def point(key: str, other: str) -> None:
        barrier.wait()
        try:
            save(key, names(other))
        except DefinitionError as error:
            refused.append(error.problems[0].code)
        finally:
            connection.close()

    threads = [threading.Thread(target=point, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["cycle"]
