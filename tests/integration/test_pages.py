"""The admin's pages without a browser: who may open them, what they say when things go wrong, how many statements they need."""

import datetime as dt
import json
import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse

from cdp.access.models import ApiKey, AuditEntry, Heartbeat
from cdp.access.services import heartbeat_record
from cdp.collect.models import Reject, Source
from cdp.consent.services import destination_purposes_map
from cdp.core.time import utc_now
from cdp.profiles.models import Profile
from cdp.screen.remember import remembered_forget
from segments import page_urls
from segments.activation.models import Connection, Sync
from segments.activation.services import audience_target_save, connection_save
from segments.audiences.addressing import audience_save
from segments.audiences.models import Audience
from segments.computed_traits.models import ModelRun
from segments.definition.models import Segment
from segments.definition.services import segment_save
from tests.integration.audience_people import FRENCH, rule
from tests.integration.people import consent, profile_of, resolve, say

pytestmark = pytest.mark.django_db
ADDRESS = "e1@example.com"


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    remembered_forget()
    yield
    remembered_forget()


@pytest.fixture
def staff(db: None) -> Client:
    """Somebody who may everything, logged in."""
    client = Client()
    client.force_login(User.objects.create_superuser("mira", "", "x"))
    return client


def reader(*permissions: str) -> Client:
    """Staff with these permissions only."""
    user = User.objects.create_user(f"reader-{User.objects.count()}", is_staff=True)
    wanted = [name.split(".") for name in permissions]
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label=app, codename=code).get() for app, code in wanted
    )
    client = Client()
    client.force_login(user)
    return client


def person_id(name: str) -> str:
    return str(Profile.objects.get(profile_no=profile_of(name)).profile_id)


def segment_make(key: str = "french", **values: object) -> Segment:
    version = segment_save(key, key.capitalize(), rule(FRENCH), None, "", now=utc_now())
    Segment.objects.filter(key=key).update(**values)
    return Segment.objects.get(pk=version.segment_id)


def target_make() -> int:
    segment_make()
    destination_purposes_map("meta_custom_audiences", ["advertising"], "test")
    connection_save(
        "meta",
        "Meta",
        "meta_custom_audiences",
        base_url="http://127.0.0.1:1/meta",
        settings={"ad_account_id": "1234567890"},
        secrets={"access_token": "t-o-k-e-n"},
        is_sandbox=True,
        actor="test",
    )
    audience_save("french", "French", "french", ["advertising"], holdout_share=0.1, actor="test")
    return int(audience_target_save("french", "meta", actor="test").target_no)


def without_arguments() -> list[str]:
    """Names of the pages that a GET opens without an id."""
    actions = {"live", "segment_preview", "run_again"}
    return [
        str(p.name)
        for p in page_urls.urlpatterns
        if isinstance(p, URLPattern) and "<" not in str(p.pattern) and p.name not in actions
    ]


# --- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", page_urls.urlpatterns, ids=lambda p: p.name)
def test_nobody_gets_in_without_a_log_in(db: None, pattern: URLPattern) -> None:
    values = {
        "profile_id": "01a209f9-98f4-75d5-a8d0-8b027efff58f",
        "key": "x",
        "slug": "x",
        "prefix": "x",
    }
    needed = pattern.pattern.converters
    path = reverse(f"page:{pattern.name}", kwargs={name: values.get(name, 1) for name in needed})
    before = AuditEntry.objects.count()
    for method in ("get", "post"):
        answer = getattr(Client(), method)(path)
        if answer.status_code != 405:
            assert answer.status_code == 302
            assert answer["Location"].startswith("/admin/login/?next=")
    assert AuditEntry.objects.count() == before


def test_staff_open_what_their_permissions_name_and_nothing_else() -> None:
    client = reader("cdp.view_profile")
    assert client.get("/admin/people/").status_code == 200
    for path in ("/admin/segments/", "/admin/consent/", "/admin/settings/", "/admin/destinations/"):
        assert client.get(path).status_code == 403, path
    menu = client.get("/admin/people/").content.decode()
    assert "People</span>" in menu
    assert "Destinations" not in menu


