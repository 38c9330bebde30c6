"""Wake-ups for memberships: rows that are due are claimed, so a tick too many or too few costs nothing but time."""

from celery import shared_task

from cdp.core.time import utc_now
from segments.audiences import services


@shared_task(name="segments.audiences.tasks.segments_evaluate_due")  # type: ignore[untyped-decorator]
def segments_evaluate_due() -> None:
    """Count every segment that is due, named ones first."""
    services.segments_evaluate_due(utc_now())


@shared_task(name="segments.audiences.tasks.segment_evaluate")  # type: ignore[untyped-decorator]
def segment_evaluate(segment_no: int) -> None:
    """Count one segment now, because somebody asked."""
    services.segment_evaluate(segment_no, utc_now())


@shared_task(name="segments.audiences.tasks.memberships_follow")  # type: ignore[untyped-decorator]
def memberships_follow() -> None:
    """Take erased people out at once; look again at segments of merged and parted ones."""
    now = utc_now()
    services.memberships_follow(now)
    services.changes_forget(now)
