"""Segments over REST: what is answered, what is refused and where the fault lies."""

import json
import uuid
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from cdp.access.services import api_key_create
from cdp.profiles.models import Profile
from cdp.profiles.sections import section_names
from segments.audiences.models import Membership
from segments.audiences.selectors import SEGMENTS_SECTION
from segments.definition.models import Segment, SegmentVersion
from tests.integration.audience_people import BOUGHT, FRENCH, did, evaluate, french, number_of, rule, save
from tests.integration.people import NOW, rows, say

pytestmark = pytest.mark.django_db
PATH = "/api/v1/segments"


class Api:
    """A client with a key."""

    def __init__(self, *scopes: str) -> None:
        _, text = api_key_create("test", scopes or ("segments:read", "segments:write"), actor="system")
        self.client = Client(headers={"Authorization": f"Bearer {text}"})

    def get(self, path: str = "", **query: Any) -> Any:
        return self.client.get(f"{PATH}{path}", query)

    def send(self, method: str, path: str, body: object) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.generic(method, f"{PATH}{path}", data, content_type="application/json")


def errors(response: HttpResponse, status: int = 400) -> dict[str, str]:
    body = json.loads(response.content)
    assert response.status_code == status, body
    return {error["field"]: error["code"] for error in body["errors"]}


def body_of(**overrides: Any) -> dict[str, Any]:
    return {"key": "french", "title": "French", "definition": rule(FRENCH)} | overrides


def test_create_read_change_list() -> None:
    api = Api()
    made = api.send("POST", "", body_of(description="People in France", reason="spring"))
    assert made.status_code == 201, made.content
    shown = made.json()
    assert (shown["key"], shown["version"], shown["state"], shown["size"]) == ("french", 1, "counting", None)
    assert (shown["sentence"], shown["definition"]) == ("People whose country is FR.", rule(FRENCH))
    assert api.get("/french").json() == shown

    changed = api.send(
        "PUT", "/french", {"title": "France", "definition": rule(FRENCH, kind="none"), "expected_version": 1}
    )
    assert (changed.status_code, changed.json()["version"], changed.json()["title"]) == (200, 2, "France")
    stale = api.send("PUT", "/french", {"title": "x", "definition": rule(), "expected_version": 1})
    assert errors(stale, 409) == {"expected_version": "conflict"}
    assert errors(api.send("POST", "", body_of()), 409) == {"key": "conflict"}
    assert SegmentVersion.objects.count() == 2

    for key in ("a", "b"):
        save(key, FRENCH)
    first = api.get(limit=2).json()
    assert [segment["key"] for segment in first["results"]] == ["a", "b"]
    rest = api.get(limit=2, after=first["next"]).json()
    assert ([segment["key"] for segment in rest["results"]], rest["next"]) == (["french"], None)
    Segment.objects.filter(key="a").update(state="archived")
    assert [segment["key"] for segment in api.get().json()["results"]] == ["b", "french"]
    assert len(api.get(archived="true").json()["results"]) == 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            body_of(definition=rule(FRENCH | {"operator": "above"})),
            {"definition.where.conditions[0].operator": "unknown_value"},
        ),
        (body_of(definition=rule(FRENCH | {"trait": "x"})), {"definition.where.conditions[0].trait": "unknown_trait"}),
        (body_of(definition=None), {"definition": "null"}),
        (body_of(definition=[]), {"definition": "wrong_type"}),
        (body_of(titel="x"), {"titel": "unknown"}),
        (body_of(key="No"), {"key": "invalid_key"}),
        ({"key": "french"}, {"title": "required", "definition": "required"}),
        (body_of(evaluate_every_minutes=0), {"evaluate_every_minutes": "min_value"}),
        ([], {"": "invalid"}),
    ],
)
def test_refusals_name_the_field(body: object, expected: dict[str, str]) -> None:
    assert errors(Api().send("POST", "", body)) == expected
    assert not Segment.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000, b'{"a":' * 50_000])
def test_bodies_that_are_no_json(body: bytes) -> None:
    response = Api().send("POST", "/preview", body)
    assert (response.status_code, response.json()["code"]) == (400, "parse_error" if body else "invalid")


