"""The table of segments: size, thirty days, change and use, for all of them in two statements."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from cdp.screen.charts import Spark, spark_draw
from cdp.screen.reading import rows
from cdp.screen.words import number
from segments.audiences.models import Audience
from segments.definition.models import Segment


@dataclass(frozen=True, slots=True)
class SegmentLine:
    segment: Segment
    share: float | None
    spark: Spark | None
    """None until there are two days."""
    change: int | None
    """Against the oldest day of the last 30; None when there is only one."""
    audiences: int
    rule_changed: bool


def sizes_daily(numbers: Sequence[int], now: dt.datetime, days: int = 30) -> dict[int, list[tuple[dt.datetime, int]]]:
    """The last size of each day, oldest first, by segment."""
    history: dict[int, list[tuple[dt.datetime, int]]] = {}
    for segment_no, at, size in rows(
        "SELECT segment_no, at, size FROM (SELECT DISTINCT ON (segment_no, at::date) segment_no, at, size "
        "FROM segments_segmentsize WHERE segment_no = ANY(%(numbers)s) AND at >= %(since)s "
        "ORDER BY segment_no, at::date, at DESC) AS daily ORDER BY segment_no, at",
        {"numbers": list(numbers), "since": now - dt.timedelta(days=days)},
    ):
        history.setdefault(segment_no, []).append((at, size))
    return history


def segment_lines(segments: Sequence[Segment], people: int, now: dt.datetime) -> list[SegmentLine]:
    """Size, 30 days, change and use of each segment: two statements for all of them."""
    numbers = [s.segment_no for s in segments]
    history = sizes_daily(numbers, now)
    used = dict(Audience.objects.filter(segment_id__in=numbers).values_list("segment_id").annotate(n=Count("pk")))
    lines = []
    for segment in segments:
        sizes = [size for _, size in history.get(segment.segment_no, [])]
        words = f"{len(sizes)} days, from {number(sizes[0])} to {number(sizes[-1])}" if sizes else ""
        current = segment.current_version
        lines.append(
            SegmentLine(
                segment=segment,
                share=segment.size / people if segment.size is not None and people else None,
                spark=spark_draw(sizes, words) if len(sizes) > 1 else None,
                change=sizes[-1] - sizes[0] if len(sizes) > 1 else None,
                audiences=used.get(segment.segment_no, 0),
                rule_changed=current is not None
                and segment.evaluated_version is not None
                and segment.evaluated_version != current.version,
            )
        )
    return lines
