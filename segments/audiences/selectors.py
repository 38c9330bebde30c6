"""Reads of memberships: of a person, of a segment, page by page."""

import datetime as dt
import uuid
from dataclasses import dataclass

from django.db import connection

from cdp.profiles.sections import Section
from segments.audiences.models import Audience
from segments.definition.models import Segment
from segments.definition.selectors import segments_naming

__all__ = ["SEGMENTS_SECTION", "MemberRow", "members_page", "segment_uses"]

# Section ``segments`` of a profile: key, title and ``entered_at`` of each open membership, by key.
SEGMENTS_SECTION = Section(
    "segments",
    """coalesce((SELECT jsonb_agg(jsonb_build_object('key', g.key, 'title', g.title, 'entered_at', m.entered_at) ORDER BY g.key)
                 FROM segments_membership m JOIN segments_segment g USING (segment_no)
                 WHERE m.profile_no = p.profile_no AND m.exited_at IS NULL), '[]')""",
)


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


def segment_uses(segment: Segment) -> list[str]:
    """What would break without this segment, in words: other segments and audiences."""
    uses = [f"segment “{other.title}”" for other in segments_naming(segment.key)]
    audiences = Audience.objects.filter(segment=segment, is_paused=False).order_by("title")
    return uses + [f"audience “{audience.title}”" for audience in audiences]