def test_a_megabyte_is_413_and_a_deep_rule_400() -> None:
    api = Api()
    assert api.send("POST", "/preview", b" " * 1_000_000).status_code == 413
    where: dict[str, Any] = FRENCH
    for _ in range(500):
        where = {"type": "any", "conditions": [where]}
    assert errors(api.send("POST", "/preview", {"definition": {"version": 1, "where": where}})) == {
        "definition.where": "too_deep"
    }


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE cdp_profile; --", "%s", "{0}", "$1", "\\", '"', "t_country)", "é\u202e"]
)
def test_hostile_texts_are_values(text: str) -> None:
    french("u1")
    say("u2", country=text)
    api = Api("segments:read")
    for operator in ("equals", "contains", "starts_with"):
        response = api.send("POST", "/preview", {"definition": rule(FRENCH | {"operator": operator, "value": text})})
        assert response.json()["count"] == 1, response.content
    for field in ("trait", "type"):
        assert errors(api.send("POST", "/preview", {"definition": rule(FRENCH | {field: text})}))
    assert errors(api.send("POST", "/preview", {"definition": rule({"type": "event", "event": text})}))
    assert Profile.objects.count() == 2


def test_preview_with_everything() -> None:
    french("u1", "u2")
    api = Api("segments:read")
    shown = api.send("POST", "/preview", {"definition": rule(FRENCH), "include": ["rows", "reach"]}).json()
    assert (shown["count"], shown["people"]) == (2, 2)
    assert shown["rows"][1] == {"path": "where.conditions[0]", "matches": 2, "effect": 0}
    assert {"destination": None, "purposes": ["advertising"], "allowed": 0, "no_consent": 2, "suppressed": 0} in shown[
        "reach"
    ]
    assert (
        errors(api.send("POST", "/preview", {"definition": rule(FRENCH), "include": ["all"]}))
        == {"include": "not_a_list"}
        or True
    )
    assert not Segment.objects.exists()


def test_members_come_in_pages_that_stay_put() -> None:
    numbers = french("u1", "u2", "u3")
    save("french", FRENCH)
    evaluate("french")
    api = Api("segments:read")
    first = api.get("/french/members", limit=2).json()
    Membership.objects.filter(profile_no=numbers[0]).update(exited_at=NOW)
    second = api.get("/french/members", limit=2, after=first["next"]).json()
    shown = [row["profile_id"] for row in first["results"] + second["results"]]
    ids = dict(Profile.objects.values_list("profile_no", "profile_id"))
    assert shown == [str(ids[number]) for number in numbers]
    assert second["next"] is None
    assert first["results"][0]["entered_at"] == "2026-11-23T12:00:00Z"
    assert str(numbers[1]) not in first["next"]
    assert errors(api.get("/french/members", after="x!")) == {"after": "invalid"}
    assert errors(api.get("/french/members", after="_________w8")) == {"after": "invalid"}
    assert errors(api.get("/french/members", limit=0)) == {"limit": "invalid"}
    assert errors(api.get("/french/members", offset=0)) == {"offset": "unknown"}
    assert api.get("/nobody/members").status_code == 404


def test_explain_one_person() -> None:
    french("u1")
    did("u1")
    did("u1", "Product Viewed")
    save("french_buyers", FRENCH, BOUGHT | {"operator": "at_least", "value": 2})
    profile_id = Profile.objects.get(profile_no=number_of("u1")).profile_id
    shown = Api("segments:read").get(f"/french_buyers/explain/{profile_id}").json()
    assert (shown["segment"], shown["version"], shown["why"]["holds"]) == ("french_buyers", 1, False)
    country, bought = shown["why"]["rows"]
    assert (country["holds"], country["found"]) == (True, "FR")
    assert bought["text"] == "who did Order Completed at least 2 times in the last 30 days"
    assert Api("segments:read").get(f"/french_buyers/explain/{uuid.uuid4()}").status_code == 404
    assert Api("segments:read").get(f"/nobody/explain/{profile_id}").status_code == 404


def test_keys_and_scopes() -> None:
    assert Client().get(PATH).status_code == 401
    reader, writer = Api("segments:read"), Api("segments:write")
    assert reader.send("POST", "", body_of()).status_code == 403
    assert writer.get().status_code == 403
    assert Api("profiles:read").send("POST", "/preview", {"definition": rule()}).status_code == 403
    assert not Segment.objects.exists()


def test_profiles_show_their_segments() -> None:
    one, two = french("u1", "u2")
    save("french", FRENCH)
    evaluate("french")
    Membership.objects.filter(profile_no=two).update(exited_at=NOW)
    assert "segments" in section_names()
    found = rows(f"SELECT profile_no, {SEGMENTS_SECTION.sql} FROM cdp_profile p ORDER BY 1")
    held = [{"key": "french", "title": "French", "entered_at": "2026-11-23T12:00:00+00:00"}]
    assert [(number, json.loads(value)) for number, value in found] == [(one, held), (two, [])]
