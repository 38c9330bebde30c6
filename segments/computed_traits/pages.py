"""Models: what was computed, how far to trust it, and why a run was refused."""

import json

from django.conf import settings
from django.contrib import messages
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from cdp.access.services import audit
from cdp.screen.page import actor_name, crumb, page_render, staff_page
from cdp.screen.words import SYMBOLS
from segments.computed_traits import pictures
from segments.computed_traits.contract import groups_find
from segments.computed_traits.models import ModelRun
from segments.computed_traits.selectors import run_in_use
from segments.computed_traits.tasks import traits_compute

HISTORY = 30


def group_titles() -> dict[str, str]:
    """Title of every group, in the order of a run."""
    return {key: group.TITLE for key, group in groups_find().items()}


@require_safe
@staff_page("segments.view_modelrun")
def models_page(request: HttpRequest) -> HttpResponseBase:
    """Every group with the run in use and the latest one, the grid and the clusters."""
    latest_no = ModelRun.objects.values("group").annotate(no=Max("run_no")).values_list("no", flat=True)
    used_no = (
        ModelRun.objects.filter(state="published")
        .values("group")
        .annotate(no=Max("run_no"))
        .values_list("no", flat=True)
    )
    runs = {run.run_no: run for run in ModelRun.objects.filter(run_no__in=[*latest_no, *used_no])}
    lines = []
    used_by_group: dict[str, ModelRun | None] = {}
    for group, title in group_titles().items():
        mine = sorted((r for r in runs.values() if r.group == group), key=lambda r: r.run_no, reverse=True)
        used = next((r for r in mine if r.state == "published"), None)
        lines.append({"group": group, "title": title, "latest": mine[0] if mine else None, "used": used})
        used_by_group[group] = used
    rfm, ltv = used_by_group.get("rfm"), used_by_group.get("ltv")
    return page_render(
        request,
        "segments/models.html",
        "Models",
        lines=lines,
        any_run=bool(runs),
        heat=pictures.heat_map(rfm) if rfm else None,
        value=pictures.value_picture(ltv) if ltv else None,
        clusters=used_by_group.get("cluster"),
    )


@require_safe
@staff_page("segments.view_modelrun")
def run_page(request: HttpRequest, run_no: int) -> HttpResponseBase:
    """The report card of one run."""
    run = ModelRun.objects.filter(run_no=run_no).first()
    if run is None:
        raise Http404
    title = group_titles().get(run.group, run.group)
    if request.GET.get("as") == "json":
        body = json.dumps({"parameters": run.parameters, "report": run.report}, indent=2)
        return HttpResponse(body, content_type="application/json")
    in_use = run_in_use(run.group)
    return page_render(
        request,
        "segments/run.html",
        f"{title}: run {run.run_no}",
        crumbs=(crumb("Models", "models"),),
        crumb_title=f"{title}, run {run.run_no}",
        run=run,
        group_title=title,
        is_in_use=in_use is not None and in_use.run_no == run.run_no,
        took_seconds=(run.finished_at - run.started_at).total_seconds() if run.finished_at else None,
        tenths=pictures.tenths_picture(run.report, SYMBOLS.get(settings.CONFIG.cdp_currency, "")),
        calibration=pictures.calibration_picture(run.report),
        parameter_tables=pictures.parameter_tables(run.parameters),
        heat=pictures.heat_map(run) if run.group == "rfm" else None,
        value=pictures.value_picture(run, wide=True) if run.group == "ltv" else None,
        history=history_lines(run.group),
    )


def history_lines(group: str) -> list[dict[str, object]]:
    """The last runs of a group with the figures that stand in the history table."""
    lines = []
    for run in ModelRun.objects.filter(group=group).order_by("-run_no")[:HISTORY]:
        measures = {m["key"]: m for m in run.report.get("measures", [])}
        took = (run.finished_at - run.started_at).total_seconds() if run.finished_at else None
        first = next(iter(run.report.get("measures", [])), None)
        lines.append({"run": run, "took_seconds": took, "measures": measures, "first": first})
    return lines


@require_POST
@staff_page("segments.change_modelrun")
def run_again(request: HttpRequest) -> HttpResponseBase:
    """Ask a worker to compute every group now."""
    traits_compute.delay()
    audit(actor_name(request), "traits_compute_asked", "model", "all")
    messages.success(request, "A worker computes every group now. This page shows the new runs when they are done.")
    return redirect("page:models")
