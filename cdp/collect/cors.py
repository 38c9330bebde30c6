"""Which web pages may send: the answers browsers ask for before they let a page's script through."""

from django.http import HttpRequest, HttpResponseBase

# What the browser clients of Segment and RudderStack send beyond the simple headers (reference: ecosystem §5);
# without the retry headers every retry of theirs fails.
ALLOW_HEADERS = (
    "authorization, content-type, content-encoding, anonymousid, sentat, x-retry-count, "
    "rsa-retry-attempt, rsa-retry-reason, rsa-since-first-attempt, rsa-since-last-attempt"
)
MAX_AGE_SECONDS = 7_200


def preflight_headers(request: HttpRequest, *, is_allowed: bool) -> dict[str, str]:
    """Headers of the answer to OPTIONS. Without permission there are none, and the browser stops the page."""
    headers = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
    if is_allowed:
        headers |= {
            "Access-Control-Allow-Origin": request.headers.get("Origin", ""),
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": ALLOW_HEADERS,
            "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
        }
    return headers


def origin_echo(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let the page read this answer. Retry-After is exposed, since the clients wait by it."""
    origin = request.headers.get("Origin")
    if origin:
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = "Retry-After, X-Request-ID"
        response["Vary"] = "Origin"
