"""The moment in which a tracking call becomes safe; and the doors to the other work of this slice."""

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from cdp.collect.draining import DrainResult, drain_slot_leave, drain_slot_take, inbox_drain
from cdp.collect.importing import ImportProgress, ImportSummary, import_plan, import_run, import_try
from cdp.collect.messages import Accepted, Refused
from cdp.collect.rejects import NewReject, rejects_record, rejects_sweep
from cdp.collect.repeating import repeats_note, repeats_sweep
from cdp.collect.replaying import REPLAY_AT_ONCE, Replayed, rejects_replay
from cdp.collect.sources import source_create, source_for_files
from cdp.events.records import InboxItem
from cdp.events.services import inbox_accept

__all__ = [
    "REPLAY_AT_ONCE",
    "DrainResult",
    "ImportProgress",
    "ImportSummary",
    "Replayed",
    "calls_receive",
    "drain_slot_leave",
    "drain_slot_take",
    "import_plan",
    "import_run",
    "import_try",
    "inbox_drain",
    "rejects_replay",
    "rejects_sweep",
    "repeats_sweep",
    "source_create",
    "source_for_files",
]


def calls_receive(
    source_no: int,
    accepted: Sequence[Accepted],
    refused: Sequence[Refused],
    received_at: dt.datetime,
    *,
    around: bytes = b"",
) -> int:
    """Commit what was accepted to the inbox and what was refused to the rejects; returns how many calls were new.

    When it returns, the calls are on disk; a message id that came before has no second effect. ``around`` is what the
    request said for all its calls (``around_pack``).
    """
    items = [InboxItem(source_no, call.message_id, received_at, call.payload) for call in accepted]
    if refused:
        with transaction.atomic():
            repeats = inbox_accept(items)
            rejects_record((_refusal(source_no, each, around) for each in refused), received_at)
    else:
        repeats = inbox_accept(items)
    if repeats:
        repeats_note(source_no, [accepted[position].payload for position in repeats], received_at)
    return len(items) - len(repeats)


def _refusal(source_no: int, each: Refused, around: bytes) -> NewReject:
    return NewReject(
        source_no, each.problem, each.sample, message_id=each.message_id, around=around, is_kept=each.is_kept
    )
