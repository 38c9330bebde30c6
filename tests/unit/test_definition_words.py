"""Fingerprints, sentences, explanations and samples."""

import datetime as dt
import hashlib
import random
import uuid
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from segments.definition.catalogue import Field
from segments.definition.explain import definition_explain
from segments.definition.fingerprint import definition_fingerprint
from segments.definition.parse import definition_parse
from segments.definition.sampling import WHOLE, is_sampled, share_threshold, threshold_hex
from segments.definition.sentence import definition_sentence
from tests.definition_world import CATALOGUE, MOMENT, definition, event, happened, person, trait

FR, DE = trait("country", "equals", "FR"), trait("country", "equals", "DE")


def fingerprint(data: dict[str, Any]) -> str:
    return definition_fingerprint(definition_parse(data))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (definition(FR, DE), definition(DE, FR)),
        (definition(FR, DE, DE), definition(FR, DE)),
        (definition(trait("country", "in", ["FR", "DE"])), definition(trait("country", "in", ["DE", "FR", "DE"]))),
        (definition(trait("age", "equals", 3)), definition(trait("age", "equals", 3.0))),
        (
            definition({"type": "event", "event": "Order Completed"}),
            definition(event(window={"type": "ever"}, where=[])),
        ),
        (
            definition({"type": "any", "conditions": [FR, {"type": "none", "conditions": [DE, FR]}]}),
            definition({"type": "any", "conditions": [{"type": "none", "conditions": [FR, DE]}, FR]}),
        ),
    ],
)
def test_equal_rules_have_equal_fingerprints(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert fingerprint(one) == fingerprint(other)


DIFFERENT = [
    definition(FR),
    definition(FR, kind="any"),
    definition(FR, kind="none"),
    definition(trait("country", "equals", "fr")),
    definition(trait("country", "not_equals", "FR")),
    definition(trait("country", "in", ["FR"])),
    definition(trait("age", "equals", 1)),
    definition(trait("is_vip", "equals", True)),
    definition(trait("age", "between", [1, 2])),
    definition(event(value=2)),
    definition(event(window={"type": "last", "days": 2})),
    definition(event(window={"type": "last", "hours": 2})),
    definition(event(window={"type": "dates", "from": "2026-01-01"})),
    definition(event(window={"type": "dates", "to": "2026-01-01"})),
    definition({"type": "sample", "share": 0.1, "salt": "a"}),
    definition({"type": "sample", "share": 0.1, "salt": "b"}),
]


def test_different_rules_have_different_fingerprints() -> None:
    assert len({fingerprint(data) for data in DIFFERENT}) == len(DIFFERENT)


SENTENCES = [
    (definition(), "Everyone."),
    (definition(FR), "People whose country is FR."),
    (
        definition(
            trait("country", "in", ["FR", "DE", "IT"]),
            event(value=2, window={"type": "last", "days": 365}, where=[{"property": "amount", "operator": "at_least", "value": 20}]),
            {
                "type": "any",
                "conditions": [event("Product Viewed", window={"type": "last", "days": 1}), trait("age", "between", [18, 2500])],
            },
            {"type": "none", "conditions": [{"type": "segment", "segment": "recent_buyers"}, trait("tags", "contains_all", ["a", "b"])]},
        ),
        "People whose country is FR, DE or IT, and who did Order Completed at least 2 times in the last 365 days where"
        " amount is at least 20, and ( either who did Product Viewed in the last day or whose age is between 18 and 2,500 ),"
        " but not [ who are in “Recent buyers” or whose tags contains a and b ].",
    ),
    (definition(FR, kind="none"), "Everyone but people [ whose country is FR ]."),
    (definition(FR, DE, kind="any"), "People either whose country is FR or whose country is DE."),
    (definition(event(operator="equals", value=0)), "People who did not do Order Completed."),
    (
        definition(event(aggregate={"function": "sum", "property": "amount"}, value=50, window={"type": "last", "hours": 5})),
        "People who did Order Completed with a total amount of at least 50 in the last 5 hours.",
    ),
    (
        definition(event(aggregate={"function": "distinct_days"}, value=3, window={"type": "between_days_ago", "start_days": 60, "end_days": 30})),
        "People who did Order Completed on at least 3 different days between 60 and 30 days ago.",
    ),
    (
        definition(event(window={"type": "dates", "from": "2026-01-02", "to": "2026-02-01"})),
        "People who did Order Completed from 2 Jan 2026 on and before 1 Feb 2026.",
    ),
    (
        definition({"type": "consent", "purpose": "advertising", "state": "granted"}, {"type": "sample", "share": 0.125, "salt": "x"}),
        "People who agreed to advertising, and who are in a random 12.5 % (“x”).",
    ),
    (definition(trait("signed_up_at", "in_last_days", 30)), "People whose signed_up_at is in the last 30 days."),
    (
        definition(trait("country", "in", ["a", "b", "c", "d", "e", "f", "g"])),
        "People whose country is a, b, c, d, e or one of 2 more.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "sentence"), SENTENCES)
def test_sentences(data: dict[str, Any], sentence: str) -> None:
    assert definition_sentence(definition_parse(data), CATALOGUE) == sentence


@pytest.mark.parametrize(("days", "words"), [(1, "is 1 day"), (2, "is 2 days")])
def test_one_day_is_a_day(days: int, words: str) -> None:
    field = Field("rfm.orders_days", "Days with an order", "number", "days_column", unit="days")
    catalogue = replace(CATALOGUE, traits={**CATALOGUE.traits, field.key: field})
    rule = definition_parse(definition(trait(field.key, "equals", days)))
    assert definition_sentence(rule, catalogue) == f"People whose days with an order {words}."


def test_an_explanation_shows_what_was_found() -> None:
    rule = definition_parse(
        definition(FR, event(value=3), {"type": "none", "conditions": [{"type": "segment", "segment": "champions"}]})
    )
    one = person(t_country="FR", segments=[8], events=[happened(days_ago=2), happened(days_ago=3), happened("Page")])
    why = definition_explain(rule.where, one, MOMENT)
    assert (why.path, why.text, why.holds) == ("where", "all of", False)
    country, bought, left_out = why.rows
    assert (country.path, country.holds, country.found) == ("where.conditions[0]", True, "FR")
    assert (bought.holds, bought.found, bought.events, bought.last_at) == (False, "2", 2, "2026-11-21T11:30:00Z")
    assert (left_out.holds, left_out.rows[0].holds) == (False, True)
    assert left_out.rows[0].path == "where.conditions[2].conditions[0]"


def test_an_explanation_hides_personal_traits() -> None:
    traits = dict(CATALOGUE.traits)
    traits["country"] = replace(traits["country"], is_personal=True)
    moment = replace(MOMENT, catalogue=replace(CATALOGUE, traits=traits))
    why = definition_explain(definition_parse(definition(FR)).where, person(t_country="FR"), moment)
    assert (why.holds, why.rows[0].found) == (True, "hidden")


@pytest.mark.parametrize("share", [0, 1e-12, 0.1, 1 / 3, 0.5, 0.9999999, 1])
def test_samples_are_the_same_in_both_engines(share: float) -> None:
    chance = random.Random(share)
    ids = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(3_000)]
    threshold = share_threshold(share)
    with duckdb.connect() as connection:
        sampled = connection.execute(
            "SELECT id FROM (SELECT unnest(?) AS id) WHERE sha256(? || id) < ?",
            [ids, "it's:", threshold_hex(threshold)],
        ).fetchall()
    assert {row[0] for row in sampled} == {one for one in ids if is_sampled("it's", one, threshold)}
    assert len(sampled) == pytest.approx(share * len(ids), abs=120)


def test_sample_bounds_are_exact() -> None:
    profile_id = uuid.UUID(int=1)
    number = int.from_bytes(hashlib.sha256(f"s:{profile_id}".encode()).digest()[:8], "big")
    assert is_sampled("s", profile_id, number + 1)
    assert not is_sampled("s", profile_id, number)
    assert (share_threshold(0), share_threshold(1)) == (0, WHOLE)
    assert is_sampled("s", profile_id, WHOLE)


def test_samples_with_different_salts_are_independent() -> None:
    threshold = share_threshold(0.5)
    ids = [uuid.UUID(int=number) for number in range(4_000)]
    both = sum(is_sampled("a", one, threshold) and is_sampled("b", one, threshold) for one in ids)
    assert both == pytest.approx(1_000, abs=100)


def test_an_empty_day_list_explains_nothing() -> None:
    why = definition_explain(definition_parse(definition(event())).where.conditions[0], person(), MOMENT)
    assert (why.holds, why.found, why.events, why.last_at) == (False, "0", 0, None)
    assert MOMENT.as_of.tzinfo == dt.UTC
