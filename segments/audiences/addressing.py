"""Make a segment addressable: which purposes must be granted, and which share is held out for measuring."""

import re
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction

from cdp.access.services import audit
from cdp.consent.models import Purpose
from cdp.core.errors import RejectedError
from segments.audiences.models import Audience
from segments.definition.models import Segment

__all__ = ["audience_save"]

KEY_FORM = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
LARGEST_HOLDOUT = 0.9


def audience_save(
    key: str, title: str, segment_key: str, purposes: Sequence[str], *, holdout_share: float | None = None, actor: str
) -> Audience:
    """Make an audience, or change its title, purposes and holdout share. Its segment and salt stay what they are.

    ``holdout_share`` None is the workspace's (CDP_HOLDOUT_SHARE), or stays what it is. The salt is the key: who is held out
    of one audience says nothing about another.
    Raises RejectedError naming the field (``conflict`` when the segment would change).
    """
    if not KEY_FORM.fullmatch(key) or len(key) > 60:
        message = "A key has up to 60 of a-z, 0-9, hyphen and underscore."
        raise RejectedError(message, code="format", field="key")
    if not title.strip():
        raise RejectedError("Enter a title.", code="required", field="title")
    share = settings.CONFIG.cdp_holdout_share if holdout_share is None else holdout_share
    if not 0 <= share <= LARGEST_HOLDOUT:
        raise RejectedError("Enter a share from 0 to 0.9.", code="range", field="holdout_share")
    known = set(Purpose.objects.values_list("key", flat=True))
    if unknown := [purpose for purpose in purposes if purpose not in known]:
        message = f"No such purpose: {', '.join(unknown)}. There are {', '.join(sorted(known))}."
        raise RejectedError(message, code="unknown_purpose", field="purposes")
    if not purposes:
        raise RejectedError(
            "Choose at least one purpose that people must have granted.", code="required", field="purposes"
        )
    with transaction.atomic():
        segment = Segment.objects.filter(key=segment_key).exclude(state="archived").first()
        if segment is None:
            raise RejectedError("No segment has this key.", code="unknown_segment", field="segment")
        audience, is_new = Audience.objects.select_for_update().get_or_create(
            key=key,
            defaults={
                "title": title,
                "segment": segment,
                "purposes": list(dict.fromkeys(purposes)),
                "holdout_share": share,
                "holdout_salt": key[:40],
            },
        )
        if audience.segment_id != segment.pk:
            raise RejectedError("An audience keeps its segment; make another one.", code="conflict", field="segment")
        if not is_new:
            audience.title, audience.purposes = title, list(dict.fromkeys(purposes))
            audience.holdout_share = audience.holdout_share if holdout_share is None else share
            audience.save(update_fields=["title", "purposes", "holdout_share"])
        audit(actor, "audience_saved", "audience", key, {"purposes": list(purposes), "holdout_share": share})
    return audience
