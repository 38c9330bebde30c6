"""Wake-ups: drain the inbox, forget old rejects.

Beat ticks once a second and a tick drains until nothing is left, so an event is seen within about a second and a request
sends no message of its own.
"""

import time

import structlog
from celery import shared_task

from cdp.collect import services
from cdp.core.errors import RetryableError
from cdp.core.time import utc_now

CHUNK = 2_000
SLOTS = 2  # more would only wait for each other at the identity lock
WORK_SECONDS = 20.0
logger = structlog.get_logger(__name__)


@shared_task(name="cdp.collect.tasks.inbox_drain", ignore_result=True)  # type: ignore[untyped-decorator]
def inbox_drain() -> None:
    """One tick: at most 20 seconds of draining. Where two run already, none more is needed."""
    slot = services.drain_slot_take(SLOTS)
    if slot is None:
        return
    started = time.monotonic()
    total = services.DrainResult()
    try:
        while time.monotonic() - started < WORK_SECONDS:
            result = services.inbox_drain(CHUNK, utc_now())
            total.add(result)
            if result.taken + result.deferred == 0:
                break
    except RetryableError as error:
        logger.warning("inbox_drain_paused", error=type(error.__cause__).__name__)
    finally:
        services.drain_slot_leave(slot)
    if total.taken:
        ms = round((time.monotonic() - started) * 1e3)
        logger.info("inbox_drained", calls=total.taken, events=total.events, refused=total.refused, ms=ms)


@shared_task(name="cdp.collect.tasks.rejects_sweep", ignore_result=True)  # type: ignore[untyped-decorator]
def rejects_sweep() -> None:
    """Remove rejects older than 30 days, and what the live tail remembers of repeats after an hour."""
    services.repeats_sweep(utc_now())
    removed = services.rejects_sweep(utc_now())
    if removed:
        logger.info("rejects_swept", rejects=removed)
