"""API keys at the door: who gets in, who does not, and what is noted."""

import datetime as dt
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.access import services
from cdp.access.authentication import authenticate_request
from cdp.access.exceptions import error_response
from cdp.access.models import ApiKey, AuditEntry
from cdp.access.selectors import key_cache_clear
from cdp.access.services import api_key_create, api_key_mark_used, api_key_revoke
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now
from tests.integration.collect_calls import basic

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class Things(APIView):
    """An endpoint to knock at."""

    required_scopes = {"GET": "profiles:read", "POST": "consents:write"}

    def get(self, request: Request) -> Response:
        return Response({"actor": request.auth.actor})  # type: ignore[union-attr]

    def post(self, request: Request) -> Response:
        return Response({})

    def delete(self, request: Request) -> Response:
        return Response({})


def plain(request: HttpRequest) -> HttpResponse:
    try:
        return JsonResponse({"actor": authenticate_request(request, "profiles:read").actor})
    except RejectedError as error:
        return error_response(error)


urlpatterns = [path("api/things", Things.as_view()), path("api/plain", plain)]


@pytest.fixture(autouse=True)
def empty_caches() -> Iterator[None]:
    key_cache_clear()
    services._marked.clear()
    yield
    key_cache_clear()


def key_make(*scopes: str, **overrides: Any) -> tuple[ApiKey, str]:
    return api_key_create("test", scopes or ("profiles:read",), actor="system", **overrides)


def knock(client: Client, text: str | None, method: str = "get", where: str = "/api/things") -> Any:
    headers = {"Authorization": f"Bearer {text}"} if text is not None else {}
    return getattr(client, method)(where, headers=headers)


@pytest.mark.parametrize("where", ["/api/things", "/api/plain"])
def test_the_right_key_gets_in(client: Client, where: str) -> None:
    key, text = key_make()
    response = knock(client, text, where=where)
    assert (response.status_code, response.json()) == (200, {"actor": f"key:{key.prefix}"})
    assert client.get(where, headers={"Authorization": basic(text)}).status_code == 200


@pytest.mark.parametrize("where", ["/api/things", "/api/plain"])
@pytest.mark.parametrize("change", [None, "", "x", "cdp_000000000000_" + "A" * 43])
def test_no_key_and_wrong_keys_are_401_with_a_challenge(client: Client, where: str, change: str | None) -> None:
    response = knock(client, change, where=where)
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_wrong_secret_behind_a_right_prefix_is_401(client: Client) -> None:
    key, text = key_make()
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert knock(client, wrong).status_code == 401
    key.refresh_from_db()
    assert key.last_used_at is None


def test_expired_and_revoked_keys_are_401(client: Client) -> None:
    _, old = key_make(expires_at=utc_now() - dt.timedelta(seconds=1))
    key, text = key_make()
    assert knock(client, old).status_code == 401
    assert knock(client, text).status_code == 200
    assert api_key_revoke(key.prefix, actor="system", now=utc_now())
    assert knock(client, text).status_code == 401
    assert not api_key_revoke(key.prefix, actor="system", now=utc_now())


def test_scope_per_method_and_default_deny(client: Client) -> None:
    _, reader = key_make("profiles:read")
    _, writer = key_make("consents:write")
    assert knock(client, reader).status_code == 200
    refused = knock(client, reader, "post")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "consents:write" in refused.json()["message"]
    assert knock(client, writer, "post").status_code == 200
    assert knock(client, writer).status_code == 403
    assert knock(client, writer, "delete").status_code == 403
    assert knock(client, writer, "put").status_code == 405
    assert knock(client, writer, where="/api/plain").status_code == 403


def test_reads_are_cheap_and_last_use_is_noted_once_a_minute(client: Client, django_assert_num_queries: Any) -> None:
    key, text = key_make()
    with django_assert_num_queries(2):
        knock(client, text)
    with django_assert_num_queries(0):
        knock(client, text)
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    api_key_mark_used(key.prefix, first + dt.timedelta(seconds=59))
    key.refresh_from_db()
    assert key.last_used_at == first
    api_key_mark_used(key.prefix, first + dt.timedelta(seconds=61))
    key.refresh_from_db()
    assert key.last_used_at == first + dt.timedelta(seconds=61)


def test_the_command_prints_a_key_once_and_stores_its_hash(client: Client) -> None:
    out, err = StringIO(), StringIO()
    call_command(
        "api_key", "create", "--name", "crm", "--scopes", "profiles:read, segments:read", stdout=out, stderr=err
    )
    text = out.getvalue().strip()
    assert knock(client, text).status_code == 200
    key = ApiKey.objects.get()
    assert key.scopes == ["profiles:read", "segments:read"]
    assert text.rpartition("_")[2].encode() not in bytes(key.secret_sha256)
    assert AuditEntry.objects.filter(action="api_key_created", subject_id=key.prefix).count() == 1
    listed = StringIO()
    call_command("api_key", "show", stdout=listed)
    assert key.prefix in listed.getvalue()
    assert text not in listed.getvalue()
    call_command("api_key", "revoke", key.prefix, stdout=out)
    assert knock(client, text).status_code == 401


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "--name", "x", "--scopes", "all"], "No such scope: all"),
        (["create", "--name", "x", "--scopes", ","], "at least one scope"),
        (["create", "--name", "", "--scopes", "profiles:read"], "--name"),
        (["create", "--name", "x", "--scopes", "profiles:read", "--expires-days", "0"], "--expires-days"),
        (["revoke", "nothing"], "no live key"),
    ],
)
def test_the_command_refuses_with_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("api_key", *arguments)
    assert not ApiKey.objects.exists()
