"""The example segments find whom their words promise; commands and tasks do what services do."""

from io import StringIO
from typing import Any

import pyarrow as pa
import pytest
from django.core.management import CommandError, call_command

from cdp.events.models import EventName
from cdp.profiles.services import computed_traits_write, traits_declare
from cdp.profiles.trait_values import TraitSpec
from segments.audiences import tasks
from segments.audiences.examples import EXAMPLES
from segments.audiences.services import segments_in_order, segments_seed_examples
from segments.computed_traits.contract import groups_find
from segments.definition.models import Segment, SegmentVersion
from tests.integration.audience_people import FRENCH, did, evaluate, french, members_of, number_of, save
from tests.integration.people import NOW

pytestmark = pytest.mark.django_db


def catalogue_fill() -> None:
    """Computed traits and events as after a first run."""
    for name, group in groups_find().items():
        traits_declare([TraitSpec(f"{name}.{s.key}", s.title, s.value_type, is_computed=True) for s in group.SPECS])
    for name in ("Order Completed", "Product Viewed"):
        EventName.objects.get_or_create(name=name, defaults={"kind": "track"})


def computed(group: str, people: dict[str, dict[str, Any]]) -> None:
    keys = sorted({key for values in people.values() for key in values})
    columns = {key: [values.get(key) for values in people.values()] for key in keys}
    table = pa.table({"profile_no": pa.array([number_of(name) for name in people], pa.int64()), **columns})
    computed_traits_write(group, table, NOW, 1, NOW)


def test_each_example_finds_its_person() -> None:
    catalogue_fill()

    def rfm(r: int, f: int, m: int, orders_days: int, days_since: int) -> dict[str, Any]:
        return {"r": r, "f": f, "m": m, "orders_days": orders_days, "days_since_last_order": days_since}

    computed(
        "rfm",
        {
            "u1": rfm(5, 5, 5, 9, 3),
            "u2": rfm(2, 4, 5, 7, 150),
            "u3": rfm(4, 2, 2, 2, 40),
            "u4": rfm(1, 2, 2, 2, 400),
            "u5": rfm(2, 1, 3, 1, 200),
        },
    )
    computed("intent", {"u1": {"decile": 10}, "u3": {"decile": 9}, "u5": {"decile": 2}})
    did("u1", days_ago=3)
    for _ in range(3):
        did("u6", "Product Viewed", days_ago=2)
        did("u1", "Product Viewed", days_ago=2)
    segments_seed_examples(now=NOW)
    for segment in segments_in_order():
        assert evaluate(segment.key).state == "ready"
    found = {segment.key: members_of(segment.key) for segment in Segment.objects.all()}
    assert found == {
        "recent_buyers": [number_of("u1")],
        "champions": [number_of("u1")],
        "high_value_at_risk": [number_of("u2")],
        "new_high_intent": [number_of("u3")],
        "browsed_not_bought": [number_of("u6")],
        "lapsed": [number_of("u4")],
        "one_order_only": [number_of("u5")],
    }


def test_seeding_twice_changes_nothing_and_keeps_what_somebody_changed() -> None:
    catalogue_fill()
    assert len(segments_seed_examples(now=NOW)) == len(EXAMPLES)
    save("champions", FRENCH)
    assert segments_seed_examples(now=NOW) == []
    assert Segment.objects.get(key="champions").title == "Champions"
    assert SegmentVersion.objects.count() == len(EXAMPLES) + 1


def test_every_example_says_what_it_is() -> None:
    keys = [example.key for example in EXAMPLES]
    assert len(set(keys)) == len(keys) == 7
    assert all(example.title and 20 < len(example.description) <= 300 for example in EXAMPLES)


def test_the_command_counts_in_order_and_tells() -> None:
    french("u1")
    save("french", FRENCH)
    save("others", {"type": "segment", "segment": "french"}, kind="none")
    out = StringIO()
    call_command("evaluate_segments", stdout=out)
    first, second = out.getvalue().splitlines()
    assert first.split()[:4] == ["french", "1", "people", "+1"]
    assert second.split()[:4] == ["others", "0", "people", "+0"]
    out = StringIO()
    call_command("evaluate_segments", "--key", "french", stdout=out)
    assert "+0" in out.getvalue()
    with pytest.raises(CommandError, match="nobody"):
        call_command("evaluate_segments", "--key", "nobody")


def test_the_command_fails_after_doing_the_rest() -> None:
    from cdp.profiles.models import Trait

    french("u1")
    save("broken", {"type": "trait", "trait": "plan", "operator": "is_set"})
    save("french", FRENCH)
    Trait.objects.filter(key="plan").update(is_declared=False)
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 2"):
        call_command("evaluate_segments", stdout=out)
    assert "broken                           failed: No trait" in out.getvalue()
    assert len(members_of("french")) == 1


def test_an_empty_workspace_says_what_to_do() -> None:
    out = StringIO()
    call_command("evaluate_segments", stdout=out)
    assert "--examples" in out.getvalue()


def test_tasks_call_their_service_and_are_safe_to_run_twice() -> None:
    french("u1")
    version = save("french", FRENCH)
    tasks.segments_evaluate_due()
    assert len(members_of("french")) == 1
    tasks.segments_evaluate_due()
    tasks.segment_evaluate(version.segment_id)
    tasks.memberships_follow()
    tasks.memberships_follow()
    assert len(members_of("french")) == 1
