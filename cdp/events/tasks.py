"""Ticks of the event store. Each does what is due and nothing else, so one too many costs nothing."""

import structlog
from celery import shared_task

from cdp.core.errors import RetryableError
from cdp.core.time import utc_now
from cdp.events import services

__all__ = ["events_flush", "store_upkeep"]

log = structlog.get_logger(__name__)


@shared_task(autoretry_for=(RetryableError,), retry_backoff=2, max_retries=3)  # type: ignore[untyped-decorator]
def events_flush() -> None:
    """Tail to files."""
    services.events_flush(utc_now())


@shared_task(autoretry_for=(RetryableError,), retry_backoff=10, max_retries=3)  # type: ignore[untyped-decorator]
def store_upkeep() -> None:
    """Partitions, erasure in files, folding, compaction, sweep."""
    services.store_upkeep(utc_now())
