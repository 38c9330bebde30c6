"""Factories of the audience tests: people who bought, segments, and who is in them."""

import datetime as dt
import itertools
import json
from decimal import Decimal
from typing import Any

from django.db import transaction

from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.events.models import EventName
from cdp.events.records import NewEvent
from cdp.events.services import events_append
from segments.audiences.models import Membership
from segments.audiences.services import Evaluation, segment_evaluate
from segments.definition.models import Segment, SegmentVersion
from segments.definition.services import segment_save
from tests.integration.people import NOW, identifier_of, profile_of, say

_message = itertools.count(1)
FRENCH = {"type": "trait", "trait": "country", "operator": "equals", "value": "FR"}
BOUGHT = {"type": "event", "event": "Order Completed", "window": {"type": "last", "days": 30}}


def rule(*conditions: dict[str, Any], kind: str = "all") -> dict[str, Any]:
    return {"version": 1, "where": {"type": kind, "conditions": list(conditions)}}


def did(
    name: str, event: str = "Order Completed", *, days_ago: float = 1, amount: str | None = None, **properties: Any
) -> None:
    """The person behind an identifier did something."""
    EventName.objects.get_or_create(name=event, defaults={"kind": "track"})
    number = identifier_of(name)
    at = NOW - dt.timedelta(days=days_ago)
    with transaction.atomic():
        events_append(
            [
                NewEvent(
                    source_no=1,
                    message_id=f"audience-{next(_message)}",
                    kind="track",
                    name=event,
                    occurred_at=at,
                    received_at=at,
                    identifier_no=IdentifierNo(number),
                    profile_no=ProfileNo(number_of(name)),
                    amount=Decimal(amount) if amount else None,
                    currency="USD" if amount else None,
                    properties=json.dumps(properties).encode(),
                )
            ]
        )


def number_of(name: str) -> int:
    identifier_of(name)
    found = profile_of(name)
    assert found is not None
    return found


def french(*names: str) -> list[int]:
    """People in France, by identifier; their numbers."""
    for name in names:
        say(name, country="FR")
    return [number_of(name) for name in names]


def save(
    key: str, *conditions: dict[str, Any], kind: str = "all", now: dt.datetime = NOW, **more: Any
) -> SegmentVersion:
    return segment_save(key, key.capitalize(), rule(*conditions, kind=kind), None, "test", now=now, **more)


def evaluate(key: str, now: dt.datetime = NOW) -> Evaluation:
    return segment_evaluate(Segment.objects.get(key=key).segment_no, now)


def members_of(key: str) -> list[int]:
    """By the rows, ascending; the bitmap must say the same."""
    from segments.audiences.memberships import bitmap_read

    segment = Segment.objects.get(key=key)
    rows = Membership.objects.filter(segment_no=segment.segment_no, exited_at=None)
    numbers = sorted(rows.values_list("profile_no", flat=True))
    assert numbers == sorted(bitmap_read(segment.segment_no))
    return numbers
