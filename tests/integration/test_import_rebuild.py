"""Projections against their ledgers: what agrees says so, what was tampered with is found and repaired."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from cdp.collect.selectors import sources_forget
from cdp.collect.services import inbox_drain
from cdp.consent.models import ConsentState
from cdp.core.time import utc_now
from cdp.profiles.models import Profile
from tests.integration.collect_calls import post, source_make, track_make

pytestmark = pytest.mark.django_db


def rebuild(name: str, *, check: bool) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("rebuild", name, check=check, stdout=out)
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue()
    return 0, out.getvalue()


@pytest.fixture(autouse=True)
def people(client: Client) -> None:
    sources_forget()
    source_make()
    stamp = {"consent": {"categoryPreferences": {"advertising": True}}}
    calls = [
        track_make(type="identify", messageId=str(i), userId=f"u-{i}", traits={"plan": "gold"}, context=stamp)
        for i in range(5)
    ]
    post(client, {"batch": calls})
    inbox_drain(100, utc_now())


def test_untouched_projections_agree() -> None:
    code, out = rebuild("all", check=True)
    assert code == 0
    assert "traits: 0 entries of 5 people differ" in out
    assert "consents: 0 entries of 5 people differ" in out


def test_drift_is_found_left_alone_by_a_check_and_repaired_without() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE cdp_profile SET traits = '{"plan": "none"}' WHERE profile_no IN (SELECT min(profile_no) FROM cdp_profile)"""
        )
        cursor.execute(
            "UPDATE cdp_consentstate SET state = 'denied' WHERE profile_no IN (SELECT min(profile_no) FROM cdp_profile)"
        )
    for name in ("traits", "consents"):
        assert rebuild(name, check=True)[0] == 1
        assert rebuild(name, check=True)[0] == 1
        assert "1 entries" in rebuild(name, check=False)[1]
        assert rebuild(name, check=True)[0] == 0
    assert {str(p.traits) for p in Profile.objects.all()} == {"{'plan': 'gold'}"}
    assert set(ConsentState.objects.values_list("state", flat=True)) == {"granted"}
