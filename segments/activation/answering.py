"""What a network's answer does to a batch: done, to be polled, to be repeated, to be split, or a person must act."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from django.db import transaction

from segments.activation.batches import batch_part, batch_people, batch_repeat, batch_settle, batch_split, outcome_count
from segments.activation.bitmaps import bitmap_make, bitmap_pack
from segments.activation.entries import Numbers, entries_settle_added
from segments.activation.models import AudienceTarget, Connection, SyncBatch
from segments.activation.policy import SendPolicy, retry_seconds
from segments.activation.writer import Writer
from segments.destinations.contract import (
    BatchOutcome,
    BatchRejectedError,
    Destination,
    Member,
    NeedsHumanError,
    OutcomeUnknownError,
    Rejection,
    RetryableError,
)
from segments.destinations.http import DestinationClient

log = structlog.get_logger(__name__)

Clock = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class Sender:
    """Everything that stays the same while one writer sends to one list."""

    writer: Writer
    target: AudienceTarget
    destination: Destination
    client: DestinationClient
    purposes: tuple[str, ...]
    """The audience's and the destination's together; all must be granted."""
    policy: SendPolicy
    clock: Clock


def answered(
    sender: Sender, batch: SyncBatch, outcome: BatchOutcome, members: list[Member], unsettled: dt.datetime | None
) -> None:
    """An answer came: taken and to be polled, or done. A removal beside an unsettled add is sent once more later."""
    now = sender.clock()
    with transaction.atomic():
        sender.writer.hold()
        if unsettled:
            batch.outcome = {**batch.outcome, "again": True}
        if outcome.state == "accepted":
            batch.state, batch.request_ref = "accepted", outcome.request_ref
            batch.retry_at = now + dt.timedelta(seconds=sender.policy.first_poll_seconds)
            batch.save(update_fields=["state", "request_ref", "retry_at", "outcome"])
        elif unsettled:
            batch_repeat(batch, soonest_poll(sender, unsettled))
        else:
            batch_settle(batch, sender.target.target_no, outcome, numbers_of(members), now, retry_at(sender, batch))
    log.info(
        "batch_sent",
        sync=batch.sync_id,
        batch=batch.batch_key,
        operation=batch.operation,
        people=len(members),
        state=batch.state,
        attempts=batch.attempts,
    )


def batch_refused(sender: Sender, batch: SyncBatch, members: list[Member], error: BatchRejectedError) -> None:
    """The whole batch was refused: leave the named rows out, or halve it until the bad rows stand alone."""
    people = numbers_of(members)
    named = [position for position in error.positions if position < len(people)] or ([0] if len(people) == 1 else [])
    with transaction.atomic():
        sender.writer.hold()
        if named and len(named) == len(people):
            rejection = Rejection(error.code, len(people), tuple(range(len(people))))
            failed = BatchOutcome("failed", rejections=(rejection,))
            batch_settle(batch, sender.target.target_no, failed, people, sender.clock(), retry_at(sender, batch))
        elif named:
            row_refuse(sender, batch, people[named], error.code)
        else:
            batch_split(batch, people)
    splits = SyncBatch.objects.filter(sync_id=batch.sync_id, state="split").count()
    if splits > sender.policy.most_splits:
        raise NeedsHumanError(
            f"{sender.destination.title} refuses every batch ({error.code}). Look at the connection's settings.",
            code=error.code,
        )
    log.warning(
        "batch_refused",
        sync=batch.sync_id,
        batch=batch.batch_key,
        code=error.code,
        people=len(people),
        named=len(named),
    )


def row_refuse(sender: Sender, batch: SyncBatch, people: Numbers, code: str) -> None:
    """Take refused rows out of the batch; the rest is sent again at once. Refused removals are tried again by themselves."""
    target_no = sender.target.target_no
    if batch.operation == "add":
        entries_settle_added(target_no, batch.up_to_seq, people, sender.clock(), is_on_list=False)
        outcome_count(batch.sync_id, "rejected", {code: len(people)}, {code: people})
    else:
        batch_part(batch, people, "r", retry_at(sender, batch))
    kept = np.setdiff1d(batch_people(batch), people)
    batch.profile_nos, batch.entries, batch.retry_at = bitmap_pack(bitmap_make(kept)), len(kept), None
    batch.save(update_fields=["profile_nos", "entries", "retry_at"])


def batch_wait(sender: Sender, batch: SyncBatch, error: RetryableError) -> float:
    """No success: the same batch again later, by the network's wish or ours; everything else of the connection waits too."""
    now = sender.clock()
    with transaction.atomic():
        sender.writer.hold()
        batch.retry_at = retry_at(sender, batch, error.retry_after_seconds)
        batch.error = str(error)[:200]
        if isinstance(error, OutcomeUnknownError):
            batch.unsettled_until = now + dt.timedelta(seconds=sender.policy.settle_seconds)
        batch.save(update_fields=["retry_at", "error", "unsettled_until"])
        Connection.objects.filter(pk=sender.target.connection_id).update(wait_until=batch.retry_at)
    wait = max((batch.retry_at - now).total_seconds(), 0.01)
    log.warning(
        "batch_waits", sync=batch.sync_id, batch=batch.batch_key, attempts=batch.attempts, seconds=round(wait, 1)
    )
    return wait


def batch_postpone(batch: SyncBatch, until: dt.datetime) -> None:
    SyncBatch.objects.filter(pk=batch.pk).update(retry_at=until)


def retry_at(sender: Sender, batch: SyncBatch, asked_seconds: float | None = None) -> dt.datetime:
    """When this batch may go out again."""
    seconds = retry_seconds(sender.policy, batch.attempts, asked_seconds, seed=batch.batch_key)
    return sender.clock() + dt.timedelta(seconds=seconds)


def soonest_poll(sender: Sender, until: dt.datetime) -> dt.datetime:
    return max(until, sender.clock() + dt.timedelta(seconds=sender.policy.first_poll_seconds))


def numbers_of(members: Sequence[Member]) -> Numbers:
    return np.array([member.profile_no for member in members], dtype=np.int64)
