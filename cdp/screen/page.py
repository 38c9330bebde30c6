"""What every page of the admin has in common: log-in, permission, frame, crumbs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse

View = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of the breadcrumb: title and address."""

    title: str
    url: str


def crumb(title: str, name: str, *args: object) -> Crumb:
    """A step to the page called ``name`` (below ``page:``)."""
    return Crumb(title, reverse(f"page:{name}", args=args))


def staff_page(permission: str) -> Callable[[View], View]:
    """A page for staff with ``permission``; anybody else gets the log-in page, staff without it a 403."""

    def wrap(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if not request.user.has_perm(permission):
                raise PermissionDenied(permission)
            return view(request, *args, **kwargs)

        @wraps(view)
        def entry(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            # admin.site is Unfold's only after the apps are ready, so it is asked for each time
            return admin.site.admin_view(checked)(request, *args, **kwargs)

        return entry

    return wrap


def page_render(
    request: HttpRequest,
    template: str,
    title: str,
    *,
    crumbs: tuple[Crumb, ...] = (),
    status: int = 200,
    **context: Any,
) -> TemplateResponse:
    """The template inside the frame."""
    frame = admin.site.each_context(request)
    return TemplateResponse(request, template, {**frame, "title": title, "crumbs": crumbs, **context}, status=status)


def actor_name(request: HttpRequest) -> str:
    """The staff log-in name for the audit log."""
    return request.user.get_username()
