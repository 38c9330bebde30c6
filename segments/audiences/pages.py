"""Segments: the table, and one segment with its rule, its size over time, its members and where it is used."""

import datetime as dt
from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from cdp.core.time import utc_now
from cdp.identity.newest import ShownPerson, people_shown
from cdp.screen.charts import spark_draw
from cdp.screen.page import crumb, page_render, staff_page
from cdp.screen.reading import rows
from cdp.screen.remember import remembered
from cdp.screen.words import number
from segments.audiences.listing import segment_lines, sizes_daily
from segments.audiences.models import Audience, Membership, SegmentSize
from segments.audiences.starters import rule_text, starters_offered
from segments.definition.models import Segment, SegmentVersion
from segments.definition.selectors import segments_naming

SAMPLE = 8
STALE_FACTOR = 2
FIGURE_SECONDS = 60.0


def people_total(now: dt.datetime) -> int:
    """Living profiles; the base of every share on these pages."""

    def count() -> int:
        found = rows("SELECT count(*) FROM cdp_profile WHERE merged_into_no IS NULL AND erased_at IS NULL")
        return int(found[0][0])

    return remembered("segments.people", FIGURE_SECONDS, now, count).value


@require_safe
@staff_page("segments.view_segment")
def segments_page(request: HttpRequest) -> HttpResponseBase:
    """Every segment with its size; with none, templates to start from."""
    now = utc_now()
    show_archived = request.GET.get("archived") == "yes"
    found = Segment.objects.select_related("current_version").order_by("-size", "title")
    listed = list(found if show_archived else found.exclude(state="archived"))
    total = people_total(now)
    return page_render(
        request,
        "segments/segments.html",
        "Segments",
        lines=segment_lines(listed, total, now),
        people=total,
        archived=Segment.objects.filter(state="archived").count(),
        show_archived=show_archived,
        starters=starters_offered(set(Segment.objects.values_list("key", flat=True))),
    )


@dataclass(frozen=True, slots=True)
class SizeState:
    """What the big number is: fresh, counting, stale or the last good one after a failure."""

    tone: str
    words: str
    is_old: bool


def size_state(segment: Segment, now: dt.datetime) -> SizeState:
    """How the count is shown, and why."""
    if segment.evaluated_at is None:
        return SizeState("", "counting" if segment.state == "counting" else "not counted yet", is_old=True)
    age = now - segment.evaluated_at
    if segment.state == "failed":
        return SizeState("ok", "last good count", is_old=False)
    current = segment.current_version
    if current is not None and segment.evaluated_version != current.version:
        return SizeState("", f"version {segment.evaluated_version}, counting version {current.version}", is_old=True)
    if age > dt.timedelta(minutes=segment.evaluate_every_minutes * STALE_FACTOR):
        return SizeState("warn", "older than promised", is_old=False)
    return SizeState("ok", "exact", is_old=False)


@require_safe
@staff_page("segments.view_segment")
def segment_page(request: HttpRequest, key: str) -> HttpResponseBase:
    """One segment."""
    segment = Segment.objects.select_related("current_version__created_by").filter(key=key).first()
    if segment is None:
        raise Http404
    now = utc_now()
    total = people_total(now)
    history = sizes_daily([segment.segment_no], now).get(segment.segment_no, [])
    sizes = [size for _, size in history]
    words = f"{len(sizes)} days, from {number(sizes[0])} to {number(sizes[-1])} people" if sizes else "Not counted yet"
    current = segment.current_version
    return page_render(
        request,
        "segments/segment.html",
        segment.title,
        crumbs=(crumb("Segments", "segments"),),
        segment=segment,
        current=current,
        definition=rule_text(current.definition) if current else "",
        state=size_state(segment, now),
        share=segment.size / total if segment.size is not None and total else None,
        people=total,
        spark=spark_draw(sizes, words, width=560, height=90),
        history=list(reversed(history)),
        counts=list(SegmentSize.objects.filter(segment_no=segment.segment_no).order_by("-at")[:8]),
        versions=list(SegmentVersion.objects.filter(segment=segment).select_related("created_by")[:20]),
        members=members_sample(segment.segment_no),
        audiences=list(Audience.objects.filter(segment=segment).prefetch_related("targets__connection")),
        named_by=segments_naming(key),
    )


@dataclass(frozen=True, slots=True)
class Member:
    entered_at: dt.datetime
    person: ShownPerson


def members_sample(segment_no: int) -> list[Member]:
    """The people who joined last, masked."""
    newest = Membership.objects.filter(segment_no=segment_no, exited_at=None).order_by("-entered_at")
    entered: dict[int, dt.datetime] = dict(newest.values_list("profile_no", "entered_at")[:SAMPLE])
    shown = people_shown(list(entered))
    return [Member(at, shown[no]) for no, at in entered.items() if no in shown]
