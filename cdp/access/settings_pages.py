"""Settings: API keys, the audit log, who may log in, how the service is doing."""

import datetime as dt

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.access.health import readiness
from cdp.access.models import ApiKey, AuditEntry
from cdp.access.scopes import SCOPES
from cdp.access.services import api_key_create, api_key_revoke
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now
from cdp.screen.listing import number_or_none, page_of
from cdp.screen.page import actor_name, crumb, page_render, staff_page

PAGE_ROWS = 100
LIFETIMES = (("", "No end"), ("90", "90 days"), ("365", "One year"))


@require_safe
@staff_page("cdp.view_auditentry")
def settings_page(request: HttpRequest) -> HttpResponseBase:
    """API keys, staff, what the workspace is set to, and whether every part answers."""
    config = settings.CONFIG
    return page_render(
        request,
        "cdp/settings.html",
        "Settings",
        now=utc_now(),
        keys=list(ApiKey.objects.order_by("revoked_at", "-created_at")[:50]),
        staff=list(get_user_model().objects.filter(is_staff=True).order_by("username")[:50]),
        entries=list(AuditEntry.objects.order_by("-at")[:8]),
        checks=readiness(utc_now()),
        facts=[
            ("Time zone", config.cdp_time_zone),
            ("Currency", config.cdp_currency),
            ("Default holdout", f"{config.cdp_holdout_share:.0%}".replace("%", " %")),
            ("Event files", "bucket" if settings.CDP_EVENT_STORAGE_URL.startswith("s3") else "this machine"),
            ("Job queue", settings.CELERY_BROKER_URL.partition(":")[0]),
            ("Environment", config.cdp_env),
        ],
    )


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("cdp.add_apikey")
def api_key_new_page(request: HttpRequest) -> HttpResponseBase:
    """A new API key: its text is shown once, on the answer to this very post, and is never readable again."""
    name, scopes = request.POST.get("name", "").strip(), request.POST.getlist("scopes")
    days = number_or_none(request.POST.get("days"))
    problems: dict[str, str] = {}
    text = ""
    if request.method == "POST":
        if not name:
            problems["name"] = "Enter what uses the key, such as “shop back end”."
        else:
            try:
                expires_at = utc_now() + dt.timedelta(days=days) if days else None
                _, text = api_key_create(name[:80], scopes, actor=actor_name(request), expires_at=expires_at)
            except RejectedError as error:
                problems[error.field] = error.message
    return page_render(
        request,
        "cdp/api_key_new.html",
        "New API key",
        crumbs=(crumb("Settings", "settings"),),
        status=400 if problems else 200,
        text=text,
        all_scopes=SCOPES,
        lifetimes=LIFETIMES,
        problems=problems,
        values={"name": name, "scopes": scopes, "days": request.POST.get("days", "")},
    )


@require_POST
@staff_page("cdp.change_apikey")
def api_key_revoke_page(request: HttpRequest, prefix: str) -> HttpResponseBase:
    """Close a key for good."""
    if api_key_revoke(prefix, actor=actor_name(request), now=utc_now()):
        messages.success(request, "Revoked. Calls with this key are refused within five seconds.")
    else:
        messages.error(request, "There is no live key with this beginning.")
    return redirect("page:settings")


@require_safe
@staff_page("cdp.view_auditentry")
def audit_page(request: HttpRequest) -> HttpResponseBase:
    """Who did what to which thing, newest first."""
    before_no = number_or_none(request.GET.get("before"))
    entries = AuditEntry.objects.order_by("-pk")
    if before_no is not None:
        entries = entries.filter(pk__lt=before_no)
    found = list(entries[: PAGE_ROWS + 1])
    return page_render(
        request,
        "cdp/audit.html",
        "Audit log",
        crumbs=(crumb("Settings", "settings"),),
        listed=page_of(found, PAGE_ROWS, [e.pk for e in found], is_first=before_no is None),
    )
