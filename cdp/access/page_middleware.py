"""Middleware that pages need and machine routes do not: sessions, CSRF, log-in, messages, page policy.

The profile API and the collecting routes know their callers by key alone; half the processor time of a profile read went into
middleware that found nothing to do.
"""

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.deprecation import MiddlewareMixin

MACHINE_PREFIXES = ("/api/v1/", "/v1/")
PROBES = ("/healthz", "/readyz", "/metrics")


class PagesOnly(MiddlewareMixin):
    """Passes machine routes on untouched. Mixed in before a middleware of Django's own style."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(MACHINE_PREFIXES):
            return self.get_response(request)  # type: ignore[return-value]  # the stubs allow a coroutine, which WSGI has not
        return super().__call__(request)  # type: ignore[return-value]


class HostNames(CommonMiddleware):
    """Only known host names are answered, except to probes: those call by loopback or container address, whatever the hosts."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:  # type: ignore[override]
        return None if request.path_info in PROBES else super().process_request(request)


class PagePolicy(PagesOnly, ContentSecurityPolicyMiddleware):
    """Content-Security-Policy."""


class PageSession(PagesOnly, SessionMiddleware):
    """Sessions."""


class PageCsrf(PagesOnly, CsrfViewMiddleware):
    """CSRF. Machine routes take no cookies."""


class PageLogin(PagesOnly, AuthenticationMiddleware):
    """``request.user``."""


class PageMessages(PagesOnly, MessageMiddleware):
    """Messages."""
