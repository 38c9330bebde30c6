"""An audience at a connection: made, scheduled, looked up."""

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from cdp.access.services import audit
from cdp.core.errors import RejectedError
from segments.activation.batches import OPEN_STATES
from segments.activation.models import OPT_OUT_CAUSES, AudienceTarget, Connection, SentEntry, SyncBatch
from segments.audiences.models import Audience


def audience_target_save(
    audience_key: str,
    connection_key: str,
    *,
    actor: str,
    external_id: str = "",
    sync_every_minutes: int = 60,
    max_removal_share: float | None = None,
    is_enabled: bool = True,
) -> AudienceTarget:
    """Address a network with an audience, or change how. ``external_id``: a list that exists there; else one is made.

    ``max_removal_share`` None is the workspace's (CDP_MAX_REMOVAL_SHARE), or stays what it is. Raises RejectedError naming the field.
    """
    share = settings.CONFIG.cdp_max_removal_share if max_removal_share is None else max_removal_share
    if not 1 <= sync_every_minutes <= 10_080:
        raise RejectedError("Enter 1 to 10,080 minutes.", code="range", field="sync_every_minutes")
    if not 0 <= share <= 1:
        raise RejectedError("Enter a share from 0 to 1.", code="range", field="max_removal_share")
    with transaction.atomic():
        audience = Audience.objects.filter(key=audience_key).first()
        connection = Connection.objects.filter(key=connection_key).first()
        if audience is None:
            raise RejectedError("No audience has this key.", code="unknown_audience", field="audience")
        if connection is None:
            raise RejectedError("No connection has this key.", code="unknown_connection", field="connection")
        target, is_new = AudienceTarget.objects.select_for_update().get_or_create(
            audience=audience, connection=connection, defaults={"external_id": external_id}
        )
        if external_id and target.external_id != external_id:
            if SentEntry.objects.filter(target_no=target.pk).exists():
                message = "People stand on the list already; an audience keeps its list then."
                raise RejectedError(message, code="conflict", field="external_id")
            target.external_id = external_id
        target.sync_every_minutes = sync_every_minutes
        if is_new or max_removal_share is not None:
            target.max_removal_share = share
        target.is_enabled = is_enabled
        target.save(update_fields=["external_id", "sync_every_minutes", "max_removal_share", "is_enabled"])
        audit(actor, "audience_target_saved", "audience", audience_key, {"connection": connection_key})
    return target


def targets_due(now: dt.datetime) -> list[int]:
    """Targets with something to do: a run is due, a batch is open, or somebody waits for removal."""
    usable = AudienceTarget.objects.filter(is_enabled=True, connection__paused_at=None).exclude(
        connection__wait_until__gt=now
    )
    due = Q(due_at__lte=now, audience__is_paused=False)
    open_batches = SyncBatch.objects.filter(Q(retry_at=None) | Q(retry_at__lte=now), state__in=OPEN_STATES)
    under_way = Q(pk__in=open_batches.values("sync__target_id"))
    waiting = Q(pk__in=opt_outs_waiting())
    return list(usable.filter(due | under_way | waiting).order_by("pk").values_list("pk", flat=True))


def opt_outs_waiting() -> list[int]:
    """Targets with somebody who waits for removal, by number."""
    waiting = SentEntry.objects.filter(wanted=False, cause__in=OPT_OUT_CAUSES)
    return sorted(set(waiting.values_list("target_no", flat=True)))


def targets_hasten(audience_key: str, now: dt.datetime) -> list[int]:
    """Make every list of an audience due now; returns its targets. Raises RejectedError for an unknown or paused audience."""
    audience = Audience.objects.filter(key=audience_key).first()
    if audience is None:
        raise RejectedError("No audience has this key.", code="not_found", field="audience")
    if audience.is_paused:
        raise RejectedError("This audience is paused. Resume it first.", code="conflict", field="audience")
    targets = AudienceTarget.objects.filter(audience=audience, is_enabled=True)
    targets.filter(due_at__gt=now).update(due_at=now)
    return list(targets.order_by("pk").values_list("pk", flat=True))