def test_who_may_only_look_cannot_act() -> None:
    resolve("e1 u1")
    path = f"/admin/people/{person_id('e1')}/"
    client = reader("cdp.view_profile", "segments.view_segment")
    assert ADDRESS not in client.post(path).content.decode()
    assert not AuditEntry.objects.filter(action="address_shown").exists()
    assert "Show address" not in client.get(path).content.decode()
    segment_make()
    assert client.post("/admin/segments/french/archive/").status_code == 403
    assert Segment.objects.get().state != "archived"


# --- nothing there yet ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", without_arguments())
def test_every_page_opens_on_a_fresh_installation(staff: Client, name: str) -> None:
    answer = staff.get(reverse(f"page:{name}"))
    assert answer.status_code == 200
    assert "No worker has run yet." in answer.content.decode()


def test_unknown_things_are_404(staff: Client) -> None:
    for path in (
        "people/01a209f9-98f4-75d5-a8d0-8b027efff58f/",
        "segments/none/",
        "audiences/9/",
        "runs/9/",
        "models/runs/9/",
    ):
        assert staff.get(f"/admin/{path}").status_code == 404, path


# --- the frame ----------------------------------------------------------------------------------------------------------


def test_a_dead_worker_is_told_on_every_page_with_what_waits(staff: Client) -> None:
    Heartbeat.objects.create(process="worker", at=utc_now() - dt.timedelta(seconds=61))
    body = staff.get("/admin/models/").content.decode()
    assert "No worker is running since" in body
    assert "0 jobs wait" in body
    assert "./run serve" in body
    heartbeat_record("worker", utc_now())
    body = staff.get("/admin/models/").content.decode()
    assert "No worker" not in body
    assert re.search(r"Live · data up to \d\d:\d\d:\d\d", body)
    assert staff.get("/admin/live/").json()["is_live"] is True


def test_pages_forbid_scripts_that_are_not_ours(staff: Client) -> None:
    policy = staff.get("/admin/").headers["Content-Security-Policy"]
    script = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in script
    assert "'self'" in script
    assert "frame-ancestors 'none'" in policy


# --- people ---------------------------------------------------------------------------------------------------------------


def test_a_person_is_found_by_address_without_it_standing_anywhere(staff: Client) -> None:
    resolve("e1 u1")
    answer = staff.post("/admin/people/", {"type": "email", "value": " E1@Example.com "})
    assert answer["Location"] == f"/admin/people/{person_id('e1')}/"
    entry = AuditEntry.objects.get(action="profile_looked_up")
    assert "@" not in json.dumps([entry.subject_id, entry.detail])
    page = staff.get(answer["Location"]).content.decode()
    assert ADDRESS not in page
    assert "e•••@e•••.com" in page


def test_who_is_not_found_is_told_and_the_value_is_not_repeated(staff: Client) -> None:
    answer = staff.post("/admin/people/", {"type": "email", "value": "nobody@example.com"})
    assert answer.status_code == 404
    assert "Nobody holds this value." in answer.content.decode()
    assert "nobody@example.com" not in answer.content.decode()
    answer = staff.post("/admin/people/", {"type": "email", "value": "no address"})
    assert 'role="alert"' in answer.content.decode()


def test_showing_an_address_is_recorded(staff: Client) -> None:
    resolve("e1 u1")
    say("e1", first_name="Anna", country="FR")
    path = f"/admin/people/{person_id('e1')}/"
    masked = staff.get(path).content.decode()
    assert "Anna" not in masked
    assert "FR" in masked
    shown = staff.post(path).content.decode()
    assert ADDRESS in shown
    assert "Anna" in shown
    assert AuditEntry.objects.get(action="address_shown").actor == "mira"


