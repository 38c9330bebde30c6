"""Tick of the profiles' copies. Does what is due and nothing else, so one too many costs nothing."""

from celery import shared_task

from cdp.core.errors import RetryableError
from cdp.core.time import utc_now
from cdp.profiles import services

__all__ = ["profiles_upkeep"]


@shared_task(autoretry_for=(RetryableError,), retry_backoff=5, max_retries=3)  # type: ignore[untyped-decorator]
def profiles_upkeep() -> None:
    """Fold changes, forget the erased in files, sweep."""
    services.profiles_upkeep(utc_now())
