"""Which segments hold one person, since when."""

import datetime as dt
from dataclasses import dataclass

from segments.audiences.models import Membership
from segments.definition.models import Segment


@dataclass(frozen=True, slots=True)
class HeldSegment:
    """An open stay; ``why`` is empty when it is not known."""

    key: str
    title: str
    sentence: str
    entered_at: dt.datetime
    why: str = ""


def segments_of_person(profile_no: int, now: dt.datetime) -> list[HeldSegment]:
    """Open memberships, newest first."""
    entered = dict(
        Membership.objects.filter(profile_no=profile_no, exited_at=None, entered_at__lte=now)
        .order_by("-entered_at")
        .values_list("segment_no", "entered_at")
    )
    segments = Segment.objects.select_related("current_version").in_bulk(list(entered))
    return [
        HeldSegment(
            segments[no].key,
            segments[no].title,
            current.sentence if (current := segments[no].current_version) else "",
            at,
        )
        for no, at in entered.items()
        if no in segments
    ]
