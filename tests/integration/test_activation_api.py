"""Audiences, connections and syncs over REST; the command; the demo's seeds; the wake-ups."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from cdp.access.services import api_key_create
from cdp.core.time import utc_now
from segments.activation import tasks
from segments.activation.models import AudienceTarget, Connection, RemovalReceipt, Sync
from segments.activation.services import sandbox_connections_ensure, targets_due
from tests.activation_world import Stage, consent_withdraw, members_set, stage_make
from tests.sandbox_stage import SandboxTalk, sandbox_thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxTalk]:
    with sandbox_thread(tmp_path / "sandbox") as talk:
        yield talk


@pytest.fixture
def stage(sandbox: SandboxTalk) -> Stage:
    return stage_make(sandbox, "meta", 10)


class Api:
    """A client with a key."""

    def __init__(self, *scopes: str) -> None:
        _, self.key = api_key_create("test", scopes, actor="test")
        self.client = Client()

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {self.key}"})

    def post(self, path: str, body: object = None) -> Any:
        return self.client.post(
            f"/api/v1/{path}",
            data=body or {},
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key}"},
        )


@pytest.fixture
def api() -> Api:
    return Api("audiences:read", "audiences:write")


CONNECTION = {
    "key": "shop_meta",
    "title": "Shop",
    "destination": "meta_custom_audiences",
    "settings": {"ad_account_id": "1234"},
    "secrets": {"access_token": "very-secret-token"},
}


def test_scopes(stage: Stage) -> None:
    reader = Api("audiences:read")
    assert reader.get("audiences").status_code == 200
    for path in ("audiences", "connections", "audiences/loyal/sync", "connections/meta_test/resume"):
        assert reader.post(path).status_code == 403
    stranger = Api("segments:read")
    for path in ("audiences", "connections", "syncs", "syncs/1"):
        assert stranger.get(path).status_code == 403
    assert Client().get("/api/v1/audiences").status_code == 401


def test_secrets_go_in_and_never_come_out(api: Api) -> None:
    made = api.post("connections", CONNECTION)
    assert made.status_code == 201
    assert made.json()["has_secrets"] is True
    assert "very-secret-token" not in made.content.decode() + api.get("connections").content.decode()
    kept = bytes(Connection.objects.get().secrets_encrypted or b"")
    again = api.post("connections", {k: v for k, v in CONNECTION.items() if k != "secrets"} | {"title": "Shop EU"})
    assert (again.status_code, again.json()["title"]) == (200, "Shop EU")
    assert bytes(Connection.objects.get().secrets_encrypted or b"") == kept


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"destination": "myspace"}, "destination"),
        ({"settings": {}}, "settings.ad_account_id"),
        ({"settings": {"ad_account_id": "act_1"}}, "settings.ad_account_id"),
        ({"settings": {"ad_account_id": "1234", "colour": "red"}}, "settings.colour"),
        ({"secrets": {}}, "secrets"),
        ({"secrets": {"pin": "x"}}, "secrets.pin"),
        ({"base_url": "http://graph.facebook.com"}, "base_url"),
        ({"base_url": "https://127.0.0.1/"}, "base_url"),
        ({"base_url": "https://169.254.169.254/latest"}, "base_url"),
        ({"base_url": "https://user:pw@graph.facebook.com"}, "base_url"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_connection_names_the_field(api: Api, change: dict[str, Any], field: str) -> None:
    answer = api.post("connections", CONNECTION | change)
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert not Connection.objects.exists()
    assert "very-secret-token" not in answer.content.decode()


def test_audiences(stage: Stage, api: Api) -> None:
    stage.sync()
    found = api.get("audiences").json()["results"]
    assert [a["key"] for a in found] == ["loyal"]
    assert found[0]["targets"][0]["on_list"] == 10
    body = {
        "key": "loyal_2",
        "title": "Loyal 2",
        "segment": "loyal",
        "purposes": ["advertising"],
        "targets": [{"connection": "meta_test"}],
    }
    assert api.post("audiences", body).status_code == 201
    assert api.post("audiences", body | {"holdout_share": 0.2}).status_code == 200
    page = api.get("audiences?limit=1").json()
    assert page["next"] == "loyal"
    assert [a["key"] for a in api.get("audiences?limit=1&after=loyal").json()["results"]] == ["loyal_2"]
    for change, field in (
        ({"segment": "nobody"}, "segment"),
        ({"purposes": ["world_domination"]}, "purposes"),
        ({"targets": [{"connection": "nowhere"}]}, "connection"),
        ({"holdout_share": 2}, "holdout_share"),
    ):
        answer = api.post("audiences", body | {"key": "other"} | change)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert not AudienceTarget.objects.filter(audience__key="other").exists()


def test_syncs(stage: Stage, api: Api) -> None:
    stage.sync()
    consent_withdraw(3)
    stage.drain()
    runs = api.get("syncs").json()["results"]
    assert [(r["lane"], r["state"], r["accepted"]) for r in runs] == [("opt_out", "sent", 1), ("regular", "sent", 10)]
    detail = api.get(f"syncs/{runs[1]['sync_no']}").json()
    assert detail["outcomes"] == [{"outcome": "accepted", "code": "added", "count": 10}]
    assert detail["reach"]["members"] == 10
    assert len(api.get("syncs?lane=opt_out").json()["results"]) == 1
    assert api.get("syncs?audience=nobody").json()["results"] == []
    assert api.get("syncs?limit=1").json()["next"] == str(runs[0]["sync_no"])
    assert api.get("syncs/999").status_code == 404
    assert api.get("syncs?colour=red").status_code == 400


def test_sync_now_wakes_the_lists(stage: Stage, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[int] = []
    monkeypatch.setattr(tasks.target_turn, "delay", woken.append)
    answer = api.post("audiences/loyal/sync")
    assert (answer.status_code, answer.json()) == (202, {"lists": 1})
    assert woken == [stage.target.pk]
    assert api.post("audiences/nobody/sync").status_code == 404


def test_the_tick_wakes_what_has_something_to_do(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[int] = []
    monkeypatch.setattr(tasks.target_turn, "delay", woken.append)
    tasks.audiences_sync_due()
    assert woken == [stage.target.pk]
    tasks.target_turn(stage.target.pk)
    assert stage.is_equal(stage.people)
    assert targets_due(utc_now()) == []
    members_set(stage.segment, stage.people[1:])
    tasks.target_turn(stage.target.pk)
    assert stage.is_equal(stage.people), "not due yet, so nothing was planned"
    consent_withdraw(1)
    tasks.removals_send()
    assert stage.is_equal(stage.people[1:])
    assert RemovalReceipt.objects.get().confirmed_at is not None


def test_the_command_prints_a_table_and_sends_nothing_the_second_time(stage: Stage) -> None:
    out = StringIO()
    call_command("sync_audiences", "--wait", stdout=out)
    head, line = out.getvalue().splitlines()
    assert "no consent" in head
    assert line.split() == ["loyal", "→", "meta_test", "10", "0", "0", "0", "0", "0", "0", "10", "sent"]
    consent_withdraw(2)
    out = StringIO()
    call_command("sync_audiences", "--audience", "loyal", "--wait", stdout=out)
    assert out.getvalue().splitlines()[1].split()[3:] == ["0", "1", "0", "0", "1", "0", "0", "9", "no_change"]
    with pytest.raises(CommandError, match="No audience"):
        call_command("sync_audiences", "--audience", "nobody")


def test_the_command_says_when_a_person_must_act(stage: Stage) -> None:
    stage.sandbox.fault("meta", "auth")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("sync_audiences", stdout=out)
    assert "paused" in out.getvalue()


def test_the_demo_accounts_are_made_once_and_follow_the_sandbox(sandbox: SandboxTalk) -> None:
    from segments.definition.models import Segment

    for key in ("high_value_at_risk", "champions", "lapsed"):
        Segment.objects.create(key=key, title=key)
    assert len(sandbox_connections_ensure(sandbox.base_url)) == 4
    assert sandbox_connections_ensure(sandbox.base_url) == []
    assert set(Connection.objects.values_list("key", flat=True)) == {"google_sandbox", "meta_sandbox"}
    sandbox_connections_ensure("http://127.0.0.1:9")
    assert {c.base_url for c in Connection.objects.all()} == {"http://127.0.0.1:9/google", "http://127.0.0.1:9/meta"}
    assert Sync.objects.count() == 0
