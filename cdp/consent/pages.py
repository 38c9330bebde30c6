"""Consent & privacy: coverage per purpose, and the ledger with its evidence, newest first."""

from django.db import connection
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from cdp.consent.coverage import consent_changes, coverage_count, ledger_page
from cdp.consent.models import DestinationPurpose, Notice, Purpose, Suppression
from cdp.core.time import utc_now
from cdp.screen.listing import number_or_none, page_of
from cdp.screen.page import page_render, staff_page
from cdp.screen.remember import remembered

PAGE_ROWS = 50
FIGURE_SECONDS = 60.0


@require_safe
@staff_page("cdp.view_consentrecord")
def consent_page(request: HttpRequest) -> HttpResponseBase:
    """Coverage, what changed, and the acts themselves."""
    now = utc_now()
    people = remembered("consent.people", FIGURE_SECONDS, now, people_total).value
    purpose_key = request.GET.get("purpose", "")
    before_no = number_or_none(request.GET.get("before"))
    records = ledger_page(before_no, PAGE_ROWS, purpose_key)
    ledger = page_of(records, PAGE_ROWS, [r.record_no for r in records], is_first=before_no is None)
    coverage = remembered("consent.coverage", FIGURE_SECONDS, now, lambda: coverage_count(people, now))
    purposes = list(Purpose.objects.all())
    titles = {purpose.key: purpose.title for purpose in purposes}
    holders = profile_ids_of([record.identifier_no for record in ledger.rows])
    return page_render(
        request,
        "cdp/consent.html",
        "Consent & privacy",
        people=people,
        coverage=coverage.value,
        counted_at=coverage.at,
        expiring=sum(c.expiring for c in coverage.value),
        changes=remembered("consent.changes", FIGURE_SECONDS, now, lambda: consent_changes(now)).value,
        suppressed=Suppression.objects.filter(lifted_at=None).count(),
        destinations=[
            (row.destination, [titles.get(key, key) for key in row.purposes])
            for row in DestinationPurpose.objects.order_by("destination")
        ],
        notices=list(Notice.objects.order_by("-published_at")[:10]),
        purposes=purposes,
        purpose_key=purpose_key,
        ledger=ledger,
        lines=[(record, holders.get(record.identifier_no)) for record in ledger.rows],
    )


def people_total() -> int:
    """Living profiles."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cdp_profile WHERE merged_into_no IS NULL AND erased_at IS NULL")
        row = cursor.fetchone()
    return int(row[0])


def profile_ids_of(identifier_nos: list[int]) -> dict[int, str]:
    """Public id of the person who holds each identifier now; erased identifiers have none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.identifier_no, p.profile_id FROM cdp_identifier i JOIN cdp_profile p USING (profile_no) "
            "WHERE i.identifier_no = ANY(%s)",
            [identifier_nos],
        )
        return {number: str(profile_id) for number, profile_id in cursor.fetchall()}
