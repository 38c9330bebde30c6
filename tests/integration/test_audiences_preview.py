"""How many, what each row does, who may be used; the same everywhere it is said."""

import math
import threading
import time
from typing import Any

import pytest
from pyroaring import BitMap64

from cdp.consent.models import DestinationPurpose, Suppression
from cdp.core.errors import NeedsHumanError, RetryableError
from cdp.core.ids import ProfileNo
from cdp.profiles.models import Profile
from segments.audiences import engine, previewing
from segments.audiences.engine import Needs, TooCostlyError, engine_open
from segments.audiences.models import Audience
from segments.audiences.previewing import RowEffect
from segments.audiences.reaching import audience_wanted, held_out_find
from segments.audiences.services import segment_preview
from segments.definition.limits import DefinitionError
from segments.definition.models import Segment
from segments.definition.sampling import is_sampled, share_threshold
from tests.integration.audience_people import BOUGHT, FRENCH, did, evaluate, french, members_of, number_of, rule, save
from tests.integration.people import DAY, HOUR, NOW, consent, identifier_of, say

pytestmark = pytest.mark.django_db


def test_count_of_everybody_and_of_some() -> None:
    french("u1", "u2", "a3")
    say("u4", country="DE")
    preview = segment_preview(rule(FRENCH), NOW)
    assert (preview.count, preview.identified, preview.people, preview.as_of) == (3, 2, 4, NOW)
    assert (preview.rows, preview.reach) == ((), ())
    assert segment_preview(rule(), NOW).count == 4


def test_nobody_is_there() -> None:
    preview = segment_preview(rule(FRENCH), NOW, with_rows=True, with_reach=True)
    assert (preview.count, preview.identified, preview.people) == (0, 0, 0)
    assert [row.matches for row in preview.rows] == [0, 0]
    assert {reach.allowed for reach in preview.reach} == {0}


def test_rows_say_what_they_take_and_bring() -> None:
    french("u1", "u2", "u3")
    say("u4", country="DE")
    did("u1")
    did("u2", "Product Viewed")
    did("u4", "Product Viewed")
    viewed = BOUGHT | {"event": "Product Viewed"}
    either = {"type": "any", "conditions": [BOUGHT, viewed]}
    left_out = {
        "type": "none",
        "conditions": [{"type": "trait", "trait": "country", "operator": "equals", "value": "DE"}],
    }
    preview = segment_preview(rule(FRENCH, either, left_out), NOW, with_rows=True)
    assert preview.count == 2
    assert preview.rows == (
        RowEffect("where", 2, None),
        RowEffect("where.conditions[0]", 3, 0),  # France alone keeps nobody out: the German is left out below anyway
        RowEffect("where.conditions[1]", 3, -1),
        RowEffect("where.conditions[1].conditions[0]", 1, 1),
        RowEffect("where.conditions[1].conditions[1]", 2, 1),
        RowEffect("where.conditions[2]", 3, 0),
        RowEffect("where.conditions[2].conditions[0]", 1, 0),
    )
    (root, row) = segment_preview(rule(FRENCH), NOW, with_rows=True).rows
    assert (root.matches, row.matches, row.effect) == (3, 3, -1)


def test_reach_is_the_gates_answer() -> None:
    french("u1", "u2", "u3", "u4")
    for name in ("u1", "u2", "u4"):
        consent(name, "granted", NOW - HOUR)
    consent("u3", "granted", NOW - HOUR, purpose="email_marketing")
    Suppression.objects.create(identifier_no=identifier_of("u4"), reason="complaint")
    DestinationPurpose.objects.update_or_create(
        destination="meta_custom_audiences", defaults={"purposes": ["advertising", "email_marketing"]}
    )
    preview = segment_preview(rule(FRENCH), NOW, with_reach=True)
    found = {reach.destination or reach.purposes[0]: reach for reach in preview.reach}
    ads = found["advertising"]
    assert (ads.allowed, ads.no_consent, ads.suppressed) == (2, 1, 1)
    assert found["email_marketing"].allowed == 1
    both = found["meta_custom_audiences"]
    assert (both.allowed, both.no_consent, both.suppressed) == (0, 3, 1)
    assert all(reach.allowed + reach.no_consent + reach.suppressed == 4 for reach in preview.reach)


def test_a_wrong_rule_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(**_: object) -> None:
        raise AssertionError("no query may run")

    monkeypatch.setattr(previewing, "engine_open", never)
    with pytest.raises(DefinitionError):
        segment_preview(rule(FRENCH | {"trait": "planet"}), NOW)
    save("french", FRENCH)
    with pytest.raises(DefinitionError) as caught:
        segment_preview(rule({"type": "segment", "segment": "french"}), NOW, own_key="french")
    assert caught.value.code == "cycle"


def test_the_same_question_is_answered_from_memory_until_data_change(monkeypatch: pytest.MonkeyPatch) -> None:
    french("u1")
    did("u2")
    first = segment_preview(rule(FRENCH, BOUGHT), NOW)
    asked: list[object] = []
    run = engine.Engine._run

    def counting(self: Any, *values: Any, **named: Any) -> Any:
        asked.append(values)
        return run(self, *values, **named)

    monkeypatch.setattr(engine.Engine, "_run", counting)
    assert segment_preview(rule(BOUGHT, FRENCH), NOW) is first
    assert not asked
    did("u1")
    assert segment_preview(rule(FRENCH, BOUGHT), NOW).count == 1
    say("u1", NOW + HOUR, country="DE")
    assert segment_preview(rule(FRENCH, BOUGHT), NOW).count == 0
    asked.clear()
    segment_preview(rule(FRENCH, BOUGHT), NOW + DAY)
    assert len(asked) == 1


