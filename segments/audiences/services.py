"""Count, evaluate, archive; take people out who are gone; who of an audience may be delivered."""

import datetime as dt
import graphlib

from django.db import transaction
from django.db.models import F

from cdp.access.services import audit
from cdp.core.errors import RejectedError
from segments.audiences.evaluating import (
    Evaluation,
    segment_claim,
    segment_evaluate,
    segments_claim_next,
)
from segments.audiences.examples import EXAMPLES
from segments.audiences.following import changes_forget, memberships_follow
from segments.audiences.memberships import memberships_erase
from segments.audiences.models import Membership, SegmentBitmap
from segments.audiences.previewing import Preview, segment_preview
from segments.audiences.reaching import Wanted, audience_wanted
from segments.audiences.selectors import segment_uses
from segments.definition.models import Segment, SegmentVersion
from segments.definition.selectors import segment_refs
from segments.definition.services import segment_save

__all__ = [
    "Evaluation",
    "Preview",
    "Wanted",
    "audience_wanted",
    "changes_forget",
    "memberships_erase",
    "memberships_follow",
    "segment_archive",
    "segment_claim",
    "segment_evaluate",
    "segment_preview",
    "segments_claim_next",
    "segments_evaluate_due",
    "segments_in_order",
    "segments_seed_examples",
]


def segment_archive(key: str, *, actor: str, now: dt.datetime) -> None:
    """Close a segment for good: its members leave, its key is never used again. Refused while something uses it.

    Raises RejectedError: ``not_found``, or ``conflict`` naming the users.
    """
    with transaction.atomic():
        segment = Segment.objects.select_for_update().filter(key=key).first()
        if segment is None:
            raise RejectedError("No segment has this key.", code="not_found", field="key")
        if segment.state == "archived":
            return
        if uses := segment_uses(segment):
            message = f"“{segment.title}” is used by {', '.join(uses[:5])}. Take it out there first."
            raise RejectedError(message, code="conflict", field="key")
        Membership.objects.filter(segment_no=segment.segment_no, exited_at=None).update(exited_at=now)
        SegmentBitmap.objects.filter(segment_no=segment.segment_no).delete()
        Segment.objects.filter(segment_no=segment.segment_no).update(
            state="archived", size=0, leased_until=None, fence=F("fence") + 1
        )
        audit(actor, "segment_archived", "segment", key)


def segments_evaluate_due(now: dt.datetime, *, limit: int = 50) -> list[Evaluation]:
    """Evaluate what is due, one segment after the other, named ones first. Any number of workers may run this at once."""
    done: list[Evaluation] = []
    while len(done) < limit and (claim := segments_claim_next(now)) is not None:
        done.append(segment_evaluate(claim.segment_no, now, claim=claim))
    return done


def segments_in_order() -> list[Segment]:
    """Segments in use, each after those that its rule names."""
    refs = segment_refs()
    in_use = {segment.key: segment for segment in Segment.objects.exclude(state="archived").order_by("segment_no")}
    order = graphlib.TopologicalSorter({key: refs[key].refers_to & in_use.keys() for key in in_use})
    return [in_use[key] for key in order.static_order()]


def segments_seed_examples(*, now: dt.datetime, actor: str = "system") -> list[SegmentVersion]:
    """Save the example segments, those that others name first. What somebody has changed since stays as it is."""
    existing = set(Segment.objects.values_list("key", flat=True))
    return [
        segment_save(
            example.key,
            example.title,
            example.definition,
            None,
            "An example to start from",
            now=now,
            actor=actor,
            description=example.description,
        )
        for example in EXAMPLES
        if example.key not in existing
    ]
