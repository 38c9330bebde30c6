"""Consent stamps of the two wrappers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.collect.consent_marks import UPDATED_EVENT, consent_marks_read, purpose_find

PURPOSES = frozenset({"analytics", "advertising", "personalisation", "email_marketing"})


@pytest.mark.parametrize(
    ("category", "purpose"),
    [
        ("Advertising", "advertising"),
        ("C0004", "advertising"),
        ("Email Marketing", "email_marketing"),
        ("targeting", "advertising"),
        ("marketing", None),
        ("C0001", None),
        ("", None),
    ],
)
def test_categories(category: str, purpose: str | None) -> None:
    assert purpose_find(category, PURPOSES) == purpose


def test_an_alias_counts_only_for_a_purpose_that_exists() -> None:
    assert purpose_find("c0004", frozenset({"analytics"})) is None


def test_segment_stamp() -> None:
    context = {"consent": {"categoryPreferences": {"Advertising": True, "Analytics": False, "Other": True, "x": "yes"}}}
    marks, unknown = consent_marks_read("E", context, PURPOSES)
    assert [(m.purpose, m.action, m.is_act) for m in marks] == [
        ("advertising", "granted", False),
        ("analytics", "denied", False),
    ]
    assert unknown == 1
    assert consent_marks_read(UPDATED_EVENT, context, PURPOSES)[0][0].is_act


def test_rudderstack_stamp_and_the_denial_that_wins() -> None:
    context = {
        "consentManagement": {
            "provider": "oneTrust",
            "allowedConsentIds": ["C0002", "C0004", "ads"],
            "deniedConsentIds": ["C0003", "targeting"],
        }
    }
    marks, _ = consent_marks_read("E", context, PURPOSES)
    assert {m.purpose: m.action for m in marks} == {
        "analytics": "granted",
        "advertising": "denied",
        "personalisation": "denied",
    }
    assert {m.provider for m in marks} == {"oneTrust"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {
            "consent": anything | st.fixed_dictionaries({"categoryPreferences": anything}),
            "consentManagement": anything
            | st.fixed_dictionaries({"allowedConsentIds": anything, "provider": anything}),
        }
    )
)
def test_any_context_can_be_read(context: dict[str, Any]) -> None:
    marks, _ = consent_marks_read("E", context, PURPOSES)
    assert {m.purpose for m in marks} <= PURPOSES
