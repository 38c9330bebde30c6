"""Profiles and consents over REST."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.access.selectors import key_cache_clear
from cdp.access.services import api_key_create
from cdp.consent.models import ConsentRecord
from cdp.events.records import NewEvent
from cdp.events.services import events_append, server_cursor
from cdp.identity import documents, selectors
from cdp.identity.models import Identifier
from cdp.identity.services import profile_erase, profiles_merge
from cdp.profiles.models import ComputedTraits, Profile, ProfileSnapshot
from segments.audiences.models import Membership
from segments.definition.models import Segment
from tests.integration.people import DAY, HOUR, NOW, consent, identifier_of, profile_of, resolve, say

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_caches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    key_cache_clear()
    monkeypatch.setattr(selectors, "_types", (-1e9, {}))
    yield


def key(*scopes: str) -> str:
    return api_key_create("test", scopes or ("profiles:read", "consents:write"), actor="test")[1]


def get(client: Client, path: str, *, auth: str | None = None) -> Any:
    return client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {auth or key()}"})


def post(client: Client, path: str, body: Any, *, auth: str | None = None) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return client.post(
        f"/api/v1/{path}", text, content_type="application/json", headers={"Authorization": f"Bearer {auth or key()}"}
    )


def error(response: Any) -> tuple[int, str, str]:
    body = response.json()
    assert set(body) == {"code", "message", "errors"}
    return response.status_code, body["code"], (body["errors"] or [{"field": ""}])[0]["field"]


def ann() -> Profile:
    resolve("u1 e1 a1")
    say("u1", first_name="Ann", country="FR")
    consent("u1", "granted")
    profile = Profile.objects.get(pk=profile_of("u1"))
    ComputedTraits.objects.create(profile_no=profile.pk, group="rfm", values={"r": 5}, as_of=NOW - DAY, run_no=1)
    ProfileSnapshot.objects.create(group="rfm", path="x", rows=1, as_of=NOW)
    return profile


def test_one_profile_by_any_opaque_id(client: Client) -> None:
    profile = ann()
    by_user = get(client, "profiles/user_id:u1-id")
    assert by_user.status_code == 200
    assert by_user["Cache-Control"] == "private, no-store"
    body = by_user.json()
    assert body["profile_id"] == str(profile.profile_id)
    assert (body["is_identified"], body["first_seen_at"]) == (True, "2026-11-23T12:00:00+00:00")
    assert body["traits"] == {"first_name": "Ann", "country": "FR"}
    assert body["computed_traits"] == {"rfm": {"as_of": "2026-11-23T12:00:00+00:00", "values": {"r": 5}}}
    assert set(body["consents"]) == {"advertising", "analytics", "email_marketing", "personalisation"}
    assert body["consents"]["advertising"] == {
        "state": "granted",
        "since": "2026-11-23T12:00:00+00:00",
        "expires_at": None,
        "is_conflict": False,
    }
    assert body["consents"]["analytics"]["state"] == "unknown"
    assert body["segments"] == []
    assert "identifiers" not in body
    for address in (f"profile_id:{profile.profile_id}", "anonymous_id:a1-id", f"user_id:{quote(' u1-id ')}"):
        assert get(client, f"profiles/{address}").json() == body


def test_include_chooses_parts(client: Client) -> None:
    ann()
    body = get(client, "profiles/user_id:u1-id?include=traits,identifiers").json()
    assert set(body) == {
        *("profile_id", "created_at", "first_seen_at", "last_seen_at", "is_identified"),
        *("traits", "identifiers"),
    }
    assert [(i["type"], i["value"]) for i in body["identifiers"]] == [
        ("user_id", "u1-id"),
        ("email", "e1@example.com"),
        ("anonymous_id", "a1-id"),
    ]
    assert set(get(client, "profiles/user_id:u1-id?include=").json()) == set(body) - {"traits", "identifiers"}


def test_sections_of_later_slices(client: Client) -> None:
    profile = ann()
    segment = Segment.objects.create(key="vip", title="VIP")
    for exited_at in (None, NOW):
        Membership.objects.create(
            segment_no=segment.pk, profile_no=profile.pk, entered_at=NOW - DAY, exited_at=exited_at, version=1
        )
    stay = {"key": "vip", "title": "VIP", "entered_at": "2026-11-22T12:00:00+00:00"}
    assert get(client, "profiles/user_id:u1-id").json()["segments"] == [stay]
    assert get(client, "profiles/user_id:u1-id/segments").json() == {"segments": [stay]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("profiles/email:e1@example.com", (400, "address_in_url", "type")),
        ("profiles/phone:+33612345678", (400, "address_in_url", "type")),
        ("profiles/user_id:e1@example.com", (400, "address_in_url", "type")),
        ("profiles/email:e1@example.com/events", (400, "address_in_url", "type")),
        ("profiles/user_id:nobody", (404, "not_found", "value")),
        ("profiles/profile_id:01a209dd-5ef0-7144-a794-82cb038639cd", (404, "not_found", "value")),
        ("profiles/profile_id:nonsense", (400, "uuid", "profile_id")),
        ("profiles/shoe_size:44", (400, "unknown_type", "type")),
        ("profiles/user_id:undefined", (400, "blocked", "user_id")),
        ("profiles/user_id:u1-id?include=horoscope", (400, "unknown", "include")),
        ("profiles/user_id:u1-id?inlcude=traits", (400, "unknown", "inlcude")),
        ("profiles/user_id:u1-id/events?limit=0", (400, "limit", "limit")),
        ("profiles/user_id:u1-id/events?limit=²", (400, "limit", "limit")),
        ("profiles/user_id:u1-id/events?before=x", (400, "cursor", "before")),
        ("profiles/user_id:u1-id/events?page=2", (400, "unknown", "page")),
    ],
)
def test_what_cannot_be_answered_names_the_field(client: Client, path: str, expected: tuple[int, str, str]) -> None:
    ann()
    response = get(client, path)
    assert error(response) == expected
    assert "e1@example.com" not in response.content.decode()


def test_keys_scopes_and_methods(client: Client) -> None:
    ann()
    assert error(client.get("/api/v1/profiles/user_id:u1-id"))[:2] == (401, "unauthenticated")
    assert error(get(client, "profiles/user_id:u1-id", auth=key("segments:read")))[:2] == (403, "forbidden")
    assert error(post(client, "profiles/lookup", {"lookups": []}, auth=key("consents:write")))[:2] == (403, "forbidden")
    refused = client.delete("/api/v1/profiles/user_id:u1-id", headers={"Authorization": f"Bearer {key()}"})
    assert (error(refused)[:2], refused["Allow"]) == ((405, "method"), "GET, HEAD")
    head = client.head("/api/v1/profiles/user_id:u1-id", headers={"Authorization": f"Bearer {key()}"})
    assert (head.status_code, head.content) == (200, b"")


def test_ids_with_slashes_and_other_letters(client: Client) -> None:
    from django.db import transaction

    from cdp.identity.services import Observation, identifiers_resolve

    for value in ("a/b", "é à", "x/eventss", "50%", "👩‍🚀"):
        with transaction.atomic():
            identifiers_resolve([Observation((("user_id", value),), 1, "m", NOW)], NOW)
        body = get(client, f"profiles/user_id:{quote(value, safe='/')}?include=identifiers").json()
        assert body["identifiers"][0]["value"] == value


def test_merged_and_erased_people(client: Client) -> None:
    profile = ann()
    resolve("u2")
    other = Profile.objects.get(pk=profile_of("u2"))
    profiles_merge(profile.pk, other.pk, "x", "ann", NOW)
    for address in ("user_id:u2-id", f"profile_id:{other.profile_id}"):
        assert get(client, f"profiles/{address}").json()["profile_id"] == str(profile.profile_id)
    profile_erase(profile.pk, "officer", NOW)
    for address in (
        "user_id:u1-id",
        "user_id:u2-id",
        f"profile_id:{profile.profile_id}",
        f"profile_id:{other.profile_id}",
    ):
        assert error(get(client, f"profiles/{address}"))[0] == 404


def test_events_by_pages(client: Client) -> None:
    ann()
    number, profile_no = identifier_of("a1"), profile_of("a1")
    events_append(
        [
            NewEvent(
                1, f"m{i}", "track", f"E{i}", NOW + i * HOUR, NOW + i * HOUR, number, profile_no, properties=b'{"n":1}'
            )  # type: ignore[arg-type]
            for i in range(5)
        ]
    )
    first = get(client, "profiles/user_id:u1-id/events?limit=3").json()
    assert [e["name"] for e in first["events"]] == ["E4", "E3", "E2"]
    assert first["events"][0]["properties"] == {"n": 1}
    second = get(client, f"profiles/user_id:u1-id/events?limit=3&before={first['next']}").json()
    assert ([e["name"] for e in second["events"]], second["next"]) == (["E1", "E0"], None)


def test_consents_with_evidence(client: Client) -> None:
    ann()
    consent("a1", "denied", at=NOW + HOUR, evidence={"form": "banner", "email": "x@example.com"}, notice_version="v2")
    body = get(client, "profiles/user_id:u1-id/consents").json()
    assert (body["consents"]["advertising"]["state"], body["consents"]["advertising"]["is_conflict"]) == (
        "denied",
        True,
    )
    assert [(a["action"], a["identifier_type"], a["evidence"], a["notice_version"]) for a in body["acts"]] == [
        ("denied", "anonymous_id", {"form": "banner"}, "v2"),
        ("granted", "user_id", {}, ""),
    ]


def test_lookup_answers_each_item(client: Client, django_assert_max_num_queries: Any) -> None:
    profile = ann()
    auth = key()
    asked = [
        {"type": "email", "value": " E1@example.com "},
        {"type": "email", "value": "nobody@example.com"},
        {"type": "email", "value": "no address"},
        {"type": "profile_id", "value": str(profile.profile_id)},
        {"type": "profile_id", "value": "x"},
        {"type": "user_id", "value": 7},
    ]
    post(client, "profiles/lookup", {"lookups": asked}, auth=auth)
    with django_assert_max_num_queries(10):
        response = post(client, "profiles/lookup", {"lookups": asked * 100, "include": ["traits"]}, auth=auth)
    results = response.json()["results"]
    assert len(results) == 600
    assert [r["found"] for r in results[:6]] == [True, False, False, True, False, False]
    assert results[0]["profile"]["traits"] == {"first_name": "Ann", "country": "FR"}
    assert [results[i].get("error", {}).get("code") for i in range(6)] == [None, None, "email", None, "uuid", None]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        "[]",
        {},
        {"lookups": []},
        {"lookups": [{"type": "user_id", "value": "x"}] * 1001},
        {"lookups": [{"type": "user_id"}]},
        {"lookups": [{"type": "user_id", "value": "x", "extra": 1}]},
        {"lookups": [{"type": "user_id", "value": "x"}], "includes": []},
        {"lookups": [{"type": "user_id", "value": "x"}], "include": ["horoscope"]},
    ],
)
def test_malformed_lookups(client: Client, body: Any) -> None:
    assert error(post(client, "profiles/lookup", body))[0] == 400


def decision(**overrides: Any) -> dict[str, Any]:
    return {
        "identifiers": {"user_id": "u1-id"},
        "purposes": {"advertising": "granted", "analytics": "denied"},
        "idempotency_key": "k1",
        "occurred_at": "2026-11-23T12:00:00Z",
        "method": "save",
    } | overrides


def test_a_decision_is_recorded_once(client: Client) -> None:
    auth = key()
    first = post(client, "consents", decision(), auth=auth)
    assert first.status_code == 200
    (result,) = first.json()["results"]
    assert (result["recorded"], result["consents"]["analytics"]["state"]) == (2, "denied")
    (again,) = post(client, "consents", decision(), auth=auth).json()["results"]
    assert again == result | {"recorded": 0}
    (partial,) = post(
        client, "consents", decision(idempotency_key="k2", purposes={"advertising": "withdrawn"}), auth=auth
    ).json()["results"]
    states = {purpose: now["state"] for purpose, now in partial["consents"].items()}
    assert states == {
        "advertising": "withdrawn",
        "analytics": "denied",
        "email_marketing": "unknown",
        "personalisation": "unknown",
    }
    assert get(client, "profiles/user_id:u1-id", auth=auth).json()["consents"] == partial["consents"]


def test_many_decisions_are_answered_one_by_one(client: Client) -> None:
    resolve("u9")
    profile_erase(profile_of("u9") or 0, "officer", NOW)
    body = {
        "consents": [
            decision(),
            decision(identifiers={"user_id": "undefined"}, idempotency_key="k2"),
            decision(purposes={"astrology": "granted"}, idempotency_key="k3"),
            decision(purposes={"advertising": "expired"}, idempotency_key="k4"),
            decision(extra=1),
            "nonsense",
            decision(identifiers={"user_id": "u9-id"}, idempotency_key="k5"),
            decision(purposes={"advertising": "confirmed"}, idempotency_key="k6"),
            decision(purposes={"advertising": "confirmed"}, idempotency_key="k7", evidence={"form": "double opt-in"}),
            decision(),
        ]
    }
    results = post(client, "consents", body).json()["results"]
    assert [r["recorded"] for r in results] == [2, 0, 0, 0, 0, 0, 0, 0, 1, 2]
    assert [(r["error"]["field"], r["error"]["code"]) for r in results if "error" in r] == [
        ("identifiers.user_id", "blocked"),
        ("purposes.astrology", "unknown_purpose"),
        ("purposes.advertising", "invalid_choice"),
        ("extra", "unknown"),
        ("", "invalid"),
        ("identifiers.user_id", "erased"),
        ("evidence", "proof"),
    ]
    assert ConsentRecord.objects.count() == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({"consents": []}, "consents"),
        ({"consents": {}}, "consents"),
        ({"consents": [decision()], "more": 1}, "more"),
        (decision(identifiers={}), "identifiers"),
        (decision(purposes={}), "purposes"),
        (decision(idempotency_key=""), "idempotency_key"),
        (decision(occurred_at="yesterday"), "occurred_at"),
        (decision(applies_to="everybody"), "applies_to"),
        (decision(identifiers={"email": "no address"}), "identifiers.email"),
    ],
)
def test_malformed_decisions_are_refused_and_nothing_is_written(client: Client, body: Any, field: str) -> None:
    response = post(client, "consents", body)
    assert error(response)[::2] == (400, field)
    assert ConsentRecord.objects.count() == Identifier.objects.count() == 0


def test_a_personal_decision_settles_a_conflict_and_stays_idempotent(client: Client) -> None:
    auth = key()
    resolve("u1 a1")
    consent("a1", "denied")
    asked = decision(purposes={"advertising": "granted"}, occurred_at="2026-11-24T12:00:00Z")
    (alone,) = post(client, "consents", asked, auth=auth).json()["results"]
    assert (alone["consents"]["advertising"]["state"], alone["consents"]["advertising"]["is_conflict"]) == (
        "denied",
        True,
    )
    asked |= {"idempotency_key": "k2", "applies_to": "person"}
    (settled,) = post(client, "consents", asked, auth=auth).json()["results"]
    assert settled["recorded"] == 2
    assert (settled["consents"]["advertising"]["state"], settled["consents"]["advertising"]["is_conflict"]) == (
        "granted",
        False,
    )
    resolve("u1 a2")
    (again,) = post(client, "consents", asked, auth=auth).json()["results"]
    assert again["recorded"] == 0


def test_a_profile_read_is_one_statement_and_its_sections(
    client: Client, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann()
    auth = key()
    get(client, "profiles/user_id:u1-id", auth=auth)  # fills the caches of keys and types
    opened: list[int] = []

    def counted() -> Any:
        opened.append(1)
        return server_cursor()

    monkeypatch.setattr(documents, "server_cursor", counted)
    with django_assert_num_queries(0):
        get(client, "profiles/user_id:u1-id", auth=auth)
    assert opened == [1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
words = st.sampled_from(
    ["identifiers", "purposes", "idempotency_key", "consents", "lookups", "include", "type", "value"]
)
bodies = st.dictionaries(words, json_values | st.lists(st.dictionaries(words, json_values, max_size=4), max_size=2))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.text(min_size=1, max_size=30).filter(lambda text: "\n" not in text),
    query=st.dictionaries(st.sampled_from(["include", "limit", "before", "x"]), st.text(max_size=12)),
    part=st.sampled_from(["", "/events", "/segments", "/consents", "/identifiers"]),
    body=bodies,
)
def test_whatever_is_sent_there_is_a_named_answer(
    client: Client, value: str, query: dict[str, str], part: str, body: dict[str, Any]
) -> None:
    auth = key()
    headers = {"Authorization": f"Bearer {auth}"}
    for kind in ("user_id", "profile_id", "device_id"):
        response = client.get(f"/api/v1/profiles/{kind}:{quote(value)}{part}", query, headers=headers)
        assert response.status_code in {400, 404}
        assert set(response.json()) == {"code", "message", "errors"}
    for path in ("profiles/lookup", "consents"):
        response = post(client, path, body, auth=auth)
        assert response.status_code in {200, 400}
        assert response["Content-Type"] == "application/json"
