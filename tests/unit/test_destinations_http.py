"""The one HTTP client: waiting times, redirects, unknown outcomes, odd bodies."""

import datetime as dt

import httpx
import pytest

from cdp.core.errors import NeedsHumanError, RetryableError
from segments.destinations.contract import Account, OutcomeUnknownError
from segments.destinations.http import DestinationClient, retry_after_seconds

ACCOUNT = Account("https://network.example/base", {}, {"access_token": "s3cret"})
NOW = dt.datetime(2026, 11, 23, 10, 0, tzinfo=dt.UTC)


def client(handler: object) -> DestinationClient:
    return DestinationClient(ACCOUNT, transport=httpx.MockTransport(handler))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        (" 1.5 ", 1.5),
        ("Mon, 23 Nov 2026 10:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 0.0),
        ("999999999", 21600.0),
        ("soon", None),
        ("", None),
        ("-3", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": text}, NOW) == seconds


def test_retry_after_by_the_answers_own_clock() -> None:
    headers = {"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": "Mon, 23 Nov 2026 10:00:00 GMT"}
    assert retry_after_seconds(headers) == 30.0


def test_paths_stay_below_the_base_and_the_token_in_its_header() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"ok": True})

    with client(answer) as opened:
        opened.bearer = "s3cret"
        assert opened.send("POST", "/v1/things", {"a": 1}, query={"x": "y"}).body == {"ok": True}
    assert str(seen[0].url) == "https://network.example/base/v1/things?x=y"
    assert seen[0].headers["authorization"] == "Bearer s3cret"


def test_redirects_are_not_followed() -> None:
    with (
        client(lambda _: httpx.Response(302, headers={"location": "http://169.254.169.254/"})) as opened,
        pytest.raises(NeedsHumanError, match="redirects"),
    ):
        opened.send("GET", "x")


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.RemoteProtocolError])
def test_what_may_have_arrived_is_unknown(error: type[httpx.TransportError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("quotes s3cret", request=request)

    with client(answer) as opened, pytest.raises(OutcomeUnknownError) as caught:
        opened.send("POST", "x", {})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout])
def test_what_never_left_is_repeated(error: type[httpx.TransportError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("no", request=request)

    with client(answer) as opened, pytest.raises(RetryableError) as caught:
        opened.send("POST", "x", {})
    assert not isinstance(caught.value, OutcomeUnknownError)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b"\xff\xfe"])
def test_a_body_that_is_no_object_is_empty(content: bytes) -> None:
    with client(lambda _: httpx.Response(200, content=content)) as opened:
        assert opened.send("GET", "x").body == {}
