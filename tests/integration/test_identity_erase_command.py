"""``manage.py erase``: people go, files included; what cannot be read is named without being repeated."""

import io

import pytest
from django.core.management import CommandError, call_command

from cdp.identity.models import Identifier
from cdp.profiles.models import Profile, ProfileSnapshot
from cdp.profiles.snapshot import profiles_snapshot_refresh
from tests.integration.people import NOW, people, profile_of, resolve, say

pytestmark = pytest.mark.django_db


def test_by_public_id_and_by_addresses_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve("u1 e1", "u2 e2", "u3")
    say("u1", first_name="Ann")
    profiles_snapshot_refresh(NOW)
    profile_id = str(Profile.objects.get(pk=profile_of("u1")).profile_id)
    monkeypatch.setattr("sys.stdin", io.StringIO("E2@example.com\n\nnobody@example.com\n"))
    out = io.StringIO()
    call_command("erase", profile_id, type="email", actor="officer", stdout=out)
    assert out.getvalue() == "erased 2 people; 1 were not known, 0 items could not be read\n"
    assert people() == {frozenset({"u3"})}
    assert ProfileSnapshot.objects.get(removed_at=None).rows == 1


def test_what_cannot_be_read_is_named_by_position(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve("u1 e1")
    monkeypatch.setattr("sys.stdin", io.StringIO("no-address\n"))
    err = io.StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("erase", type="email", stdout=io.StringIO(), stderr=err)
    assert "item 1: email is not an email address" in err.getvalue() and "no-address" not in err.getvalue()
    with pytest.raises(CommandError, match="Nobody is named"):
        call_command("erase")
    assert Identifier.objects.count() == 2
