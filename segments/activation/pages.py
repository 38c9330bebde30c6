"""Audiences: every list at every network, one of them with what is wanted and what was sent, and one run."""

from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from cdp.consent.models import DestinationPurpose, Purpose
from cdp.core.time import utc_now
from cdp.identity.newest import people_shown
from cdp.screen.listing import number_or_none, page_of
from cdp.screen.page import crumb, page_render, staff_page
from segments.activation import reading
from segments.activation.connections import purposes_told
from segments.activation.decisions import is_author
from segments.activation.dry_run import DryRun
from segments.activation.models import AudienceTarget, RemovalReceipt, Sync, SyncBatch, SyncOutcome
from segments.activation.selectors import on_list_counts
from segments.audiences.models import Audience
from segments.destinations.registry import destinations

RUN_ROWS = 30


@require_safe
@staff_page("segments.view_audiencetarget")
def audiences_page(request: HttpRequest) -> HttpResponseBase:
    """Every audience and its lists, stopped ones first."""
    now = utc_now()
    lines = reading.sync_lines(now)
    idle = Audience.objects.annotate(lists=Count("targets")).filter(lists=0).select_related("segment").order_by("title")
    return page_render(
        request,
        "segments/audiences.html",
        "Audiences",
        lines=lines,
        idle=list(idle),
        stopped=sum(line.last is not None and line.last.state == "stopped" for line in lines),
    )


@require_safe
@staff_page("segments.view_audiencetarget")
def target_page(request: HttpRequest, target_no: int) -> HttpResponseBase:
    """One list: what is decided now, the way from segment to list, runs, outcomes, receipts, holdout."""
    return target_render(request, target_or_404(target_no))


def target_render(request: HttpRequest, target: AudienceTarget, dry: DryRun | None = None) -> HttpResponseBase:
    """The page of a list, with the numbers of a dry run when one was asked for."""
    now, target_no = utc_now(), target.target_no
    destination = destinations().get(target.connection.destination)
    runs = list(Sync.objects.filter(target=target).select_related("approved_by").order_by("-sync_no")[:RUN_ROWS])
    regular = [run for run in runs if run.lane == "regular"]
    last = regular[0] if regular else None
    counted = next((run for run in regular if run.reach), None)
    mapped = DestinationPurpose.objects.filter(destination=target.connection.destination).first()
    receipts = list(RemovalReceipt.objects.filter(target=target).order_by("-receipt_no")[:10])
    titles = dict(Purpose.objects.values_list("key", "title"))
    told = purposes_told(target.connection) if destination else []
    needed = sorted({*target.audience.purposes, *(mapped.purposes if mapped else []), *told})
    return page_render(
        request,
        "segments/target.html",
        f"{target.audience.title} → {target.connection.title}",
        crumbs=(crumb("Audiences", "audiences"),),
        target=target,
        destination=destination,
        unmapped=mapped is None,
        purposes=[titles.get(key, key) for key in needed],
        on_list=on_list_counts([target_no])[target_no],
        stopped=last if last is not None and last.state == "stopped" else None,
        split=reading.split_picture(last) if last is not None and last.state == "stopped" else None,
        own_rule=last is not None and is_author(last, request.user.pk or 0),
        dry=dry,
        dry_steps=reading.waterfall(dry.reach) if dry else (),
        counted=counted,
        steps=reading.waterfall(counted.reach) if counted else (),
        runs=regular[:8],
        run_total=Sync.objects.filter(target=target, lane="regular").count(),
        outcomes=reading.outcomes_of_week(target_no, now),
        receipts=reading.receipt_lines(receipts, now),
        minimum=destination.capabilities.minimum_size if destination else 0,
    )


def target_or_404(target_no: int) -> AudienceTarget:
    """The target with audience, segment and connection."""
    found = AudienceTarget.objects.select_related("audience__segment", "connection").filter(target_no=target_no).first()
    if found is None:
        raise Http404
    return found


@require_safe
@staff_page("segments.view_audiencetarget")
def target_runs_page(request: HttpRequest, target_no: int) -> HttpResponseBase:
    """All runs of one list, newest first."""
    target = target_or_404(target_no)
    before_no = number_or_none(request.GET.get("before"))
    runs = Sync.objects.filter(target=target).order_by("-sync_no")
    if before_no is not None:
        runs = runs.filter(sync_no__lt=before_no)
    found = list(runs[: RUN_ROWS + 1])
    return page_render(
        request,
        "segments/target_runs.html",
        f"Runs of {target.audience.title} → {target.connection.title}",
        crumbs=(crumb("Audiences", "audiences"), crumb(str(target), "target", target_no)),
        crumb_title="Runs",
        target=target,
        listed=page_of(found, RUN_ROWS, [run.sync_no for run in found], is_first=before_no is None),
    )


@require_safe
@staff_page("segments.view_sync")
def sync_page(request: HttpRequest, sync_no: int) -> HttpResponseBase:
    """One run: counts by outcome, requests, refused people by id."""
    sync = (
        Sync.objects.select_related("target__audience__segment", "target__connection", "approved_by")
        .filter(sync_no=sync_no)
        .first()
    )
    if sync is None:
        raise Http404
    outcomes = list(SyncOutcome.objects.filter(sync=sync).order_by("-count"))
    refused = reading.people_of_outcomes([o for o in outcomes if o.outcome != "accepted"])
    return page_render(
        request,
        "segments/sync.html",
        f"Run {sync.sync_no}",
        crumbs=(crumb("Audiences", "audiences"), crumb(str(sync.target), "target", sync.target.target_no)),
        sync=sync,
        steps=reading.waterfall(sync.reach) if sync.reach else (),
        outcomes=outcomes,
        rows_total=sum(o.count for o in outcomes),
        batches=list(SyncBatch.objects.filter(sync=sync).defer("profile_nos").order_by("batch_no")[:50]),
        batch_total=SyncBatch.objects.filter(sync=sync).count(),
        refused=list(people_shown(refused).values()),
        took_seconds=(sync.finished_at - sync.started_at).total_seconds() if sync.finished_at else None,
    )
