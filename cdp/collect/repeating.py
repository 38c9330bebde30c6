"""Calls that came twice leave no trace in the inbox; the live tail shows some of them all the same."""

import datetime as dt
import time
from collections.abc import Sequence

from cdp.collect.glimpses import glimpse_raw
from cdp.collect.models import RepeatedCall

NOTED_AT_ONCE = 10
KEPT = dt.timedelta(hours=1)
_noted: dict[int, float] = {}


def repeats_note(source_no: int, payloads: Sequence[bytes], received_at: dt.datetime) -> None:
    """Keep a glimpse of ten of them, at most once a second for each source and process: a storm of retries costs no more."""
    now = time.monotonic()
    if now - _noted.get(source_no, -1.0) < 1.0:
        return
    _noted[source_no] = now
    seen = [glimpse_raw(payload) for payload in payloads[:NOTED_AT_ONCE]]
    RepeatedCall.objects.bulk_create(
        RepeatedCall(source_no=source_no, kind=each.kind, name=each.name, person=each.person, received_at=received_at)
        for each in seen
    )


def repeats_sweep(now: dt.datetime) -> None:
    """Forget those older than an hour."""
    RepeatedCall.objects.filter(received_at__lt=now - KEPT).delete()


def repeats_forget() -> None:
    """Let the next one be noted at once: between two tests."""
    _noted.clear()