def test_a_merged_person_leads_to_the_survivor_and_an_erased_one_is_gone(staff: Client) -> None:
    resolve("e1 u1", "e2 u2")
    one, other = person_id("e1"), person_id("e2")
    staff.post(f"/admin/people/{one}/merge/", {"other": other, "reason": "same person"})
    assert staff.get(f"/admin/people/{other}/")["Location"] == f"/admin/people/{one}/"
    assert "Part again" in staff.get("/admin/identity/").content.decode()
    staff.post(f"/admin/people/{one}/erase/", {})
    assert staff.get(f"/admin/people/{one}/").status_code == 200
    staff.post(f"/admin/people/{one}/erase/", {"sure": "yes"})
    assert staff.get(f"/admin/people/{one}/").status_code == 404


# --- segments -------------------------------------------------------------------------------------------------------------


def test_a_broken_rule_is_named_by_its_place_and_nothing_is_saved(staff: Client) -> None:
    form = {"title": "Broken", "definition": json.dumps(rule(FRENCH | {"trait": "contry"}))}
    answer = staff.post("/admin/segments/new/", form)
    assert answer.status_code == 400
    body = answer.content.decode()
    assert "where.conditions[0]" in body
    assert "contry" in body
    answer = staff.post("/admin/segments/new/", form | {"definition": "{\n  nonsense"})
    assert "Line 2, column 3" in answer.content.decode()
    assert not Segment.objects.exists()


def test_saving_over_a_newer_version_keeps_the_draft(staff: Client) -> None:
    segment_make()
    draft = json.dumps(rule(FRENCH | {"value": "DE"}))
    segment_save("french", "French", rule(FRENCH | {"value": "IT"}), None, "", now=utc_now())
    answer = staff.post("/admin/segments/french/edit/", {"title": "F", "definition": draft, "expected_version": "1"})
    body = answer.content.decode()
    assert answer.status_code == 400
    assert "saved version 2" in body
    assert "&quot;DE&quot;" in body
    assert Segment.objects.get().current_version.version == 2  # type: ignore[union-attr]


def test_a_failed_count_shows_the_last_good_number_and_the_cause(staff: Client) -> None:
    segment_make(state="failed", error="The count was stopped after 30 s.", size=1_404, evaluated_version=1,
                 evaluated_at=utc_now() - dt.timedelta(hours=1))  # fmt: skip
    body = staff.get("/admin/segments/french/").content.decode()
    assert "The last count failed." in body
    assert "stopped after 30 s" in body
    assert "1,404" in body
    assert "last good count" in body


def test_an_old_count_says_that_it_is_old(staff: Client) -> None:
    segment_make(state="ready", size=7, evaluated_version=1, evaluated_at=utc_now() - dt.timedelta(hours=3))
    assert "older than promised" in staff.get("/admin/segments/french/").content.decode()


def test_a_used_segment_is_not_archived(staff: Client) -> None:
    target_make()
    body = staff.post("/admin/segments/french/archive/", follow=True).content.decode()
    assert "Not archived" in body
    assert "audience “French”" in body
    assert Segment.objects.get().state != "archived"


# --- audiences ------------------------------------------------------------------------------------------------------------


def test_a_stopped_run_waits_for_somebody_else_than_its_author(staff: Client) -> None:
    target_no = target_make()
    me = User.objects.get(username="mira")
    segment_save("french", "French", rule(FRENCH | {"value": "DE"}), me, "", now=utc_now())
    sync = Sync.objects.create(
        target_id=target_no, state="stopped", segment_version=2, to_add=106, to_remove=537, on_list_before=1_412
    )
    body = staff.get(f"/admin/audiences/{target_no}/").content.decode()
    assert "would remove 38" in body
    assert "Approve: remove 537, add 106" in body
    assert "somebody else approves it" in body
    answer = staff.post(f"/admin/runs/{sync.sync_no}/approve/", {"expected_removals": "537"}, follow=True)
    assert "somebody else has to approve" in answer.content.decode()
    assert Sync.objects.get().state == "stopped"
    staff.post(f"/admin/runs/{sync.sync_no}/cancel/")
    assert Sync.objects.get().state == "cancelled"


