"""One batch to one network: ask the gate in the moment of sending, record before the request, settle after the answer.

Order of an add: gate, digests, rows written and batch marked as under way (committed), gate again, request. A withdrawal that
commits before the second question is seen by it; one that commits later finds the rows and takes the person out again. So a
late add never beats a withdrawal, at whatever point the process dies.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from django.db import transaction

from cdp.consent.gate import GateReason, GateResult, consent_gate
from segments.activation.batches import (
    batch_people,
    batch_repeat,
    batch_settle,
    batch_split,
    outcome_count,
    receipts_open,
    receipts_sent,
    unsettled_until,
)
from segments.activation.bitmaps import bitmap_make, bitmap_pack
from segments.activation.entries import (
    Numbers,
    entries_carried,
    entries_forget,
    entries_insert,
    entries_settle_added,
    entries_take_leaving,
    entries_wish_removed,
    seq_next,
)
from segments.activation.models import AudienceTarget, Connection, Sync, SyncBatch
from segments.activation.people import members_build
from segments.activation.policy import SendPolicy, retry_seconds
from segments.activation.writer import Writer
from segments.destinations.contract import (
    BatchOutcome,
    BatchRejectedError,
    BatchRequest,
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

CAUSE_OF_REASON = {GateReason.SUPPRESSED: "suppressed", GateReason.NOT_A_PROFILE: "erased"}


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


def batch_send(sender: Sender, batch: SyncBatch) -> float | None:
    """Bring one batch one step on. Returns how many seconds the whole connection has to wait now, None for not at all.

    Raises NeedsHumanError, with the batch left as it is, and OvertakenError.
    """
    unsettled = unsettled_until(batch, sender.target.target_no, sender.clock())
    if unsettled and batch.outcome.get("repeats"):
        batch_postpone(batch, max(unsettled, sender.clock() + dt.timedelta(seconds=sender.policy.first_poll_seconds)))
        return None
    if batch.operation == "remove":
        members = removal_start(sender, batch)
    else:
        members = add_resume(sender, batch) if batch.state == "unknown" else add_start(sender, batch)
    if not members:
        batch_close(sender, batch)
        return None
    rows = sum(sender.destination.member_rows(member) for member in members)
    if rows > sender.destination.capabilities.max_batch_rows:
        with transaction.atomic():
            sender.writer.hold()
            batch_split(batch, numbers_of(members))
        return None
    return request_make(sender, batch, members, rows, unsettled)


def request_make(
    sender: Sender, batch: SyncBatch, members: list[Member], rows: int, unsettled: dt.datetime | None
) -> float | None:
    """Ask the network and write down what it said."""
    total = Sync.objects.values_list("to_add" if batch.operation == "add" else "to_remove", flat=True).get(
        pk=batch.sync_id
    )
    last = not SyncBatch.objects.filter(
        sync_id=batch.sync_id, operation=batch.operation, position__gt=max(batch.position, 1)
    ).exists()
    request = BatchRequest(
        batch_key=batch.batch_key,
        operation="add" if batch.operation == "add" else "remove",
        external_id=sender.target.external_id,
        members=members,
        granted=frozenset(sender.purposes) if batch.operation == "add" else frozenset(),
        # A part of a split batch is a session of its own, so that its parent's numbers are not used twice.
        session_no=batch.sync_id * 2 + (batch.operation == "remove") if batch.position else 2**40 + batch.pk,
        batch_seq=max(batch.position, 1),
        is_last=last if batch.position else True,
        total_rows=max(total, rows),
    )
    try:
        outcome = sender.destination.batch_push(sender.client, request)
    except BatchRejectedError as error:
        batch_refused(sender, batch, members, error)
        return None
    except RetryableError as error:
        return batch_wait(sender, batch, error)
    answered(sender, batch, outcome, members, unsettled)
    return None


def add_start(sender: Sender, batch: SyncBatch) -> list[Member]:
    """First attempt: people who may go, with digests, written down as under way."""
    people = batch_people(batch)
    asked = consent_gate(people, sender.purposes, sender.clock())
    dropped = asked.counts()
    allowed = people[asked.allowed]
    members = members_build(sender.destination, sender.client.account, allowed)
    dropped["no_identifier"] = len(allowed) - len(members)
    with transaction.atomic():
        sender.writer.hold()
        new = entries_insert(sender.target.target_no, batch.up_to_seq, members, sender.clock())
        members = [member for member in members if member.profile_no in new]
        dropped.pop("allowed", None)
        outcome_count(batch.sync_id, "dropped", dropped)
        batch_under_way(batch, sender.clock())
    return gate_again(sender, batch, members, is_first=True)


def add_resume(sender: Sender, batch: SyncBatch) -> list[Member]:
    """A further attempt: the same people with the same digests, less those who may not go any more."""
    with transaction.atomic():
        sender.writer.hold()
        members = entries_carried(sender.target.target_no, batch.up_to_seq, batch_people(batch))
        batch_under_way(batch, sender.clock())
    return gate_again(sender, batch, members, is_first=False)


def gate_again(sender: Sender, batch: SyncBatch, members: list[Member], *, is_first: bool) -> list[Member]:
    """The last question before the request. Nothing of a first attempt has left yet; of a further one it may have."""
    people = numbers_of(members)
    asked = consent_gate(people, sender.purposes, sender.clock())
    if bool(asked.allowed.all()):
        return members
    denied = people[~asked.allowed]
    with transaction.atomic():
        sender.writer.hold()
        if is_first:
            entries_forget(sender.target.target_no, batch.up_to_seq, denied)
        else:
            people_leave(sender.target.target_no, people, asked, sender.clock(), sender.clock())
        dropped = asked.counts()
        dropped.pop("allowed", None)
        outcome_count(batch.sync_id, "dropped", dropped)
    gone = set(denied.tolist())
    return [member for member in members if member.profile_no not in gone]


def people_leave(
    target_no: int, people: Numbers, asked: GateResult, received_at: dt.datetime, now: dt.datetime
) -> dict[str, int]:
    """Whoever the gate denies shall leave this list, by cause, with an open receipt. In the caller's transaction.

    The caller holds the target. Returns {cause: people}.
    """
    counts: dict[str, int] = {}
    reasons = np.where(asked.allowed, GateReason.ALLOWED, asked.reason)
    for reason in np.unique(reasons):
        if reason == GateReason.ALLOWED:
            continue
        cause = CAUSE_OF_REASON.get(GateReason(reason), "consent_withdrawn")
        leaving = entries_wish_removed(target_no, seq_next(target_no), people[reasons == reason], cause, now)
        receipts_open(target_no, leaving, cause, received_at, now)
        counts[cause] = counts.get(cause, 0) + len(leaving)
    return counts


def removal_start(sender: Sender, batch: SyncBatch) -> list[Member]:
    with transaction.atomic():
        sender.writer.hold()
        members = entries_take_leaving(sender.target.target_no, batch.up_to_seq, batch_people(batch))
        batch_under_way(batch, sender.clock())
        receipts_sent(sender.target.target_no, numbers_of(members), sender.clock())
    return members


def answered(
    sender: Sender, batch: SyncBatch, outcome: BatchOutcome, members: list[Member], unsettled: dt.datetime | None
) -> None:
    """An answer came: taken and to be polled, or done. When an opposite batch was unsettled, it is sent once more later."""
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
            batch_repeat(batch, max(unsettled, now + dt.timedelta(seconds=sender.policy.first_poll_seconds)))
        else:
            batch_settle(batch, sender.target.target_no, outcome, numbers_of(members), now)
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
            batch_settle(
                batch, sender.target.target_no, BatchOutcome("failed", rejections=(rejection,)), people, sender.clock()
            )
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
    """Take refused rows out of the batch; the rest is sent again at once."""
    target_no = sender.target.target_no
    if batch.operation == "add":
        entries_settle_added(target_no, batch.up_to_seq, people, sender.clock(), is_on_list=False)
    outcome_count(batch.sync_id, "rejected", {code: len(people)}, {code: people})
    kept = np.setdiff1d(batch_people(batch), people)
    batch.profile_nos, batch.entries, batch.retry_at = bitmap_pack(bitmap_make(kept)), len(kept), None
    batch.save(update_fields=["profile_nos", "entries", "retry_at"])


def batch_wait(sender: Sender, batch: SyncBatch, error: RetryableError) -> float:
    """No success: the same batch again later, by the network's wish or ours; everything else of the connection waits too."""
    now = sender.clock()
    wait = retry_seconds(sender.policy, batch.attempts, error.retry_after_seconds, seed=batch.batch_key)
    with transaction.atomic():
        sender.writer.hold()
        batch.retry_at = now + dt.timedelta(seconds=wait)
        batch.error = str(error)[:200]
        if isinstance(error, OutcomeUnknownError):
            batch.unsettled_until = now + dt.timedelta(seconds=sender.policy.settle_seconds)
        batch.save(update_fields=["retry_at", "error", "unsettled_until"])
        Connection.objects.filter(pk=sender.target.connection_id).update(wait_until=batch.retry_at)
    log.warning(
        "batch_waits", sync=batch.sync_id, batch=batch.batch_key, attempts=batch.attempts, seconds=round(wait, 1)
    )
    return wait


def batch_postpone(batch: SyncBatch, until: dt.datetime) -> None:
    SyncBatch.objects.filter(pk=batch.pk).update(retry_at=until)


def batch_under_way(batch: SyncBatch, now: dt.datetime) -> None:
    """From here on the network may have got it. In the caller's transaction."""
    batch.state, batch.sent_at, batch.retry_at, batch.attempts = "unknown", now, None, batch.attempts + 1
    batch.save(update_fields=["state", "sent_at", "retry_at", "attempts"])


def batch_close(sender: Sender, batch: SyncBatch) -> None:
    """Nobody is left to send."""
    batch.state, batch.acknowledged_at = "processed", sender.clock()
    batch.save(update_fields=["state", "acknowledged_at"])


def numbers_of(members: Sequence[Member]) -> Numbers:
    return np.array([member.profile_no for member in members], dtype=np.int64)
