"""One error body, whatever went wrong."""

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, serializers

from cdp.access.authentication import ForbiddenError, UnauthenticatedError, credentials_from
from cdp.access.exceptions import error_reply, error_response, exception_handler
from cdp.access.serializers import StrictSerializer
from cdp.core.errors import NeedsHumanError, RejectedError, RetryableError


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RejectedError("x", code="anything", field="a"), 400, "anything"),
        (RejectedError("x", code="not_found"), 404, "not_found"),
        (RejectedError("x", code="conflict"), 409, "conflict"),
        (RejectedError("x", code="too_large"), 413, "too_large"),
        (UnauthenticatedError(), 401, "unauthenticated"),
        (ForbiddenError("profiles:read"), 403, "forbidden"),
        (RetryableError("x"), 503, "try_again"),
        (NeedsHumanError("x", code="unmapped"), 409, "unmapped"),
        (Http404("secret"), 404, "not_found"),
        (PermissionDenied("secret"), 403, "forbidden"),
        (exceptions.AuthenticationFailed(), 401, "unauthenticated"),
        (exceptions.NotAuthenticated(), 401, "unauthenticated"),
        (exceptions.PermissionDenied(), 403, "forbidden"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.UnsupportedMediaType("x/y"), 415, "unsupported_media_type"),
        (exceptions.ParseError(), 400, "parse_error"),
        (exceptions.Throttled(wait=1.2), 429, "rate_limited"),
    ],
)
def test_status_and_code(error: Exception, status: int, code: str) -> None:
    reply = error_reply(error)
    assert reply is not None
    assert (reply.status, reply.code) == (status, code)
    assert reply.body().keys() == {"code", "message", "errors"}


def test_headers_that_tell_what_to_do() -> None:
    assert error_response(UnauthenticatedError())["WWW-Authenticate"].startswith("Bearer")
    assert error_response(exceptions.NotAuthenticated())["WWW-Authenticate"].startswith("Bearer")
    assert error_response(exceptions.Throttled(wait=1.2))["Retry-After"] == "2"
    assert error_response(RetryableError("x", retry_after_seconds=0.2))["Retry-After"] == "1"


def test_a_bug_is_not_dressed_up() -> None:
    assert exception_handler(KeyError("bug"), {}) is None
    with pytest.raises(KeyError):
        error_response(KeyError("bug"))


def test_nested_problems_have_paths() -> None:
    error = exceptions.ValidationError(
        {"where": {"conditions": [{}, {"value": ["too high", "too odd"]}]}, "non_field_errors": ["both missing"]}
    )
    reply = error_reply(error)
    assert reply is not None
    assert [(p.field, p.message) for p in reply.problems] == [
        ("where.conditions[1].value", "too high"),
        ("where.conditions[1].value", "too odd"),
        ("", "both missing"),
    ]


def test_no_address_stands_in_an_error_body() -> None:
    errors = [
        exceptions.ValidationError({"choice": ['"ana@example.com" is not a valid choice.']}),
        RejectedError("no ana@example.com here", field="email"),
    ]
    for error in errors:
        assert b"ana@" not in error_response(error).content


def test_strict_serializer_refuses_what_it_does_not_know() -> None:
    class Inner(StrictSerializer):
        number = serializers.IntegerField()

    class Outer(StrictSerializer):
        name = serializers.CharField()
        made_at = serializers.DateTimeField(read_only=True)
        inner = Inner(required=False)

    assert Outer(data={"name": "x", "inner": {"number": 1}}).is_valid()
    wrong = Outer(data={"name": "x", "naem": "y", "made_at": "2026-01-01", "inner": {"number": 1, "extra": 2}})
    assert not wrong.is_valid()
    assert set(wrong.errors) == {"naem", "made_at"}
    nested = Outer(data={"name": "x", "inner": {"number": 1, "extra": 2}})
    assert not nested.is_valid()
    reply = error_reply(exceptions.ValidationError(nested.errors))
    assert reply is not None
    assert json.loads(json.dumps(reply.body()))["errors"][0]["field"] == "inner.extra"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic YWJjOg==", "abc"),
        ("Basic YWJjOnNlY3JldA==", "abc"),
        ("Basic !!!", ""),
        ("Basic /w==", ""),
        ("Digest x", None),
        ("", None),
    ],
)
def test_credentials(header: str, expected: str | None) -> None:
    assert credentials_from(header) == expected