def test_a_dry_run_counts_and_writes_nothing(staff: Client) -> None:
    resolve("e1 u1")
    say("e1", country="FR")
    consent("e1", "granted")
    target_no = target_make()
    staff.post("/admin/segments/french/refresh/")
    Audience.objects.update(holdout_share=0)
    body = staff.post(f"/admin/audiences/{target_no}/dry-run/").content.decode()
    assert "Nothing was sent" in body
    assert re.search(r"Would add</dt><dd><b>\+1</b>", body)
    assert not Sync.objects.exists()


def test_an_account_takes_secrets_and_never_shows_them(staff: Client) -> None:
    target_make()
    body = staff.get("/admin/destinations/accounts/meta/").content.decode()
    assert "t-o-k-e-n" not in body
    before = bytes(Connection.objects.get().secrets_encrypted or b"")
    form = {"title": "Meta EU", "settings.ad_account_id": "1234567890", "base_url": "http://127.0.0.1:1/meta"}
    answer = staff.post("/admin/destinations/accounts/meta/", form | {"is_sandbox": "yes"})
    assert answer.status_code == 302
    assert bytes(Connection.objects.get().secrets_encrypted or b"") == before
    answer = staff.post("/admin/destinations/accounts/meta/", form)
    assert answer.status_code == 400
    assert "Use https" in answer.content.decode()


# --- set-up ---------------------------------------------------------------------------------------------------------------


def test_an_api_key_is_shown_once(staff: Client) -> None:
    body = staff.post("/admin/settings/keys/new/", {"name": "shop", "scopes": ["profiles:read"], "days": "90"}).content
    (text,) = set(re.findall(r"cdp_[0-9a-f]{12}_[\w-]{43}", body.decode()))
    assert text not in staff.get("/admin/settings/").content.decode()
    assert ApiKey.objects.get().expires_at is not None
    staff.post(f"/admin/settings/keys/{ApiKey.objects.get().prefix}/revoke/")
    assert ApiKey.objects.get().revoked_at is not None
    assert staff.post("/admin/settings/keys/new/", {"name": "", "scopes": []}).status_code == 400


def test_a_source_is_made_with_a_write_key(staff: Client) -> None:
    bad = staff.post("/admin/sources/new/", {"title": "Shop", "kind": "web", "allowed_origins": "shop.example"})
    assert bad.status_code == 400
    assert "has no https://" in bad.content.decode()
    answer = staff.post(
        "/admin/sources/new/", {"title": "Shop", "kind": "web", "allowed_origins": "https://shop.example/"}
    )
    source = Source.objects.get()
    assert source.allowed_origins == "https://shop.example"
    assert source.write_key in staff.get(answer["Location"]).content.decode()


def test_a_refused_row_is_shown_on_demand_and_recorded(staff: Client) -> None:
    from cdp.collect.rejects import NewReject, rejects_record
    from cdp.core.errors import Problem

    source = Source.objects.create(key="s", title="S", kind="web", write_key="w")
    problem = Problem("email", "format", "email is no address.")
    rejects_record([NewReject(source.source_no, problem, sample=b'{"email": "broken@"}')], utc_now())
    reject_no = Reject.objects.get().reject_no
    assert "broken@" not in staff.get("/admin/sources/refused/").content.decode()
    assert "broken@" in staff.post(f"/admin/sources/refused/{reject_no}/").content.decode()
    assert AuditEntry.objects.filter(action="reject_sample_shown").count() == 1


# --- cost -----------------------------------------------------------------------------------------------------------------


def statements(client: Client, path: str) -> int:
    remembered_forget()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


@pytest.mark.parametrize("path", ["/admin/", "/admin/segments/", "/admin/people/", "/admin/consent/", "/admin/models/"])
def test_more_rows_cost_no_more_statements(staff: Client, path: str) -> None:
    def grow(start: int) -> None:
        for i in range(start, start + 3):
            resolve(f"e{i} u{i}")
            consent(f"e{i}", "granted")
            segment_make(f"s{i}")
            ModelRun.objects.create(group="rfm", state="refused", as_of=utc_now())

    grow(1)
    statements(staff, path)  # fills what is kept for the life of the process
    few = statements(staff, path)
    grow(10)
    assert statements(staff, path) == few
    assert few <= 45
