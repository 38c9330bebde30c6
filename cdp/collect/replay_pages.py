"""Refused calls are sent through the checks again once the cause is mended: one, or all of one reason of a source."""

from collections import Counter

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from cdp.collect.models import Reject, RejectQuerySet, Source
from cdp.collect.services import REPLAY_AT_ONCE, Replayed, rejects_replay
from cdp.core.errors import RetryableError
from cdp.core.time import utc_now
from cdp.screen.listing import number_or_none
from cdp.screen.page import actor_name, crumb, page_render, staff_page

MOST_AT_ONCE = 2_000
SHOWN_ROWS = 200
AGAIN = "Not sent again: the database did not answer. Nothing has changed; try once more."


@require_POST
@staff_page("cdp.change_reject")
def reject_replay_page(request: HttpRequest, reject_no: int) -> HttpResponseBase:
    """One refused call through the checks again; the outcome stands on the page of refused rows."""
    reject = Reject.objects.filter(reject_no=reject_no).only("source_id").first()
    if reject is None:
        raise Http404
    try:
        done = rejects_replay(reject.source_id, [reject_no], utc_now(), actor=actor_name(request))
    except RetryableError:
        messages.error(request, AGAIN)
    else:
        _tell(request, reject_no, done)
    return redirect(f"{reverse('page:rejects')}?source={reject.source_id}")


def _tell(request: HttpRequest, reject_no: int, done: list[Replayed]) -> None:
    if not done:
        obstacle = Reject.objects.get(reject_no=reject_no).obstacle
        messages.warning(request, f"Row {reject_no} was not sent again. {obstacle}.")
    elif done[0].outcome == "accepted":
        messages.success(request, f"Row {reject_no} is accepted now.")
    elif done[0].problem is None:
        messages.info(request, f"Row {reject_no} had come in since; nothing was counted twice.")
    else:
        messages.warning(request, f"Row {reject_no} is still refused: {done[0].problem.message}")


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("cdp.change_reject")
def rejects_replay_page(request: HttpRequest, source_no: int, code: str) -> HttpResponseBase:
    """All refused calls of one source and one reason: first how many, then the outcome of each.

    ``up_to`` is the last row that the question counted, so that nothing joins between question and answer.
    """
    source = Source.objects.filter(source_no=source_no).first()
    if source is None:
        raise Http404
    values = request.POST if request.method == "POST" else request.GET
    field, after = values.get("field"), number_or_none(values.get("after")) or 0
    rows = Reject.objects.open().filter(source_id=source_no, import_run=None, is_kept=False, code=code)
    if field is not None:
        rows = rows.filter(field=field)
    up_to = number_or_none(request.POST.get("up_to"))
    done: list[Replayed] = []
    is_done = request.method == "POST" and up_to is not None
    if is_done and up_to is not None:
        try:
            done = _replay(source_no, rows, after, up_to, actor=actor_name(request))
        except RetryableError:
            messages.error(request, AGAIN)
            is_done = False
        else:
            after = done[-1].reject_no if done else up_to
    left = rows.replayable().filter(reject_no__gt=after)
    if is_done:
        left = left.filter(reject_no__lte=up_to)
    last = rows.order_by("-reject_no").values_list("reject_no", flat=True).first()
    return page_render(
        request,
        "cdp/replay.html",
        "Send refused rows again",
        crumbs=(crumb("Data sources", "sources"), crumb("Refused rows", "rejects")),
        source=source,
        code=code,
        field=field,
        after=after,
        up_to=up_to if is_done else last or 0,
        is_done=is_done,
        left=left.count(),
        lost=0 if is_done else rows.filter(is_whole=False).count(),
        counts=Counter(each.outcome for each in done),
        done=done[:SHOWN_ROWS],
        done_total=len(done),
        most=MOST_AT_ONCE,
    )


def _replay(source_no: int, rows: RejectQuerySet, after: int, up_to: int, *, actor: str) -> list[Replayed]:
    """At most 2,000 rows between two numbers, 500 in a transaction."""
    wanted = rows.replayable().filter(reject_no__gt=after, reject_no__lte=up_to).order_by("reject_no")
    numbers = list(wanted.values_list("reject_no", flat=True)[:MOST_AT_ONCE])
    done: list[Replayed] = []
    for start in range(0, len(numbers), REPLAY_AT_ONCE):
        done += rejects_replay(source_no, numbers[start : start + REPLAY_AT_ONCE], utc_now(), actor=actor)
    return done
