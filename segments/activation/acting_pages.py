"""Acts on audiences: make one, try it, send it, pause it, decide about a stopped run."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST

from cdp.access.services import audit
from cdp.consent.models import DestinationPurpose, Purpose
from cdp.core.errors import NeedsHumanError, RejectedError
from cdp.core.time import utc_now
from cdp.screen.page import actor_name, crumb, page_render, staff_page
from segments.activation import pages
from segments.activation.dry_run import target_dry_run
from segments.activation.models import AudienceTarget, Connection, Sync
from segments.activation.services import (
    audience_target_save,
    sync_approve,
    sync_cancel,
    sync_send_additions,
)
from segments.activation.tasks import target_turn
from segments.audiences.addressing import audience_save
from segments.audiences.models import Audience
from segments.definition.models import Segment

HOLDOUTS = ((0.0, "None"), (0.05, "5 %"), (0.1, "10 %"), (0.2, "20 %"))
EVERY = ((15, "15 minutes"), (60, "Hour"), (1_440, "Day"))


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("segments.add_audience")
def audience_new_page(request: HttpRequest) -> HttpResponseBase:
    """Segment, purposes, holdout and where it goes: one form, one list at one network."""
    problems: dict[str, str] = {}
    values = form_values(request)
    if request.method == "POST":
        try:
            target = audience_make(request, values)
        except RejectedError as error:
            problems[error.field] = error.message
        else:
            messages.success(request, "Made. Try a dry run, or sync now: nothing goes out before the first sync.")
            return redirect("page:target", target.target_no)
    mapped = dict(DestinationPurpose.objects.values_list("destination", "purposes"))
    return page_render(
        request,
        "segments/audience_new.html",
        "New audience",
        crumbs=(crumb("Audiences", "audiences"),),
        status=400 if problems else 200,
        segments=list(Segment.objects.exclude(state="archived").order_by("title")),
        connections=[(c, mapped.get(c.destination, [])) for c in Connection.objects.order_by("title")],
        purposes=list(Purpose.objects.all()),
        holdouts=HOLDOUTS,
        every=EVERY,
        values=values,
        problems=problems,
    )


def form_values(request: HttpRequest) -> dict[str, object]:
    """What was entered, or what the link that led here suggests."""
    if request.method == "POST":
        post = request.POST
        return {
            "title": post.get("title", "").strip(),
            "segment": post.get("segment", ""),
            "connection": post.get("connection", ""),
            "purposes": post.getlist("purposes"),
            "holdout": post.get("holdout", ""),
            "every": post.get("every", ""),
            "audience": post.get("audience", ""),
        }
    known = Audience.objects.select_related("segment").filter(key=request.GET.get("audience", "")).first()
    segment = known.segment if known else Segment.objects.filter(key=request.GET.get("segment", "")).first()
    return {
        "title": known.title if known else segment.title if segment else "",
        "segment": segment.key if segment else "",
        "connection": "",
        "purposes": known.purposes if known else ["advertising"],
        "holdout": str(known.holdout_share if known else 0.1),
        "every": "60",
        "audience": known.key if known else "",
    }


def audience_make(request: HttpRequest, values: dict[str, object]) -> AudienceTarget:
    """Save the audience and its list. Raises RejectedError naming the field and what to enter."""
    title = str(values["title"])
    key = str(values["audience"]) or slugify(title).replace("-", "_")[:60]
    if not title:
        raise RejectedError("Enter a title.", field="title")
    if not values["segment"]:
        raise RejectedError("Choose a segment.", field="segment")
    if not values["connection"]:
        raise RejectedError("Choose where the list goes.", field="connection")
    if not values["audience"] and Audience.objects.filter(key=key).exists():
        raise RejectedError("There is an audience with this title already. Enter another title.", field="title")
    if float(str(values["holdout"]) or 0) not in dict(HOLDOUTS) or int(str(values["every"]) or 0) not in dict(EVERY):
        raise RejectedError("Choose one of the offered values.", field="holdout")
    actor = actor_name(request)
    audience_save(
        key,
        title,
        str(values["segment"]),
        list(values["purposes"]),  # type: ignore[call-overload]
        holdout_share=float(str(values["holdout"])),
        actor=actor,
    )
    return audience_target_save(
        key, str(values["connection"]), actor=actor, sync_every_minutes=int(str(values["every"]))
    )


@require_POST
@staff_page("segments.change_audiencetarget")
def target_dry_run_page(request: HttpRequest, target_no: int) -> HttpResponseBase:
    """The page of the list with the numbers of a run that is not made."""
    target = pages.target_or_404(target_no)
    try:
        dry = target_dry_run(target, utc_now())
    except NeedsHumanError as error:
        messages.error(request, error.message)
        return redirect("page:target", target_no)
    return pages.target_render(request, target, dry=dry)


@require_POST
@staff_page("segments.change_audiencetarget")
def target_sync_page(request: HttpRequest, target_no: int) -> HttpResponseBase:
    """Ask a worker for a run now."""
    pages.target_or_404(target_no)
    audit(actor_name(request), "sync_asked", "audience_target", target_no)
    target_turn.delay(target_no, plan=True)
    messages.success(request, "A worker takes it up now. This page shows the run; reload in a moment.")
    return redirect("page:target", target_no)


@require_POST
@staff_page("segments.change_audiencetarget")
def target_pause_page(request: HttpRequest, target_no: int) -> HttpResponseBase:
    """Pause or resume the regular runs of one list."""
    target = pages.target_or_404(target_no)
    audience_target_save(
        target.audience.key,
        target.connection.key,
        actor=actor_name(request),
        external_id=target.external_id,
        sync_every_minutes=target.sync_every_minutes,
        max_removal_share=target.max_removal_share,
        is_enabled=not target.is_enabled,
    )
    messages.success(request, "Paused. Nothing is sent until you resume." if target.is_enabled else "Resumed.")
    return redirect("page:target", target_no)


def decide(request: HttpRequest, sync_no: int, act: str) -> HttpResponseBase:
    """Carry a decision out and tell how it went."""
    actor, now = actor_name(request), utc_now()
    try:
        match act:
            case "approve":
                expected = request.POST.get("expected_removals", "")
                sync = sync_approve(
                    sync_no,
                    user_id=request.user.pk or 0,
                    actor=actor,
                    now=now,
                    expected_removals=int(expected) if expected.isdigit() else None,
                )
                words = "Approved. The run goes out as planned."
            case "additions":
                sync, words = sync_send_additions(sync_no, actor=actor, now=now), "Only the additions go out."
            case _:
                sync, words = sync_cancel(sync_no, actor=actor, now=now), "Cancelled. The list stays as it is."
    except RejectedError as error:
        messages.error(request, error.message)
        found = Sync.objects.filter(sync_no=sync_no).values_list("target_id", flat=True).first()
        return redirect("page:target", found) if found else redirect("page:audiences")
    if act != "cancel":
        target_turn.delay(sync.target_id, plan=False)
    messages.success(request, words)
    return redirect("page:target", sync.target_id)


@require_POST
@staff_page("segments.change_sync")
def sync_approve_page(request: HttpRequest, sync_no: int) -> HttpResponseBase:
    """Send a stopped run, removals and all."""
    return decide(request, sync_no, "approve")


@require_POST
@staff_page("segments.change_sync")
def sync_cancel_page(request: HttpRequest, sync_no: int) -> HttpResponseBase:
    """Drop a stopped run."""
    return decide(request, sync_no, "cancel")


@require_POST
@staff_page("segments.change_sync")
def sync_additions_page(request: HttpRequest, sync_no: int) -> HttpResponseBase:
    """Send a stopped run's additions only."""
    return decide(request, sync_no, "additions")
