"""The tracking API as clients see it: keys, answers, what is stored when 200 is said."""

import json
import zlib

import pytest
from django.db import OperationalError
from django.test import Client

from cdp.collect import api as collect_api
from cdp.collect.messages import message_read
from cdp.collect.models import Reject
from cdp.collect.rejects import reject_sample
from cdp.collect.selectors import sources_forget
from cdp.events.models import InboxEvent
from tests.integration.collect_calls import ORIGIN, basic, post, source_make, track_make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_remembered_sources() -> None:
    sources_forget()


def test_batch_is_answered_200_and_waits_in_the_inbox(client: Client) -> None:
    source = source_make()
    response = post(client, {"batch": [track_make(), track_make(messageId="m-2")]})
    assert (response.status_code, response.json()) == (200, {"success": True})
    rows = InboxEvent.objects.order_by("inbox_no")
    assert [(r.source_no, r.message_id) for r in rows] == [(source.source_no, "m-1"), (source.source_no, "m-2")]
    message = message_read(bytes(rows[0].payload))
    assert (message.type, message.user_id, message.name) == ("track", "u-1", "Product Viewed")


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("word", "kind", "extra"),
    [
        ("track", "track", {}),
        ("t", "track", {}),
        ("identify", "identify", {}),
        ("i", "identify", {}),
        ("page", "page", {}),
        ("p", "page", {}),
        ("screen", "screen", {}),
        ("s", "screen", {}),
        ("group", "group", {"groupId": "g"}),
        ("g", "group", {"groupId": "g"}),
        ("alias", "alias", {"previousId": "a"}),
        ("a", "alias", {"previousId": "a"}),
    ],
)
def test_every_address_takes_its_kind_without_redirect(
    client: Client, slash: str, word: str, kind: str, extra: dict[str, str]
) -> None:
    source_make()
    call = {k: v for k, v in track_make().items() if k != "type"} | extra
    assert post(client, call, path=f"/v1/{word}{slash}").status_code == 200
    assert message_read(bytes(InboxEvent.objects.get().payload)).type == kind


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch", "/v1/batch/", "/v1/b/"])
def test_every_batch_address(client: Client, path: str) -> None:
    source_make()
    assert post(client, {"batch": [track_make()]}, path=path).status_code == 200
    assert InboxEvent.objects.count() == 1


def test_key_in_basic_body_or_query(client: Client) -> None:
    source_make()
    places = [
        post(client, {"batch": [track_make(messageId="1")]}),
        post(client, {"batch": [track_make(messageId="2")], "writeKey": "wk-shop"}, key=None),
        post(client, {"batch": [track_make(messageId="3")]}, key=None, path="/beacon/v1/batch?writeKey=wk-shop"),
        post(client, track_make(messageId="4", writeKey="wk-shop"), key=None, path="/v1/track"),
    ]
    assert [r.status_code for r in places] == [200] * 4
    assert InboxEvent.objects.count() == 4


@pytest.mark.parametrize("key", [None, "wrong", "", "wk-shop\u00e9"])
def test_wrong_or_missing_key_is_401_and_stores_nothing(client: Client, key: str | None) -> None:
    source_make()
    response = post(client, {"batch": [track_make()]}, key=key)
    assert response.status_code == 401
    assert response.json()["code"] == "unauthenticated"
    assert response.json()["errors"][0]["field"] == "writeKey"
    assert not InboxEvent.objects.exists()


def test_a_source_that_is_switched_off_is_401(client: Client) -> None:
    source_make(is_enabled=False)
    assert post(client, {"batch": [track_make()]}).status_code == 401


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x/y"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_any_content_type_is_read_as_bytes(client: Client, content_type: str, packed: bool) -> None:
    source_make()
    assert post(client, {"batch": [track_make()]}, content_type=content_type, packed=packed).status_code == 200
    assert InboxEvent.objects.count() == 1


