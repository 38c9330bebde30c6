"""What a tracking call says about consent.

Two consent wrappers stamp every call: Segment's (``context.consent.categoryPreferences``) and RudderStack's
(``context.consentManagement`` with allowed and denied ids). A stamp enters the ledger only where it says something new; the
event "Segment Consent Preference Updated" is an act of the person and always does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UPDATED_EVENT = "Segment Consent Preference Updated"
# OneTrust's usual category ids and common names, to our purposes. "marketing" is left out: it may mean e-mail or ads.
ALIASES = {
    "c0002": "analytics",
    "c0003": "personalisation",
    "c0004": "advertising",
    "performance": "analytics",
    "statistics": "analytics",
    "functional": "personalisation",
    "preferences": "personalisation",
    "personalization": "personalisation",
    "targeting": "advertising",
    "ads": "advertising",
}
_NOT_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class ConsentMark:
    """One purpose and the answer. ``is_act`` tells a person's choice from a stamp."""

    purpose: str
    action: str
    is_act: bool
    provider: str


def purpose_find(category: str, purposes: frozenset[str]) -> str | None:
    """The purpose that a category name or id means, or None: what is not understood stays unknown, hence denied."""
    key = _NOT_WORD.sub("_", category.strip().lower()).strip("_")
    if key in purposes:
        return key
    alias = ALIASES.get(key)
    return alias if alias in purposes else None


def _answers(context: Mapping[str, Any]) -> tuple[dict[str, bool], str]:
    """{category: granted} and whose stamp it was. Of two answers for one category the denial holds."""
    found: dict[str, bool] = {}
    provider = ""
    consent = context.get("consent")
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    if isinstance(preferences, dict):
        provider = "segment"
        found |= {str(key): value for key, value in preferences.items() if isinstance(value, bool)}
    management = context.get("consentManagement")
    if isinstance(management, dict):
        provider = management["provider"][:30] if isinstance(management.get("provider"), str) else "rudderstack"
        for field, answer in (("allowedConsentIds", True), ("deniedConsentIds", False)):
            ids = management.get(field)
            for category in ids if isinstance(ids, list) else ():
                if isinstance(category, str):
                    found[category] = answer
    return found, provider


def consent_marks_read(
    name: str, context: Mapping[str, Any], purposes: frozenset[str]
) -> tuple[list[ConsentMark], int]:
    """The marks of one call, one per purpose, and how many categories named no purpose of ours."""
    answers, provider = _answers(context)
    by_purpose: dict[str, bool] = {}
    unknown = 0
    for category, granted in answers.items():
        purpose = purpose_find(category, purposes)
        if purpose is None:
            unknown += 1
        else:
            by_purpose[purpose] = granted and by_purpose.get(purpose, True)
    is_act = name == UPDATED_EVENT
    return [
        ConsentMark(purpose, "granted" if granted else "denied", is_act, provider)
        for purpose, granted in sorted(by_purpose.items())
    ], unknown
