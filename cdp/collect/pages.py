"""Data sources: where people and events come from, what was refused and why, how far each file got."""

import datetime as dt
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.access.services import audit
from cdp.collect.models import ImportRun, Reject, Source
from cdp.collect.rejects import reject_sample
from cdp.collect.selectors import sources_forget
from cdp.collect.services import source_create
from cdp.collect.tailing import WINDOW_ROWS, tail_read
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now
from cdp.identity.masking import DOTS
from cdp.screen.listing import number_or_none, page_of
from cdp.screen.page import actor_name, crumb, page_render, staff_page

PAGE_ROWS = 50
KINDS = (("web", "Website"), ("server", "Server"), ("app", "App"), ("file", "File"))


@require_safe
@staff_page("cdp.view_source")
def sources_page(request: HttpRequest) -> HttpResponseBase:
    """Sources with their last event and their refusals of 7 days, and the latest files."""
    since = utc_now() - dt.timedelta(days=7)
    refused = dict(
        Reject.objects.open().filter(received_at__gte=since).values_list("source_id").annotate(n=Count("pk"))
    )
    return page_render(
        request,
        "cdp/sources.html",
        "Data sources",
        lines=[(source, refused.get(source.source_no, 0)) for source in Source.objects.order_by("source_no")],
        refused_total=sum(refused.values()),
        runs=list(ImportRun.objects.select_related("source").order_by("-run_no")[:10]),
        base_url=request.build_absolute_uri("/").rstrip("/"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("cdp.add_source")
def source_new_page(request: HttpRequest) -> HttpResponseBase:
    """A new source; its write key stands on the next page."""
    title = request.POST.get("title", "").strip()
    kind = request.POST.get("kind", "web")
    origins = origins_of(request.POST.get("allowed_origins", ""))
    problems: dict[str, str] = {}
    if request.method == "POST":
        problems = source_problems(title, kind, origins)
        if not problems:
            try:
                source = source_create(
                    slugify(title)[:60], title, kind, actor=actor_name(request), allowed_origins="\n".join(origins)
                )
            except RejectedError as error:
                problems["title"] = error.message
            else:
                messages.success(request, "Created. Give the write key below to the website or the app.")
                return redirect("page:source", source.source_no)
    return page_render(
        request,
        "cdp/source_form.html",
        "New data source",
        crumbs=(crumb("Data sources", "sources"),),
        status=400 if problems else 200,
        kinds=KINDS,
        problems=problems,
        values={"title": title, "kind": kind, "allowed_origins": "\n".join(origins)},
    )


def origins_of(text: str) -> list[str]:
    """One origin a line, without blank ones and trailing slashes."""
    return [line.strip().rstrip("/") for line in text.splitlines() if line.strip()]


def source_problems(title: str, kind: str, origins: list[str]) -> dict[str, str]:
    """What is wrong with the form, by field: what to enter."""
    problems = {}
    if not slugify(title):
        problems["title"] = "Enter a name with letters or digits."
    if kind not in dict(KINDS):
        problems["kind"] = "Choose website, server, app or file."
    if bad := [o for o in origins if o != "*" and not o.startswith(("https://", "http://"))]:
        problems["allowed_origins"] = f"Write each as https://shop.example: {bad[0]} has no https://."
    return problems


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("cdp.view_source")
def source_page(request: HttpRequest, source_no: int) -> HttpResponseBase:
    """One source: write key, how to connect, allowed origins; changes need the permission."""
    source = Source.objects.filter(source_no=source_no).first()
    if source is None:
        raise Http404
    problems: dict[str, str] = {}
    if request.method == "POST" and request.user.has_perm("cdp.change_source"):
        origins = origins_of(request.POST.get("allowed_origins", ""))
        title = request.POST.get("title", "").strip()
        problems = source_problems(title, source.kind, origins)
        if not problems:
            source.title, source.allowed_origins = title, "\n".join(origins)
            source.is_enabled = request.POST.get("is_enabled") == "yes"
            source.save(update_fields=["title", "allowed_origins", "is_enabled"])
            sources_forget()
            audit(actor_name(request), "source_changed", "source", source_no, {"is_enabled": source.is_enabled})
            messages.success(request, "Saved. It counts within three seconds.")
            return redirect("page:source", source_no)
    return page_render(
        request,
        "cdp/source.html",
        source.title,
        crumbs=(crumb("Data sources", "sources"),),
        status=400 if problems else 200,
        source=source,
        problems=problems,
        **tail_context(request, source),
    )


def tail_context(request: HttpRequest, source: Source) -> dict[str, Any]:
    """What the live tail shows: the lines, and without any how to send the first call."""
    return {
        "lines": tail_read(source.source_no),
        "masked_key": f"{source.write_key[:4]}{DOTS}",
        "window_rows": WINDOW_ROWS,
        "base_url": request.build_absolute_uri("/").rstrip("/"),
    }


@require_safe
@staff_page("cdp.view_source")
def source_tail_page(request: HttpRequest, source_no: int) -> HttpResponseBase:
    """The live tail alone, asked for every two seconds by an open page. Without the frame, which costs more than the rows."""
    source = Source.objects.filter(source_no=source_no).first()
    if source is None:
        raise Http404
    return render(request, "cdp/parts/tail.html", {"source": source, **tail_context(request, source)})


@require_safe
@staff_page("cdp.view_reject")
def rejects_page(request: HttpRequest) -> HttpResponseBase:
    """What was refused: counts by reason over 7 days, and the latest rows."""
    before_no, source_no = number_or_none(request.GET.get("before")), number_or_none(request.GET.get("source"))
    since = utc_now() - dt.timedelta(days=7)
    rejects = (
        Reject.objects.select_related("source", "import_run")
        .defer("sample_encrypted", "around_encrypted")
        .order_by("-reject_no")
    )
    reasons = Reject.objects.open().filter(received_at__gte=since)
    if source_no is not None:
        rejects, reasons = rejects.filter(source_id=source_no), reasons.filter(source_id=source_no)
    if before_no is not None:
        rejects = rejects.filter(reject_no__lt=before_no)
    found = list(rejects[: PAGE_ROWS + 1])
    return page_render(
        request,
        "cdp/rejects.html",
        "Refused rows",
        crumbs=(crumb("Data sources", "sources"),),
        source=Source.objects.filter(source_no=source_no).first() if source_no else None,
        source_no=source_no,
        reasons=list(
            reasons.values("source_id", "source__title", "code", "field")
            .annotate(rows=Count("pk"), whole=Count("pk", filter=Q(is_whole=True)))
            .order_by("-rows", "source_id", "code", "field")[:20]
        ),
        listed=page_of(found, PAGE_ROWS, [r.reject_no for r in found], is_first=before_no is None),
    )


@require_POST
@staff_page("cdp.change_reject")
def reject_sample_page(request: HttpRequest, reject_no: int) -> HttpResponseBase:
    """The refused row as it came: personal data, so the look is recorded."""
    reject = Reject.objects.select_related("source", "import_run").filter(reject_no=reject_no).first()
    if reject is None:
        raise Http404
    audit(actor_name(request), "reject_sample_shown", "reject", reject_no)
    return page_render(
        request,
        "cdp/reject_sample.html",
        f"Refused row {reject_no}",
        crumbs=(crumb("Data sources", "sources"), crumb("Refused rows", "rejects")),
        reject=reject,
        sample=reject_sample(reject),
    )