def test_zip_bomb_is_413_without_being_unpacked(client: Client) -> None:
    source_make()
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"0" * 2**20
    bomb = b"".join(packer.compress(zeros) for _ in range(300)) + packer.flush()
    assert len(bomb) < 2**20
    response = post(client, bomb, Content_Encoding="gzip")
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"batch": 3}', b'{"items": []}', b"\xff\xfe", b"[" * 50_000]
)
def test_a_body_without_items_is_400_with_code_and_message(client: Client, body: bytes) -> None:
    source_make()
    response = post(client, body)
    assert response.status_code == 400
    assert response.json().keys() == {"code", "message", "errors"}
    assert response.json()["errors"][0]["field"] in {"batch", "body"}


def test_too_many_items_and_too_large_bodies_are_413(client: Client) -> None:
    source_make()
    many = {"batch": [track_make(messageId=str(i)) for i in range(2_501)]}
    assert post(client, many).status_code == 413
    assert post(client, {"batch": [], "pad": "x" * 4_300_000}).status_code == 413
    assert post(client, {"batch": [], "pad": "x" * 8_500_000}).status_code == 413
    assert not InboxEvent.objects.exists()


def test_bad_items_are_told_and_kept_while_the_rest_goes_on(client: Client) -> None:
    source_make()
    batch = [
        track_make(messageId="good"),
        track_make(messageId="nobody", userId=None),
        track_make(messageId="nameless", event=""),
        track_make(messageId="late", timestamp="yesterday"),
        track_make(messageId="big", properties={"pad": "x" * 33_000}),
        track_make(messageId="odd", userId={"id": 1}),
        track_make(messageId="strange", type="sing"),
        3,
    ]
    response = post(client, {"batch": batch})
    assert response.status_code == 200
    answer = response.json()
    assert answer["success"] is True
    assert [(e["index"], e["field"], e["code"]) for e in answer["errors"]] == [
        (1, "userId", "required"),
        (2, "event", "required"),
        (3, "timestamp", "timestamp"),
        (4, "", "too_large"),
        (5, "userId", "type"),
        (6, "type", "type"),
        (7, "", "type"),
    ]
    assert InboxEvent.objects.get().message_id == "good"
    rejects = Reject.objects.order_by("reject_no")
    assert [r.code for r in rejects] == [e["code"] for e in answer["errors"]]
    assert json.loads(reject_sample(rejects[1])) == batch[2]
    assert b"nameless" not in bytes(rejects[1].sample_encrypted or b"")


def test_a_placeholder_id_is_left_out_and_told(client: Client) -> None:
    source_make()
    batch = [track_make(userId="undefined", anonymousId="a-1"), track_make(messageId="m-2", userId="null")]
    answer = post(client, {"batch": batch}).json()
    assert [(e["index"], e["field"], e["code"]) for e in answer["errors"]] == [
        (0, "userId", "blocked"),
        (1, "userId", "blocked"),
    ]
    message = message_read(bytes(InboxEvent.objects.get().payload))
    assert (message.user_id, message.anonymous_id) == (None, "a-1")


@pytest.mark.parametrize("place", ["event", "messageId", "userId"])
def test_nul_is_refused_by_name_of_the_item(client: Client, place: str) -> None:
    source_make()
    bad, nested = track_make(**{place: "a\x00b"}), track_make(messageId="n", properties={"a": ["x\x00"]})
    fine = track_make(messageId="fine", properties={"a": "back\\u0000slash"})
    answer = post(client, {"batch": [bad, nested, fine]}).json()
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [(0, "characters"), (1, "characters")]
    assert InboxEvent.objects.get().message_id == "fine"
    assert Reject.objects.count() == 2


def test_half_an_emoji_costs_nothing(client: Client) -> None:
    source_make()
    body = (
        b'{"batch": [{"type": "track", "event": "x", "userId": "u", "messageId": "m", "properties": {"t": "\\ud83d"}}]}'
    )
    assert post(client, body).json() == {"success": True}
    assert message_read(bytes(InboxEvent.objects.get().payload)).properties == {"t": "\ufffd"}


