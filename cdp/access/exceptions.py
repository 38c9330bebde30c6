"""One error body for every caller: {"code", "message", "errors": [{"field", "code", "message"}]}."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.core.exceptions import PermissionDenied
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from cdp.access.authentication import CHALLENGE
from cdp.core.errors import NeedsHumanError, Problem, RejectedError, RetryableError
from cdp.logs import redact_text

STATUS_BY_CODE = {
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "rate_limited": 429,
}
RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """What goes back: status, body and the headers that tell a client what to do next."""

    status: int
    code: str
    message: str
    problems: Sequence[Problem] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, object]:
        return {
            "code": self.code,
            "message": redact_text(self.message),
            "errors": [{"field": p.field, "code": p.code, "message": redact_text(p.message)} for p in self.problems],
        }

    def response(self) -> JsonResponse:
        return JsonResponse(self.body(), status=self.status, headers=dict(self.headers))


def _problems(detail: object, path: str = "") -> Iterator[Problem]:
    """DRF's nested details as flat problems with paths such as ``conditions[2].value``."""
    match detail:
        case Mapping():
            for key, inner in detail.items():
                name = "" if key == "non_field_errors" else str(key)
                yield from _problems(inner, ".".join(filter(None, (path, name))))
        case list() | tuple():
            for index, inner in enumerate(detail):
                nested = isinstance(inner, Mapping | list)
                yield from _problems(inner, f"{path}[{index}]" if nested else path)
        case _:
            yield Problem(path, str(getattr(detail, "code", "invalid")), str(detail))


def _reply_from_drf(error: exceptions.APIException) -> ErrorReply:
    headers: dict[str, str] = {}
    if error.status_code == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    wait = getattr(error, "wait", None)  # Throttled has it
    if wait is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    if isinstance(error, exceptions.ValidationError):
        problems = [p for p in _problems(error.detail) if p.message]
        return ErrorReply(error.status_code, "invalid", "The request is not valid; see errors.", problems)
    code = {401: "unauthenticated", 403: "forbidden", 429: "rate_limited"}.get(error.status_code)
    if code is None:
        codes = error.get_codes()
        code = codes if isinstance(codes, str) else "invalid"
    return ErrorReply(error.status_code, code, str(error.detail), headers=headers)


def error_reply(error: Exception) -> ErrorReply | None:
    """The answer to a foreseen error, or None for a bug, which becomes a 500."""
    match error:
        case RejectedError():
            status = STATUS_BY_CODE.get(error.code, 400)
            headers = {"WWW-Authenticate": CHALLENGE} if status == 401 else {}
            problems = [Problem(error.field, error.code, error.message)] if error.field else []
            return ErrorReply(status, error.code, error.message, problems, headers)
        case RetryableError():
            wait = error.retry_after_seconds
            seconds = RETRY_SECONDS if wait is None else max(1, math.ceil(wait))
            return ErrorReply(503, "try_again", str(error), headers={"Retry-After": str(seconds)})
        case NeedsHumanError():
            return ErrorReply(409, error.code, error.message)
        case Http404():
            return ErrorReply(404, "not_found", "There is nothing at this address.")
        case PermissionDenied():
            return ErrorReply(403, "forbidden", "You may not do this.")
        case exceptions.APIException():
            return _reply_from_drf(error)
        case _:
            return None


def error_response(error: Exception) -> JsonResponse:
    """For plain views: the answer to a foreseen error. Anything else is raised again."""
    reply = error_reply(error)
    if reply is None:
        raise error
    return reply.response()


def exception_handler(error: Exception, context: Mapping[str, object]) -> Response | None:
    """DRF's EXCEPTION_HANDLER."""
    reply = error_reply(error)
    if reply is None:
        return None
    return Response(reply.body(), status=reply.status, headers=dict(reply.headers))
