"""A number for every request, in its log lines and its answer, and a count of how it went."""

import re
from collections.abc import Callable
from time import perf_counter

import structlog
from django.http import HttpRequest, HttpResponseBase

from cdp.access.metrics import request_seconds, requests_total
from cdp.core.ids import uuid7

GIVEN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
SLOW_SECONDS = 1.0
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
logger = structlog.get_logger(__name__)

type Answer = Callable[[HttpRequest], HttpResponseBase]


def request_context(get_response: Answer) -> Answer:
    """Middleware. Takes over a well-formed X-Request-ID; logs the route and never the path, which may hold an id."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if GIVEN_ID.fullmatch(given) else str(uuid7())
        started = perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = get_response(request)
            seconds = perf_counter() - started
            match = request.resolver_match
            route = match.route if match else "unmatched"
            method = request.method if request.method in METHODS else "other"  # the client's own words make no labels
            requests_total.labels(route, method, response.status_code).inc()
            request_seconds.labels(route).observe(seconds)
            level = "info" if response.status_code >= 400 or seconds > SLOW_SECONDS else "debug"
            getattr(logger, level)(
                "request_done", route=route, method=method, status=response.status_code, ms=round(seconds * 1e3)
            )
        response["X-Request-ID"] = request_id
        return response

    return answer
