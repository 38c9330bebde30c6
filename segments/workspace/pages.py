"""The overview: how many people, what they are worth, who may be addressed, what goes out."""

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from cdp.consent.coverage import consent_changes, coverage_count
from cdp.core.time import utc_now
from cdp.screen.page import page_render, staff_page
from cdp.screen.remember import remembered
from segments.activation.reading import receipts_open, sync_lines
from segments.audiences.listing import segment_lines
from segments.computed_traits import pictures
from segments.computed_traits.models import ModelRun
from segments.computed_traits.selectors import run_in_use
from segments.definition.models import Segment
from segments.workspace import figures


@require_safe
@staff_page("cdp.view_profile")
def overview_page(request: HttpRequest) -> HttpResponseBase:
    """First page after the log-in. Useful with no rows at all: then it says what to do first."""
    now = utc_now()
    people = figures.people_count(now)
    rfm, ltv, clusters = (run_in_use(group) for group in ("rfm", "ltv", "cluster"))
    listed = Segment.objects.exclude(state="archived").select_related("current_version").order_by("-size", "title")
    open_removals = figures.removals_open()
    coverage = remembered(
        "overview.coverage", figures.BIG_TABLE_SECONDS, now, lambda: coverage_count(people.value.total, now)
    )
    return page_render(
        request,
        "segments/overview.html",
        "Overview",
        people=people.value,
        counted_at=people.at,
        orders=figures.orders_count(now).value,
        removals=open_removals,
        oldest_wait=(now - open_removals.oldest_at).total_seconds() if open_removals.oldest_at else None,
        heat=pictures.heat_map(rfm) if rfm else None,
        value=pictures.value_picture(ltv) if ltv else None,
        refused_ltv=None if ltv else ModelRun.objects.filter(group="ltv", state="refused").order_by("-run_no").first(),
        clusters=clusters,
        segment_total=listed.count(),
        segments=segment_lines(list(listed[:7]), people.value.total, now),
        coverage=coverage.value,
        changes=remembered("consent.changes", figures.BIG_TABLE_SECONDS, now, lambda: consent_changes(now)).value,
        expiring=sum(c.expiring for c in coverage.value),
        syncs=sync_lines(now, 8),
        waiting=receipts_open(now, 5),
        speeds=figures.network_speeds(now),
    )
