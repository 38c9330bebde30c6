"""A stopped run waits for a person: approve it, send the additions only, or cancel it."""

import datetime as dt

from django.db import transaction
from django.db.models import F, Q

from cdp.access.services import audit
from cdp.core.errors import RejectedError
from segments.activation.connections import destination_account, send_policy
from segments.activation.models import AudienceTarget, Sync
from segments.activation.planning import stopped_release
from segments.activation.writer import target_lock
from segments.definition.models import SegmentVersion
from segments.definition.selectors import segments_behind


def sync_approve(
    sync_no: int, *, user_id: int, actor: str, now: dt.datetime, expected_removals: int | None = None
) -> Sync:
    """Release a stopped run as planned, removals and all. Holds for this run only.

    Raises RejectedError: ``not_found``, ``conflict`` (not stopped any more, or its numbers changed since they were read) or
    ``own_change`` (who changed the rule, or that of a segment it names, cannot approve it).
    """
    with transaction.atomic():
        sync = sync_stopped(sync_no)
        if is_author(sync, user_id):
            raise RejectedError(
                "You changed this rule, so somebody else has to approve the run.", code="own_change", field="sync_no"
            )
        if expected_removals is not None and expected_removals != sync.to_remove:
            raise RejectedError(
                f"The run was planned anew: it would remove {sync.to_remove:,} people now. Look at it again.",
                code="conflict",
                field="expected_removals",
            )
        sync.approved_by_id = user_id
        release(sync, now, removals=True)
        audit(actor, "sync_approved", "sync", sync_no, {"to_add": sync.to_add, "to_remove": sync.to_remove})
    return sync


def sync_send_additions(sync_no: int, *, actor: str, now: dt.datetime) -> Sync:
    """Send the additions of a stopped run and remove nobody. Raises RejectedError as ``sync_approve``."""
    with transaction.atomic():
        sync = sync_stopped(sync_no)
        release(sync, now, removals=False)
        audit(actor, "sync_additions_sent", "sync", sync_no, {"to_add": sync.to_add})
    return sync


def sync_cancel(sync_no: int, *, actor: str, now: dt.datetime) -> Sync:
    """Drop a stopped run; the list stays as it is. Raises RejectedError as ``sync_approve``."""
    with transaction.atomic():
        sync = sync_stopped(sync_no)
        sync.state, sync.finished_at = "cancelled", now
        sync.planned_add = sync.planned_remove = None
        sync.save()
        audit(actor, "sync_cancelled", "sync", sync_no)
    return sync


def sync_stopped(sync_no: int) -> Sync:
    """The stopped run, with its target and itself locked."""
    target_no = Sync.objects.filter(pk=sync_no).values_list("target_id", flat=True).first()
    if target_no is None:
        raise RejectedError("No run has this number.", code="not_found", field="sync_no")
    target_lock(target_no)
    sync = Sync.objects.select_for_update().get(pk=sync_no)
    if sync.state != "stopped":
        raise RejectedError(
            f"This run is {sync.state.replace('_', ' ')}, not stopped.", code="conflict", field="sync_no"
        )
    return sync


def release(sync: Sync, now: dt.datetime, *, removals: bool) -> None:
    target = AudienceTarget.objects.select_related("connection").get(pk=sync.target_id)
    destination, _ = destination_account(target.connection)
    size = min(destination.capabilities.max_batch_rows, send_policy(target.connection).batch_people)
    stopped_release(sync, target, size, now, removals=removals)


def is_author(sync: Sync, user_id: int) -> bool:
    """Whether this person saved a rule that the run rests on: the segment's, or that of a segment it names."""
    if sync.segment_version is None:
        return False
    segment = sync.target.audience.segment
    own = Q(segment=segment, version=sync.segment_version)
    named = Q(segment__in=segments_behind(segment.key), pk=F("segment__current_version"))
    return SegmentVersion.objects.filter(own | named, created_by_id=user_id).exists()
