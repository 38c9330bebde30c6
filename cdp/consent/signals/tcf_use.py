"""May this TC string be relied on today, and may this vendor process for these purposes by consent?

Sources: TCF consent string specification v2.2 (policy version, day-level times, IsServiceSpecific, publisher restrictions) and
TCF 2.3 (disclosed vendors). Where the specification leaves room, the answer is no.
"""

import calendar
import datetime as dt
from collections.abc import Collection

from cdp.consent.signals.intervals import intervals_contain
from cdp.consent.signals.ranges import Restriction
from cdp.consent.signals.tcf import TcString

LIFETIME_MONTHS = 13
LAST_DAY_OF_OLD_POLICIES = dt.date(2023, 9, 30)
FIRST_DAY_OF_DISCLOSURE = dt.date(2026, 3, 1)
OLDEST_POLICY, POLICY_WITH_DISCLOSURE, NEWEST_POLICY = 4, 5, 5
REQUIRE_CONSENT = 1
# Vendor and purposes of the questions that are always answered: Google (755) by either reading of its mapping, and one other.
QUESTIONS = ((755, (1, 3, 4)), (755, (1, 7)), (21, (1, 3, 4)))


def tcf_unusable_reasons(tc: TcString, as_of: dt.datetime) -> list[str]:
    """Why the string counts as no consent at ``as_of`` (aware UTC), in alphabetical order; empty when it may be used."""
    made, today = min(tc.created, tc.last_updated).date(), as_of.date()
    latest = max(tc.created, tc.last_updated).date()
    needs_disclosure = tc.tcf_policy_version >= POLICY_WITH_DISCLOSURE or latest >= FIRST_DAY_OF_DISCLOSURE
    found = {
        "created_in_the_future": latest > today,
        "created_differs_from_last_updated": made != latest,
        "disclosed_vendors_missing": needs_disclosure and tc.disclosed_vendors is None,
        "not_service_specific": not tc.is_service_specific,
        "older_than_13_months": months_later(made, LIFETIME_MONTHS) < today,
        "policy_version_below_4": tc.tcf_policy_version < OLDEST_POLICY and latest > LAST_DAY_OF_OLD_POLICIES,
        "policy_version_unknown": tc.tcf_policy_version > NEWEST_POLICY,
    }
    return sorted(reason for reason, holds in found.items() if holds)


def tcf_permits_by_consent(tc: TcString, vendor: int, purposes: Collection[int]) -> bool:
    """Whether ``vendor`` may process for every one of ``purposes`` by consent. The caller has asked whether the string is usable.

    Purpose 1 is never permitted where it was not shown (PurposeOneTreatment): whose law then holds is not ours to guess.
    """
    if not purposes or not intervals_contain(tc.vendors_consent, vendor):
        return False
    if tc.disclosed_vendors is not None and not intervals_contain(tc.disclosed_vendors, vendor):
        return False
    if tc.purpose_one_treatment and 1 in purposes:
        return False
    return set(purposes) <= set(tc.purposes_consent) and not any(
        _forbids_consent(restriction, vendor, purposes) for restriction in tc.publisher_restrictions
    )


def _forbids_consent(restriction: Restriction, vendor: int, purposes: Collection[int]) -> bool:
    """Any type but "require consent" does."""
    return (
        restriction.type != REQUIRE_CONSENT
        and restriction.purpose in purposes
        and intervals_contain(restriction.vendors, vendor)
    )


def months_later(day: dt.date, months: int) -> dt.date:
    """The same day of a later month, or the last one of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def permits_view(tc: TcString, is_usable: bool) -> dict[str, bool]:
    """The fixed questions by name; all no for a string that may not be used."""
    return {
        f"vendor_{vendor}_purposes_{'_'.join(map(str, purposes))}": is_usable
        and tcf_permits_by_consent(tc, vendor, purposes)
        for vendor, purposes in QUESTIONS
    }
