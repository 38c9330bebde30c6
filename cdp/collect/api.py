"""The tracking API that unmodified Segment and RudderStack clients talk to (contract: reference/ecosystem §5).

Plain views, not DRF: every Content-Type is read as bytes, addresses work with and without a trailing slash and never redirect,
and only 200 counts as delivered, since two of the clients retry (one crashes) on 202 and 204.
"""

from collections.abc import Callable

import psycopg
import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import Error as DatabaseFailure
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from cdp.access.authentication import credentials_from
from cdp.access.exceptions import ErrorReply, error_response
from cdp.collect.bodies import around_pack, body_inflate, envelope_read
from cdp.collect.cors import origin_echo, preflight_headers
from cdp.collect.messages import Refused, items_check
from cdp.collect.rates import calls_allow
from cdp.collect.selectors import SourceFacts, origin_is_known, source_find
from cdp.collect.services import calls_receive
from cdp.core.errors import RejectedError, RetryableError
from cdp.core.time import utc_now

SUCCESS = b'{"success": true}'
MAX_ERRORS_SHOWN = 100
OUT_OF_REACH = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
logger = structlog.get_logger(__name__)


def collect(request: HttpRequest, kind: str | None) -> HttpResponse:
    """One tracking request. ``kind`` is that of a single call, None for a batch."""
    if request.method == "OPTIONS":
        return preflight(request)
    if request.method != "POST":
        return ErrorReply(405, "method", "Send calls by POST.", headers={"Allow": "POST, OPTIONS"}).response()
    try:
        response = _receive(request, kind)
    except (RejectedError, RetryableError) as error:
        response = error_response(error)
    except OUT_OF_REACH as error:
        logger.error("collect_failed", error=type(error).__name__, sqlstate=getattr(error.__cause__, "sqlstate", None))  # noqa: TRY400 - a traceback could carry the call
        response = error_response(
            RetryableError("The calls could not be stored; send them again.", retry_after_seconds=5)
        )
    if origin_is_known_safely(request.headers.get("Origin", "")):
        origin_echo(request, response)
    return response


def origin_is_known_safely(origin: str) -> bool:
    """``origin_is_known``; without a database nobody is known, and the error is already on its way."""
    try:
        return bool(origin) and origin_is_known(origin)
    except DatabaseFailure:
        return False


def preflight(request: HttpRequest) -> HttpResponse:
    """A browser's question before the call; it carries no key, so any source's origin will do here."""
    is_allowed = origin_is_known_safely(request.headers.get("Origin", ""))
    return HttpResponse(status=204, headers=preflight_headers(request, is_allowed=is_allowed))


def _receive(request: HttpRequest, kind: str | None) -> HttpResponse:
    received_at = utc_now()
    body = body_inflate(
        _body(request), request.headers.get("Content-Encoding", ""), settings.CONFIG.cdp_collect_max_body_bytes
    )
    outside = credentials_from(request.headers.get("Authorization", "")) or request.GET.get("writeKey", "")
    source = source_check(outside) if outside else None  # judged before the body is read
    envelope = envelope_read(body, is_batch=kind is None)
    source = source or source_check(envelope.write_key or "")
    origin_check(request, source)
    if wait := calls_allow(source.source_no, max(1, len(envelope.items)), settings.CONFIG.cdp_collect_rate_per_second):
        reply = ErrorReply(429, "rate_limited", "This write key sends too fast.", headers={"Retry-After": str(wait)})
        return reply.response()
    sent_at = request.headers.get("SentAt")
    accepted, refused = items_check(envelope, kind=kind, sent_at_header=sent_at, received_at=received_at)
    around = around_pack(envelope, kind, sent_at) if refused else b""
    calls_receive(source.source_no, accepted, refused, received_at, around=around)
    if not refused:
        return HttpResponse(SUCCESS, content_type="application/json")
    return JsonResponse({"success": True, "errors": [_shown(each) for each in refused[:MAX_ERRORS_SHOWN]]})


def _shown(refused: Refused) -> dict[str, object]:
    return {
        "index": refused.index,
        "field": refused.problem.field,
        "code": refused.problem.code,
        "message": refused.problem.message,
    }


def _body(request: HttpRequest) -> bytes:
    too_large = RejectedError("The body is too large; send smaller batches.", code="too_large")
    try:
        return request.body
    except RequestDataTooBig as error:
        raise too_large from error
    except UnreadablePostError as error:
        raise RejectedError("The body ended early.", code="json", field="body") from error


def source_check(write_key: str) -> SourceFacts:
    """The source behind a write key. Raises RejectedError ``unauthenticated`` (401)."""
    source = source_find(write_key) if write_key else None
    if source is None:
        message = "The write key is unknown or switched off." if write_key else "Send a write key."
        raise RejectedError(message, code="unauthenticated", field="writeKey")
    return source


def origin_check(request: HttpRequest, source: SourceFacts) -> None:
    """Pages send their origin; servers and apps send none. Raises RejectedError ``forbidden`` (403)."""
    origin = request.headers.get("Origin")
    if origin is not None and not source.lets_in(origin):
        raise RejectedError(
            "This source does not let pages of this origin in; add it to the source's allowed origins.",
            code="forbidden",
            field="Origin",
        )


def collect_view(kind: str | None) -> Callable[[HttpRequest], HttpResponse]:
    """The view of one address."""

    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        return collect(request, kind)

    return view
