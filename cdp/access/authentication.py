"""Who calls: API keys out of the Authorization header.

A key is ``cdp_<12 hex>_<43 characters>``: a public prefix to find the row by, and 256 random bits of which only the SHA-256
is stored. ``Authorization: Bearer <key>``, or Basic with the key as user name and an empty password.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from cdp.access.selectors import key_find
from cdp.access.services import api_key_mark_used
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now

CHALLENGE = 'Bearer realm="api"'
KEY_FORM = re.compile(r"cdp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
WRONG_KEY = "The API key is unknown, expired or revoked."
NO_KEY = "Send an API key: `Authorization: Bearer cdp_…`."


class UnauthenticatedError(RejectedError):
    """401: no key, or one that opens nothing."""

    def __init__(self, message: str = WRONG_KEY) -> None:
        super().__init__(message, code="unauthenticated", field="Authorization")


class ForbiddenError(RejectedError):
    """403: a live key without the scope."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This key lacks the scope {scope}.", code="forbidden", field="Authorization")


@dataclass(frozen=True, slots=True)
class Caller:
    """A service that showed a live key. DRF holds it as ``request.user`` and ``request.auth``."""

    prefix: str
    name: str
    scopes: frozenset[str]
    is_authenticated: bool = True

    @property
    def actor(self) -> str:
        """How the audit log names this caller."""
        return f"key:{self.prefix}"


def credentials_from(header: str) -> str | None:
    """The key text in an Authorization header, or None when the header speaks of something else."""
    scheme, _, rest = header.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            try:
                user, _, _ = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return ""
            return user
        case _:
            return None


def caller_find(header: str) -> Caller | None:
    """The caller behind an Authorization header; None without one. Raises UnauthenticatedError for a wrong key."""
    text = credentials_from(header) if header else None
    if text is None:
        return None
    form = KEY_FORM.fullmatch(text)
    facts = key_find(form[1]) if form else None
    if form is None or facts is None:
        raise UnauthenticatedError
    now = utc_now()
    secret_sha256 = hashlib.sha256(form[2].encode()).digest()
    if not hmac.compare_digest(facts.secret_sha256, secret_sha256) or not facts.is_live(now):
        raise UnauthenticatedError
    api_key_mark_used(facts.prefix, now)
    return Caller(facts.prefix, facts.name, facts.scopes)


def authenticate_request(request: HttpRequest, scope: str | None) -> Caller:
    """The caller of a plain Django view. ``scope`` None asks for any live key.

    Raises UnauthenticatedError (401) or ForbiddenError (403); ``exceptions.error_response`` answers both.
    """
    caller = caller_find(request.headers.get("Authorization", ""))
    if caller is None:
        raise UnauthenticatedError(NO_KEY)
    if scope is not None and scope not in caller.scopes:
        raise ForbiddenError(scope)
    return caller


class ApiKeyAuthentication(BaseAuthentication):
    """DRF's door: the same keys, DRF's exceptions."""

    def authenticate(self, request: Request) -> tuple[Caller, Caller] | None:
        try:
            caller = caller_find(request.headers.get("Authorization", ""))
        except UnauthenticatedError as error:
            raise AuthenticationFailed(error.message, code=error.code) from error
        return None if caller is None else (caller, caller)

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE
