"""One way to talk to ad networks: the address is configuration, redirects are not followed, and nothing sent is ever logged.

Time-outs and broken connections are told apart: what may have reached the network is an unknown outcome, what surely did not
is simply repeated.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

import httpx
import msgspec

from cdp.core.errors import NeedsHumanError, RetryableError
from segments.destinations.contract import Account, OutcomeUnknownError

__all__ = ["Answer", "DestinationClient", "retry_after_seconds", "status_error"]

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
LONGEST_RETRY_AFTER_SECONDS = 6 * 3600.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024
RETRYABLE_STATUSES = frozenset({408, 423, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower-case names) and the JSON body, ``{}`` where it was none."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


class DestinationClient:
    """An open connection to one account. Not shared between threads; holds the bearer token for its lifetime."""

    def __init__(
        self, account: Account, *, answer_seconds: float = ANSWER_SECONDS, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.account = account
        self.bearer: str | None = None
        self._http = httpx.Client(
            base_url=account.base_url.rstrip("/") + "/",
            timeout=httpx.Timeout(answer_seconds, connect=min(CONNECT_SECONDS, answer_seconds)),
            follow_redirects=False,
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> "DestinationClient":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        body: object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request with a JSON body. Raises RetryableError, OutcomeUnknownError or NeedsHumanError (redirect).

        Error statuses are returned, since each network says in its body what they mean.
        """
        sent = (
            {"Content-Type": "application/json", "Accept": "application/json"}
            if body is not None
            else {"Accept": "application/json"}
        )
        if self.bearer:
            sent["Authorization"] = f"Bearer {self.bearer}"
        content = None if body is None else msgspec.json.encode(body)
        try:
            response = self._http.request(
                method, path.lstrip("/"), content=content, params=query, headers=sent | dict(headers or {})
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise RetryableError(f"no connection to the network ({type(error).__name__})") from None
        except httpx.TransportError as error:
            raise OutcomeUnknownError(f"no answer from the network ({type(error).__name__})") from None
        if response.is_redirect:
            raise NeedsHumanError(
                "The network's address redirects; enter the final address as base URL.", code="redirect"
            )
        return Answer(
            response.status_code, {k.lower(): v for k, v in response.headers.items()}, json_object(response.content)
        )


def json_object(content: bytes) -> dict[str, Any]:
    """The body as a JSON object, ``{}`` when it is anything else."""
    if not content or len(content) > MAX_ANSWER_BYTES:
        return {}
    try:
        value = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def retry_after_seconds(headers: Mapping[str, str], now: dt.datetime | None = None) -> float | None:
    """``Retry-After`` as seconds from now (RFC 9110 §10.2.3: seconds or a date), at most six hours; None without one."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdigit():
        return min(float(text), LONGEST_RETRY_AFTER_SECONDS)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    present = now or parsed_date(headers) or at
    return min(max((at - present).total_seconds(), 0.0), LONGEST_RETRY_AFTER_SECONDS)


def parsed_date(headers: Mapping[str, str]) -> dt.datetime | None:
    """The answer's own ``Date``: the clock that its Retry-After date was made with."""
    try:
        return parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None


def status_error(answer: Answer, detail: str = "") -> Exception | None:
    """The error family of a status alone, for what a network's body does not explain; None below 400 and for other 4xx."""
    why = f"HTTP {answer.status}" + (f", {detail}" if detail else "")
    if answer.status in RETRYABLE_STATUSES:
        return RetryableError(
            f"the network asks to wait ({why})", retry_after_seconds=retry_after_seconds(answer.headers)
        )
    if answer.status >= 500 and answer.status != 501:
        return OutcomeUnknownError(
            f"the network failed ({why})", retry_after_seconds=retry_after_seconds(answer.headers)
        )
    if answer.status in {401, 403}:
        return NeedsHumanError(f"The network refuses this account ({why}). Renew the credentials.", code="auth")
    if answer.status in {404, 405, 410, 501}:
        return NeedsHumanError(
            f"The network does not know this list or address ({why}). Look at the settings.", code="not_found"
        )
    return None
