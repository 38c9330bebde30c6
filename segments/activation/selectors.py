"""Reads of audiences, connections and runs for the API and for commands."""

from collections.abc import Sequence

from django.db.models import Count, Q

from segments.activation.models import AudienceTarget, Connection, SentEntry, Sync
from segments.audiences.models import Audience


def audiences_page(after: str, limit: int) -> list[Audience]:
    """Audiences by key, with segment and targets."""
    return list(
        Audience.objects.select_related("segment")
        .prefetch_related("targets__connection")
        .filter(key__gt=after)
        .order_by("key")[:limit]
    )


def connections_page(after: str, limit: int) -> list[Connection]:
    return list(Connection.objects.filter(key__gt=after).order_by("key")[:limit])


def syncs_page(before_no: int | None, limit: int, *, audience: str = "", state: str = "", lane: str = "") -> list[Sync]:
    """Runs, newest first."""
    found = Sync.objects.select_related("target__audience", "target__connection").order_by("-sync_no")
    if before_no is not None:
        found = found.filter(sync_no__lt=before_no)
    if audience:
        found = found.filter(target__audience__key=audience)
    if state:
        found = found.filter(state=state)
    if lane:
        found = found.filter(lane=lane)
    return list(found[:limit])


def sync_find(sync_no: int) -> Sync | None:
    return Sync.objects.select_related("target__audience", "target__connection").filter(pk=sync_no).first()


def on_list_counts(target_nos: Sequence[int]) -> dict[int, int]:
    """People on each list as far as the network acknowledged: {target_no: people}."""
    counts = (
        SentEntry.objects.filter(target_no__in=target_nos, is_on_list=True)
        .values_list("target_no")
        .annotate(people=Count("profile_no"))
    )
    return dict.fromkeys(target_nos, 0) | dict(counts)


def targets_of(audience_key: str | None) -> list[AudienceTarget]:
    """Enabled targets, of one audience or all, in order of audience and connection."""
    found = AudienceTarget.objects.select_related("audience", "connection").filter(is_enabled=True)
    if audience_key is not None:
        found = found.filter(audience__key=audience_key)
    return list(found.order_by("audience__key", "connection__key"))


def is_settled(target_nos: Sequence[int]) -> bool:
    """Whether no batch of these targets is open or unconfirmed."""
    return (
        not Sync.objects.filter(target_id__in=target_nos)
        .filter(Q(batches__state__in=("planned", "unknown", "accepted")))
        .exists()
    )