def test_the_same_message_has_one_effect_whatever_its_batch(client: Client) -> None:
    source_make()
    first = {"batch": [track_make(), track_make(), track_make(messageId=None, anonymousId="x")]}
    for _ in range(3):
        assert post(client, first).json() == {"success": True}
    assert InboxEvent.objects.count() == 2


def test_too_fast_is_429_with_retry_after(client: Client, settings: object) -> None:
    source = source_make()
    settings.CONFIG = settings.CONFIG.model_copy(update={"cdp_collect_rate_per_second": 10})  # type: ignore[attr-defined]
    batch = {"batch": [track_make(messageId=str(i)) for i in range(30)]}
    assert post(client, batch).status_code == 200
    response = post(client, {"batch": [track_make(messageId="late")]})
    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(response["Retry-After"]) <= 2
    assert InboxEvent.objects.filter(source_no=source.source_no).count() == 30
    source_make(key="other", write_key="wk-other")
    assert post(client, {"batch": [track_make()]}, key="wk-other").status_code == 200


def test_database_down_is_503_with_retry_after(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    source_make()

    def fail(*_: object, **__: object) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(collect_api, "calls_receive", fail)
    response = post(client, {"batch": [track_make()]})
    assert response.status_code == 503
    assert response.json()["code"] == "try_again"
    assert int(response["Retry-After"]) == 5


def test_preflight_and_origins(client: Client) -> None:
    source_make()
    asked = client.options("/v1/t", headers={"Origin": ORIGIN, "Access-Control-Request-Headers": "rsa-retry-attempt"})
    assert asked.status_code == 204
    assert asked["Access-Control-Allow-Origin"] == ORIGIN
    assert "rsa-retry-attempt" in asked["Access-Control-Allow-Headers"]
    assert int(asked["Access-Control-Max-Age"]) >= 600
    stranger = client.options("/v1/t", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers
    answered = post(client, track_make(), path="/v1/t", Origin=ORIGIN)
    assert (answered.status_code, answered["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    refused = post(client, track_make(messageId="m-2"), path="/v1/t", Origin="https://evil.example")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (403, "Origin")
    assert InboxEvent.objects.count() == 1


def test_another_sources_origin_does_not_open_this_source(client: Client) -> None:
    source_make()
    source_make(key="blog", write_key="wk-blog", allowed_origins="https://blog.example")
    refused = post(client, track_make(), path="/v1/t", Origin="https://blog.example")
    assert refused.status_code == 403
    assert not InboxEvent.objects.exists()


def test_get_is_405(client: Client) -> None:
    assert client.get("/v1/batch").status_code == 405


def test_segment_settings_point_back_here(client: Client) -> None:
    source_make()
    response = client.get("/v1/projects/wk-shop/settings", headers={"Origin": ORIGIN})
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    segment = response.json()["integrations"]["Segment.io"]
    assert (segment["apiKey"], segment["apiHost"], segment["protocol"]) == ("wk-shop", "testserver/v1", "http")
    assert client.get("/v1/projects/nope/settings").status_code == 401


def test_rudder_source_config(client: Client) -> None:
    source_make()
    for response in (
        client.get("/sourceConfig/?p=web&v=3&writeKey=wk-shop"),
        client.get("/sourceConfig", headers={"Authorization": basic("wk-shop")}),
    ):
        assert response.status_code == 200
        assert response.json()["source"]["destinations"] == []
        assert response.json()["source"]["enabled"] is True
    assert client.get("/sourceConfig/").status_code == 401


def test_query_counts(client: Client, django_assert_num_queries: object) -> None:
    source_make()
    post(client, {"batch": [track_make(messageId="warm")]})
    # The bucket, and a savepoint for the one COPY of the inbox (which is psycopg's own cursor).
    with django_assert_num_queries(3):  # type: ignore[operator]
        post(client, {"batch": [track_make(messageId=str(i)) for i in range(100)]})
