"""Health, metrics and the answers for addresses that do not exist."""

import ipaddress

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cdp.access import metrics
from cdp.access.authentication import authenticate_request
from cdp.access.exceptions import ErrorReply, error_response
from cdp.access.health import readiness
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now

JSON_PATHS = ("/api/", "/v1/", "/beacon/", "/sourceConfig", "/healthz", "/readyz")
UP = metrics.Gauge("cdp_database_up", "1 when PostgreSQL answered this scrape.", (), "SELECT 1")


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers; asks nobody else."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when everything a request or a job needs is there, else 503 with the names of what is not."""
    checks = readiness(utc_now())
    failed = [check.name for check in checks if not check.ok]
    body = {
        "status": "failing" if failed else "ok",
        "failing": failed,
        "checks": {check.name: {"ok": check.ok, "detail": check.detail} for check in checks},
    }
    return JsonResponse(body, status=503 if failed else 200)


def is_loopback(request: HttpRequest) -> bool:
    """From this machine and not through a proxy."""
    if settings.CONFIG.cdp_trusted_proxies or "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


@never_cache
@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Prometheus text: open to this machine, to others with any live API key."""
    if not is_loopback(request):
        try:
            authenticate_request(request, None)
        except RejectedError as error:
            return error_response(error)
    readings: list[tuple[metrics.Gauge, list[tuple[object, ...]]]] = []
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '2s'")
            for gauge in metrics.gauges_registered():
                cursor.execute(gauge.sql)
                readings.append((gauge, cursor.fetchall()))
    except DatabaseFailure:
        readings = [(UP, [(0,)])]
    else:
        readings.append((UP, [(1,)]))
    return HttpResponse(metrics.exposition(readings), content_type=metrics.CONTENT_TYPE)


def _wants_json(request: HttpRequest) -> bool:
    return request.path.startswith(JSON_PATHS)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _wants_json(request):
        return ErrorReply(400, "invalid", "The request could not be read.").response()
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _wants_json(request):
        return ErrorReply(403, "forbidden", "You may not do this.").response()
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if _wants_json(request):
        return ErrorReply(404, "not_found", "There is nothing at this address.").response()
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    if _wants_json(request):
        return ErrorReply(500, "bug", "This is a fault of the service; it has been logged.").response()
    return defaults.server_error(request)
