"""What a browser client asks before it starts: Segment's settings, RudderStack's source configuration.

Both only say: send everything here, load nothing else.
"""

from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse, JsonResponse

from cdp.access.authentication import credentials_from
from cdp.access.exceptions import ErrorReply, error_response
from cdp.collect.api import origin_check, preflight, source_check
from cdp.collect.cors import origin_echo
from cdp.collect.selectors import SourceFacts
from cdp.core.errors import RejectedError, RetryableError

CACHE = {"Cache-Control": "public, max-age=60", "Vary": "Origin"}
ENABLED: dict[str, object] = {"__default": {"enabled": True, "integrations": {}}}


def segment_settings(request: HttpRequest, source: SourceFacts) -> dict[str, object]:
    """Configures @segment/analytics-next when only its ``cdnURL`` points here."""
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": source.write_key,
                "apiHost": f"{request.get_host()}/v1",
                "protocol": request.scheme,
                "addBundledMetadata": True,
                "unbundledIntegrations": [],
                "maybeBundledConfigIds": {},
                "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
            }
        },
        "plan": {"track": ENABLED, "identify": ENABLED, "group": ENABLED},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }


def rudder_source_config(request: HttpRequest, source: SourceFacts) -> dict[str, object]:
    """Configures @rudderstack/analytics-js when its ``configUrl`` points here."""
    return {
        "source": {
            "id": source.key,
            "name": source.title,
            "writeKey": source.write_key,
            "enabled": True,
            "workspaceId": "default",
            "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
            "destinations": [],
            "dataplanes": {},
        },
        "isHosted": False,
    }


def project_settings(request: HttpRequest, write_key: str) -> HttpResponse:
    """GET /v1/projects/<key>/settings"""
    return _answer(request, write_key, is_segment=True)


def source_config(request: HttpRequest) -> HttpResponse:
    """GET /sourceConfig/?writeKey=…, or the key as Basic user name"""
    given = credentials_from(request.headers.get("Authorization", ""))
    return _answer(request, given or request.GET.get("writeKey", ""), is_segment=False)


def _answer(request: HttpRequest, write_key: str, *, is_segment: bool) -> HttpResponse:
    if request.method == "OPTIONS":
        return preflight(request)
    if request.method not in {"GET", "HEAD"}:
        return ErrorReply(405, "method", "Read this by GET.", headers={"Allow": "GET, OPTIONS"}).response()
    try:
        source = source_check(write_key)
        origin_check(request, source)
    except RejectedError as error:
        return error_response(error)
    except DatabaseFailure:
        return error_response(RetryableError("The settings are out of reach for the moment."))
    found = segment_settings(request, source) if is_segment else rudder_source_config(request, source)
    response = JsonResponse(found, headers=CACHE)
    origin_echo(request, response)
    return response
