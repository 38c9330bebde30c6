"""Hot addresses as plain Django views that the API's document knows nevertheless.

DRF's dispatch alone costs more than the query of a profile read. The document is written from ``documented``, a view class
that carries scopes and schema; requests run ``handlers``.
"""

from collections.abc import Callable, Mapping
from functools import wraps

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.views import APIView

from cdp.access.authentication import Caller, authenticate_request
from cdp.access.exceptions import ErrorReply, error_response
from cdp.core.errors import NeedsHumanError, RejectedError, RetryableError

__all__ = ["json_response", "plain_view"]

type Handler = Callable[..., HttpResponse]


def plain_view(documented: type[APIView], handlers: Mapping[str, Handler]) -> Callable[..., HttpResponseBase]:
    """A view with keys, scopes and the one error body. A handler takes (request, caller, **address)."""
    scopes: Mapping[str, str] = documented.required_scopes  # type: ignore[attr-defined]
    allowed = ", ".join(sorted([*handlers, *(["HEAD"] if "GET" in handlers else [])]))

    @csrf_exempt
    @wraps(documented, assigned=("__doc__",), updated=())
    def view(request: HttpRequest, **address: str) -> HttpResponseBase:
        method = "GET" if request.method == "HEAD" else request.method or ""
        handler = handlers.get(method)
        if handler is None:
            return ErrorReply(405, "method", f"Use {allowed} here.", headers={"Allow": allowed}).response()
        try:
            caller: Caller = authenticate_request(request, scopes[method])
            return handler(request, caller, **address)
        except (RejectedError, RetryableError, NeedsHumanError) as error:
            return error_response(error)

    view.cls = documented  # type: ignore[attr-defined]
    view.initkwargs = {}  # type: ignore[attr-defined]
    return view


def json_response(body: bytes) -> HttpResponse:
    """200 with a JSON body that is not to be kept by anything in between."""
    return HttpResponse(body, content_type="application/json", headers={"Cache-Control": "private, no-store"})
