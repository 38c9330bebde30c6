"""The moment in which a tracking call becomes safe; and the doors to the other work of this slice."""

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from cdp.collect.draining import DrainResult, drain_slot_leave, drain_slot_take, inbox_drain
from cdp.collect.importing import ImportProgress, ImportSummary, import_plan, import_run, import_try
from cdp.collect.messages import Accepted, Refused
from cdp.collect.rejects import NewReject, rejects_record, rejects_sweep
from cdp.collect.sources import source_create, source_for_files
from cdp.events.records import InboxItem
from cdp.events.services import inbox_add

__all__ = [
    "DrainResult",
    "ImportProgress",
    "ImportSummary",
    "calls_receive",
    "drain_slot_leave",
    "drain_slot_take",
    "import_plan",
    "import_run",
    "import_try",
    "inbox_drain",
    "rejects_sweep",
    "source_create",
    "source_for_files",
]


def calls_receive(
    source_no: int, accepted: Sequence[Accepted], refused: Sequence[Refused], received_at: dt.datetime
) -> int:
    """Commit what was accepted to the inbox and what was refused to the rejects; returns how many calls were new.

    When it returns, the calls are on disk; a message id that came before has no second effect.
    """
    items = [InboxItem(source_no, call.message_id, received_at, call.payload) for call in accepted]
    if not refused:
        return inbox_add(items)
    with transaction.atomic():
        fresh = inbox_add(items)
        rejects_record(
            (NewReject(source_no, each.problem, each.sample, message_id=each.message_id) for each in refused),
            received_at,
        )
    return fresh
