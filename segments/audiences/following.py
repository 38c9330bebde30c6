"""People who were erased, merged or parted elsewhere: their memberships follow.

Light to import, since the app names its topics when it starts.
"""

import datetime as dt

from django.db import transaction

from cdp.events.outbox import outbox_claim, outbox_finish
from segments.audiences.memberships import memberships_erase
from segments.audiences.models import Membership
from segments.definition.models import Segment

__all__ = ["PEOPLE_TOPICS", "SUBSCRIBER", "changes_forget", "memberships_follow"]

# The topics of cdp.identity as this slice gets them, see cdp.events.outbox.outbox_subscribe.
SUBSCRIBER = "audiences"
PEOPLE_TOPICS = ("profile_erased", "profiles_merged", "profiles_unmerged")
OUTBOX_LIMIT = 200
OUTBOX_LEASE_SECONDS = 120.0
CHANGES_KEPT = dt.timedelta(days=7)


def memberships_follow(now: dt.datetime) -> int:
    """Act on people who were erased, merged or parted; returns how many messages were done. Safe to repeat.

    Erased people leave every segment at once and without a trace. Merged and parted people are settled by the next
    evaluation of the segments they are in, which becomes due now.
    """
    done = 0
    for topic in PEOPLE_TOPICS:
        for claim in outbox_claim(f"{topic}/{SUBSCRIBER}", OUTBOX_LIMIT, now, OUTBOX_LEASE_SECONDS):
            profile_nos = [int(number) for number in claim.payload["profile_nos"]]
            with transaction.atomic():
                if topic == "profile_erased":
                    memberships_erase(profile_nos, now)
                else:
                    held = Membership.objects.filter(profile_no__in=profile_nos, exited_at=None)
                    touched = set(held.values_list("segment_no", flat=True))
                    Segment.objects.filter(segment_no__in=touched, due_at__gt=now).update(due_at=now)
                done += outbox_finish(claim)
    return done


def changes_forget(now: dt.datetime) -> int:
    """Close announcements of changed memberships that nobody took within a week, so that they do not pile up."""
    old = outbox_claim("membership_changed", OUTBOX_LIMIT, now - CHANGES_KEPT, OUTBOX_LEASE_SECONDS)
    return sum(outbox_finish(claim) for claim in old)
