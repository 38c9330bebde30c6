"""Health, readiness, metrics, documents, and addresses that do not exist."""

import datetime as dt
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from cdp.access import health, pages
from cdp.access.health import Check, readiness, readiness_forget
from cdp.access.metrics import Gauge, exposition
from cdp.access.models import Heartbeat
from cdp.access.services import api_key_create, heartbeat_record
from cdp.access.tasks import heartbeat
from cdp.core.time import utc_now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_answers() -> None:
    readiness_forget()


@pytest.fixture
def broker_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "check_broker", lambda: Check("broker", True, "reachable"))


def test_healthz_asks_nobody(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_probes_need_no_host_name(client: Client, broker_there: None, settings: Any) -> None:
    """A container's health check calls 127.0.0.1 although the service answers to its public names only."""
    settings.ALLOWED_HOSTS = ["audience.example"]
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path, headers={"host": "127.0.0.1:8000"}).status_code in {200, 503}
    assert client.get("/admin/login/", headers={"host": "127.0.0.1:8000"}).status_code == 400


def test_ready_when_everything_is_there(client: Client, broker_there: None) -> None:
    heartbeat_record("beat", utc_now())
    heartbeat_record("worker", utc_now())
    response = client.get("/readyz")
    assert response.status_code == 200
    assert {name: check["ok"] for name, check in response.json()["checks"].items()} == {
        "database": True,
        "migrations": True,
        "broker": True,
        "beat": True,
        "worker": True,
    }


def test_not_ready_names_what_is_missing(client: Client, broker_there: None) -> None:
    heartbeat_record("beat", utc_now() - dt.timedelta(minutes=5))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["failing"] == ["beat", "worker"]
    assert response.json()["checks"]["beat"]["detail"] == "last seen 300 s ago"
    assert response.json()["checks"]["worker"]["detail"] == "never seen"


def test_no_database_is_named_and_no_500(client: Client, broker_there: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(health, "check_database", fail)
    monkeypatch.setattr(health, "heartbeat_ages", fail)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["failing"] == ["database", "beat", "worker"]


def test_an_unreachable_broker_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.current_app.conf, "broker_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(health.current_app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    checks = {check.name: check.ok for check in readiness(utc_now())}
    assert checks["broker"] is False


def test_heartbeat_of_worker_and_beat() -> None:
    heartbeat()
    assert list(Heartbeat.objects.values_list("process", flat=True)) == ["worker"]


def test_metrics_for_this_machine_and_for_keys_only(client: Client) -> None:
    assert client.get("/metrics").status_code == 200
    for request in (
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": ""},
        {"headers": {"X-Forwarded-For": "192.0.2.7"}},
    ):
        assert client.get("/metrics", **request).status_code == 401  # type: ignore[arg-type]
    _, text = api_key_create("prometheus", ["profiles:read"], actor="system")
    opened = client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers={"Authorization": f"Bearer {text}"})
    assert opened.status_code == 200


def test_metrics_tell_routes_and_queues(client: Client) -> None:
    client.get("/healthz")
    text = client.get("/metrics").content.decode()
    assert 'cdp_http_requests_total{method="GET",route="healthz",status="200"}' in text
    assert "cdp_database_up 1.0" in text
    assert "cdp_inbox_calls 0.0" in text


def test_metrics_without_a_database_still_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(pages.metrics, "gauges_registered", fail)
    response = client.get("/metrics")
    assert response.status_code == 200
    assert b"cdp_database_up 0.0" in response.content


def test_gauges_with_labels() -> None:
    gauge = Gauge("cdp_test_open", "A test.", ("topic",), "")
    assert b'cdp_test_open{topic="a"} 3.0' in exposition([(gauge, [("a", 3), ("b", None)])])


@pytest.mark.parametrize("path", ["/api/nothing", "/v1/nothing", "/api/v1/nothing/", "/beacon/x"])
def test_unknown_addresses_of_the_api_are_json(client: Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_other_unknown_addresses_are_pages(client: Client) -> None:
    assert client.get("/nothing")["Content-Type"].startswith("text/html")


def test_a_fault_of_ours_is_json_without_details(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("ana@example.com")

    client.raise_request_exception = False
    monkeypatch.setattr(pages, "readiness", fail)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (500, "bug")
    assert b"ana@" not in response.content


def test_request_id_is_given_taken_over_and_never_injected(client: Client) -> None:
    assert len(client.get("/healthz")["X-Request-ID"]) == 36
    assert client.get("/healthz", headers={"X-Request-ID": "trace-12345"})["X-Request-ID"] == "trace-12345"
    assert client.get("/healthz", headers={"X-Request-ID": "a b\tc"})["X-Request-ID"] != "a b\tc"


def test_schema_and_docs_without_inline_script(client: Client) -> None:
    schema = client.get("/api/schema", {"format": "json"})
    assert schema.status_code == 200
    assert schema.json()["components"]["schemas"]["Error"]["required"] == ["code", "message", "errors"]
    docs = client.get("/api/docs").content.decode()
    assert "<script>" not in docs
    assert "http://" not in docs
    assert "https://" not in docs
