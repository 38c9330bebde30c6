"""Tick of consent: grants whose time is up become ``expired`` in the ledger, and removals follow."""

from celery import shared_task

from cdp.consent import services
from cdp.core.time import utc_now

__all__ = ["consents_expire"]


@shared_task  # type: ignore[untyped-decorator]
def consents_expire() -> None:
    """All that are due, in transactions of bounded size."""
    while services.consents_expire(utc_now()):
        pass
