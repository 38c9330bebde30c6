"""Reads of memberships: of a person, of a segment, page by page."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from segments.audiences.models import Audience, Membership
from segments.definition.models import Segment
from segments.definition.selectors import segments_naming

__all__ = ["MemberRow", "members_page", "segment_uses", "segments_of_profiles"]


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member: the public id and since when."""

    profile_no: int
    profile_id: uuid.UUID
    entered_at: dt.datetime
    version: int


def members_page(segment_no: int, after_no: int, limit: int) -> list[MemberRow]:
    """Up to ``limit`` members with a number above ``after_no``, ascending."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.profile_no, p.profile_id, m.entered_at, m.version "
            "FROM segments_membership m JOIN cdp_profile p USING (profile_no) "
            "WHERE m.segment_no = %s AND m.exited_at IS NULL AND m.profile_no > %s ORDER BY m.profile_no LIMIT %s",
            [segment_no, after_no, limit],
        )
        found = cursor.fetchall()
    return [MemberRow(*row) for row in found]


def segments_of_profiles(profile_nos: Sequence[int]) -> dict[int, list[dict[str, object]]]:
    """Section ``segments`` of a profile: key, title and ``entered_at`` of each open membership, by key."""
    titles = {
        segment_no: (key, title) for segment_no, key, title in Segment.objects.values_list("segment_no", "key", "title")
    }
    found: dict[int, list[dict[str, object]]] = {number: [] for number in profile_nos}
    rows = Membership.objects.filter(profile_no__in=list(found), exited_at=None)
    for profile_no, segment_no, entered_at in rows.values_list("profile_no", "segment_no", "entered_at"):
        key, title = titles[segment_no]
        found[profile_no].append({"key": key, "title": title, "entered_at": entered_at.isoformat()})
    return {number: sorted(items, key=lambda item: str(item["key"])) for number, items in found.items()}


def segment_uses(segment: Segment) -> list[str]:
    """What would break without this segment, in words: other segments and audiences."""
    uses = [f"segment “{other.title}”" for other in segments_naming(segment.key)]
    audiences = Audience.objects.filter(segment=segment, is_paused=False).order_by("title")
    return uses + [f"audience “{audience.title}”" for audience in audiences]
