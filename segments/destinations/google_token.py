"""Google's bearer token from a service-account key, through google-auth but over our own HTTP client (RFC 7523 JWT grant)."""

from collections.abc import Mapping

import google.auth.exceptions
import google.auth.transport
import httpx
import msgspec
from google.oauth2 import service_account

from cdp.core.errors import NeedsHumanError, RetryableError

TOKEN_SECONDS = 20.0


class TokenAnswer(google.auth.transport.Response):
    """What google-auth reads of an answer."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content


class TokenRequest(google.auth.transport.Request):
    """google-auth's transport over httpx: no redirects, no proxies from the environment."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> TokenAnswer:
        try:
            with httpx.Client(timeout=timeout or TOKEN_SECONDS, trust_env=False) as client:
                return TokenAnswer(client.request(method, url, content=body, headers=dict(headers or {})))
        except httpx.TransportError as error:
            raise google.auth.exceptions.TransportError(type(error).__name__) from None  # type: ignore[no-untyped-call]


def access_token(service_account_json: str, *, scope: str, token_uri: str) -> str:
    """A fresh bearer token. Raises NeedsHumanError (bad key) or RetryableError (no answer)."""
    try:
        info = msgspec.json.decode(service_account_json, type=dict[str, str])
        credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            info | {"token_uri": token_uri}, scopes=[scope]
        )
    except (msgspec.DecodeError, ValueError):
        raise NeedsHumanError(
            "The service account key is not the JSON file that Google gives out.", code="auth"
        ) from None
    try:
        credentials.refresh(TokenRequest())
    except google.auth.exceptions.TransportError:
        raise RetryableError("no answer from the token server") from None
    except google.auth.exceptions.RefreshError as error:
        if error.retryable:
            raise RetryableError("the token server asks to wait") from None
        raise NeedsHumanError("Google refuses the service account key. Renew it.", code="auth") from None
    return str(credentials.token)
