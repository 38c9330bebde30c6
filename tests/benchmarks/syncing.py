"""How long an audience takes to reach a network: the first sync, and one after five in a hundred changed.

To Meta's stand-in as a process of its own; every person is decrypted, hashed, written down and confirmed one by one.
"""

import datetime as dt
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from django.db import connection

from cdp.core.time import utc_now
from segments.activation.bitmaps import bitmap_make, bitmap_pack
from segments.activation.models import AudienceTarget, Sync
from segments.activation.selectors import is_settled
from segments.activation.services import audience_target_save, batches_poll, sandbox_connections_ensure, target_run
from segments.audiences.addressing import audience_save
from segments.audiences.models import Audience, SegmentBitmap
from segments.definition.models import Segment
from tests.benchmarks.report import Figure
from tests.benchmarks.world import Size
from tests.sandbox_stage import SandboxProcess

KEY = "bench_everybody"
CHURN = 0.05


def _fresh() -> None:
    """No list and no run of an earlier measurement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE segments_sententry, segments_syncoutcome, segments_syncbatch, segments_sync, segments_removalreceipt, "
            "segments_audiencetarget"
        )
    Audience.objects.filter(key=KEY).delete()
    Segment.objects.filter(key=KEY).delete()


def _members(segment: Segment, numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
    bitmap = bitmap_make(numbers)
    SegmentBitmap.objects.update_or_create(
        segment_no=segment.pk, defaults={"version": 1, "bitmap": bitmap_pack(bitmap), "size": len(bitmap)}
    )


def _sync(target: AudienceTarget) -> tuple[float, Sync]:
    started = perf_counter()
    turn = target_run(target.pk, clock=utc_now, plan=True)
    while turn.state == "waiting" or not is_settled([target.pk]):
        batches_poll(utc_now(), target_no=target.pk)
        target_run(target.pk, clock=utc_now, plan=False)
    return perf_counter() - started, Sync.objects.latest("sync_no")


def measure(size: Size, as_of: dt.datetime) -> Sequence[Figure]:
    """First sync and churn of everybody who consented, to the sandbox."""
    _fresh()
    with tempfile.TemporaryDirectory() as folder:
        sandbox = SandboxProcess(Path(folder))
        try:
            sandbox_connections_ensure(sandbox.base_url)
            segment = Segment.objects.create(key=KEY, title="Everybody", state="ready")
            audience_save(KEY, "Everybody", KEY, ["advertising"], holdout_share=0, actor="bench")
            target = audience_target_save(KEY, "meta_sandbox", actor="bench")
            everybody = np.arange(1, size.profiles + 1, dtype=np.int64)
            leaving = round(size.profiles * CHURN)
            _members(segment, everybody[leaving:])
            rss_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            first_seconds, first = _sync(target)
            rss_after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            _members(segment, everybody[:-leaving])
            churn_seconds, churn = _sync(target)
            idle_seconds, idle = _sync(target)
            listed = sandbox.lists()[-1]["members"]
        finally:
            sandbox.stop()
    people = first.accepted
    scale = people / 1_000_000
    memory = f"peak memory +{(rss_after - rss_before) / 1024:.0f} MB to {rss_after / 1024:.0f} MB"
    if listed != people - churn.to_remove + churn.to_add or idle.state != "no_change":
        raise AssertionError("the list at the sandbox is not what was wanted")
    return [
        Figure(
            f"first sync of {people:,} people", f"{first_seconds:.1f} s ({people / first_seconds:,.0f}/s)",
            f"≤ {60 * scale:.0f} s (60 s for 1 M)", "–", "reached" if first_seconds <= 60 * scale else "below", memory,
        ),
        Figure(
            f"next sync, +{churn.to_add:,} −{churn.to_remove:,}", f"{churn_seconds:.1f} s",
            f"≤ {6 * scale:.1f} s (6 s for 1 M)", "–", "reached" if churn_seconds <= 6 * scale else "below", "",
        ),
        Figure("a sync with nothing to do", f"{idle_seconds:.2f} s", "–", "–", "measured", "sends nothing"),
    ]  # fmt: skip
