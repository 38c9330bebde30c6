"""For what may we use whose data: shares per purpose, what changed lately, what runs out."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Q

from cdp.consent.models import ConsentRecord, ConsentState, Purpose


@dataclass(frozen=True, slots=True)
class Coverage:
    """People by state of one purpose. Unknown are all who never said anything: counted as no where the law is opt-in."""

    purpose: Purpose
    granted: int
    refused: int
    pending: int
    unknown: int
    expiring: int
    """Grants that end within 30 days."""

    @property
    def people(self) -> int:
        return self.granted + self.refused + self.pending + self.unknown

    def share(self, count: int) -> float | None:
        return count / self.people if self.people else None

    @property
    def granted_share(self) -> float | None:
        return self.share(self.granted)

    @property
    def refused_share(self) -> float | None:
        return self.share(self.refused)

    @property
    def unknown_share(self) -> float | None:
        return self.share(self.unknown + self.pending)


@dataclass(frozen=True, slots=True)
class ConsentChanges:
    """Acts of the last days."""

    days: int
    granted: int
    withdrawn: int


def coverage_count(people: int, now: dt.datetime) -> list[Coverage]:
    """One pass over the projection. A grant past its end counts as refused, as the gate would."""
    soon = now + dt.timedelta(days=30)
    is_over = Q(expires_at__lte=now)
    counts: dict[int, tuple[int, ...]] = {
        purpose_id: tuple(numbers)
        for purpose_id, *numbers in ConsentState.objects.values_list("purpose_id").annotate(
            granted=Count("state", filter=Q(state="granted") & ~is_over),
            refused=Count(
                "state", filter=Q(state__in=["denied", "withdrawn", "expired"]) | Q(state="granted") & is_over
            ),
            waiting=Count("state", filter=Q(state="pending")),
            ending=Count("state", filter=Q(state="granted", expires_at__gt=now, expires_at__lte=soon)),
        )
    }
    found = []
    for purpose in Purpose.objects.all():
        granted, refused, waiting, ending = counts.get(purpose.pk, (0, 0, 0, 0))
        unknown = max(people - granted - refused - waiting, 0)
        found.append(Coverage(purpose, granted, refused, waiting, unknown, ending))
    return found


def consent_changes(now: dt.datetime, days: int = 7) -> ConsentChanges:
    """Acts of the last ``days``. A pass over the ledger: callers remember it for some seconds."""
    recent = ConsentRecord.objects.filter(occurred_at__gte=now - dt.timedelta(days=days)).aggregate(
        granted=Count("pk", filter=Q(action__in=["granted", "confirmed"])),
        withdrawn=Count("pk", filter=Q(action__in=["withdrawn", "objected", "denied"])),
    )
    return ConsentChanges(days, recent["granted"], recent["withdrawn"])


def ledger_page(before_no: int | None, size: int, purpose_key: str = "") -> Sequence[ConsentRecord]:
    """Newest acts first, ``size`` + 1 of them, so that the caller sees whether more follow."""
    records = ConsentRecord.objects.select_related("purpose").order_by("-record_no")
    if before_no is not None:
        records = records.filter(record_no__lt=before_no)
    if purpose_key:
        records = records.filter(purpose__key=purpose_key)
    return list(records[: size + 1])