def test_a_question_that_takes_too_long_is_stopped_and_the_next_one_answered() -> None:
    french("u1")
    with engine_open() as opened:
        tables = opened.tables(Needs())
        many = tables.profiles.cross_join(opened_range(opened, 10**7)).cross_join(opened_range(opened, 10**6, "other"))
        started = time.perf_counter()
        with pytest.raises(TooCostlyError, match=r"0\.2 seconds"):
            opened.arrays(many.aggregate(n=many.a.max() + many.other.max()), seconds=0.2)
        assert time.perf_counter() - started < 5
    assert segment_preview(rule(FRENCH), NOW).count == 1


def opened_range(opened: Any, rows: int, name: str = "a") -> Any:
    import ibis

    opened.duck.execute(
        f"CREATE OR REPLACE TEMP VIEW many_{name} AS SELECT hash(range) % 7 AS {name} FROM range({rows})"
    )
    return ibis.table({name: "uint64"}, name=f"many_{name}")


def test_a_busy_engine_says_so() -> None:
    def hold() -> None:
        with engine_open():
            entered.set()
            release.wait(5)

    entered, release = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(5)
    try:
        with pytest.raises(RetryableError), engine_open(wait_seconds=0.05):
            pass
    finally:
        release.set()
        thread.join()


# --- audiences -------------------------------------------------------------------------------------------------------


def audience_make(**overrides: Any) -> Audience:
    values = {"key": "ads", "title": "Ads", "purposes": ["advertising"], "holdout_share": 0.0, "holdout_salt": "s"}
    return Audience.objects.create(**values | {"segment": Segment.objects.get(key="french")} | overrides)


def test_the_waterfall_of_an_audience_adds_up() -> None:
    one, two, three, four = french("u1", "u2", "u3", "u4")
    for name in ("u1", "u2"):
        consent(name, "granted", NOW - HOUR)
    consent("u2", "granted", NOW - HOUR, purpose="email_marketing")
    consent("u4", "granted", NOW - HOUR)
    Suppression.objects.create(identifier_no=identifier_of("u4"), reason="complaint")
    save("french", FRENCH)
    evaluate("french")
    found = audience_wanted(audience_make(), [], NOW)
    assert found.counts() == {"members": 4, "held_out": 0, "no_consent": 1, "suppressed": 1, "wanted": 2}
    assert (set(found.wanted), set(found.no_consent), set(found.suppressed)) == ({one, two}, {three}, {four})
    assert found.segment_version == 1
    assert set(audience_wanted(audience_make(key="both"), ["email_marketing"], NOW).wanted) == {two}
    consent("u2", "withdrawn", NOW, purpose="email_marketing")
    assert not audience_wanted(Audience.objects.get(key="both"), ["email_marketing"], NOW).wanted


def test_held_out_people_are_a_stable_share_and_never_wanted() -> None:
    numbers = french(*[f"u{n}" for n in range(40)])
    for n in range(40):
        consent(f"u{n}", "granted", NOW - HOUR)
    save("french", FRENCH)
    evaluate("french")
    audience = audience_make(holdout_share=0.3)
    found = audience_wanted(audience, [], NOW)
    ids = dict(Profile.objects.filter(profile_no__in=numbers).values_list("profile_no", "profile_id"))
    expected = {no for no, profile_id in ids.items() if is_sampled("s", profile_id, share_threshold(0.3))}
    assert set(found.held_out) == expected
    assert 0 < len(expected) < 40
    assert set(found.wanted) == set(numbers) - expected
    assert sum(found.counts().values()) == 2 * 40
    assert found.held_out == audience_wanted(audience, [], NOW + DAY).held_out
    assert held_out_find("s", 0.1) & found.members <= found.held_out
    assert held_out_find("s", 0) == BitMap64()
    assert len(held_out_find("s", 1)) == 40


def test_an_audience_without_purpose_or_count_is_unusable() -> None:
    save("french", FRENCH)
    with pytest.raises(NeedsHumanError, match="not been counted"):
        audience_wanted(audience_make(), [], NOW)
    evaluate("french")
    with pytest.raises(NeedsHumanError, match="no purpose"):
        audience_wanted(audience_make(key="other", purposes=[]), [], NOW)


def test_count_members_and_explanation_agree() -> None:
    french("u1", "u2", "u3")
    say("u4", country="DE")
    did("u1")
    did("u2", days_ago=40)
    save("french_buyers", FRENCH, BOUGHT)
    evaluate("french_buyers")
    from segments.audiences.whys import profile_explain
    from segments.definition.selectors import definition_stored

    definition = definition_stored(Segment.objects.get())
    members = members_of("french_buyers")
    assert segment_preview(rule(FRENCH, BOUGHT), NOW).count == len(members) == 1
    for name in ("u1", "u2", "u3", "u4"):
        why = profile_explain(definition, ProfileNo(number_of(name)), NOW)
        assert why is not None
        assert why.holds == (number_of(name) in members)
    assert profile_explain(definition, ProfileNo(10**9), NOW) is None
    assert math.isfinite(segment_preview(rule(FRENCH), NOW).took_ms)
