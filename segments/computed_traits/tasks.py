"""Wake-ups for the computation of traits."""

import structlog
from celery import shared_task

from cdp.core.errors import RetryableError
from cdp.core.time import utc_now
from segments.computed_traits import services

log = structlog.get_logger(__name__)


@shared_task(name="segments.computed_traits.tasks.traits_compute_due")  # type: ignore[untyped-decorator]
def traits_compute_due() -> None:
    """Once a day, for the last midnight; a tick too many finds nothing due."""
    try:
        services.traits_compute_due(utc_now())
    except RetryableError:
        log.info("traits_compute_waits", reason="another run is under way")  # the next tick looks again


@shared_task(name="segments.computed_traits.tasks.traits_compute")  # type: ignore[untyped-decorator]
def traits_compute() -> None:
    """When somebody asks: every group, for the last midnight. Equal input is not computed again."""
    now = utc_now()
    try:
        services.traits_compute(services.as_of_default(now), now=now)
    except RetryableError:
        log.info("traits_compute_waits", reason="another run is under way")
