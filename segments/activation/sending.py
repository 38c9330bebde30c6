"""One batch to one network: ask the gate in the moment of sending, record before the request, settle after the answer.

Order of an add: gate, digests, rows written and batch marked as under way (committed), gate again, request. A withdrawal that
commits before the second question is seen by it; one that commits later finds the rows and takes the person out again. So a
late add never beats a withdrawal, at whatever point the process dies.
"""

import datetime as dt

import numpy as np
from django.db import transaction

from cdp.consent.gate import GateReason, GateResult
from segments.activation.answering import (
    Sender,
    answered,
    batch_postpone,
    batch_refused,
    batch_wait,
    numbers_of,
    soonest_poll,
)
from segments.activation.asking import gate_ask
from segments.activation.batches import (
    adds_unsettled_until,
    batch_people,
    batch_split,
    outcome_count,
    receipts_open,
    receipts_sent,
)
from segments.activation.bitmaps import bitmap_load
from segments.activation.entries import (
    Numbers,
    entries_carried,
    entries_forget,
    entries_insert,
    entries_take_leaving,
    entries_wish_removed,
    seq_next,
)
from segments.activation.models import Sync, SyncBatch
from segments.activation.people import members_build
from segments.destinations.contract import (
    BatchRejectedError,
    BatchRequest,
    Member,
    RetryableError,
)

CAUSE_OF_REASON = {GateReason.SUPPRESSED: "suppressed", GateReason.NOT_A_PROFILE: "erased"}


def batch_send(sender: Sender, batch: SyncBatch) -> float | None:
    """Bring one batch one step on. Returns how many seconds the whole connection has to wait now, None for not at all.

    Raises NeedsHumanError, with the batch left as it is, and OvertakenError.
    """
    unsettled: dt.datetime | None = None
    if batch.operation == "remove":
        unsettled = adds_unsettled_until(sender.target.target_no, bitmap_load(batch.profile_nos), sender.clock())
        if unsettled and batch.outcome.get("repeats"):
            batch_postpone(batch, soonest_poll(sender, unsettled))
            return None
        members = removal_start(sender, batch)
    else:
        members = add_resume(sender, batch) if batch.state == "unknown" else add_start(sender, batch)
    if not members:
        batch_leave(sender, batch)
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
    asked = gate_ask(people, sender.purposes, sender.clock())
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
    asked = gate_ask(people, sender.purposes, sender.clock())
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


def batch_under_way(batch: SyncBatch, now: dt.datetime) -> None:
    """From here on the network may have got it. In the caller's transaction."""
    batch.state, batch.sent_at, batch.retry_at, batch.attempts = "unknown", now, None, batch.attempts + 1
    batch.save(update_fields=["state", "sent_at", "retry_at", "attempts"])


def batch_leave(sender: Sender, batch: SyncBatch) -> None:
    """Nobody is left to send."""
    batch.state, batch.acknowledged_at = "processed", sender.clock()
    batch.save(update_fields=["state", "acknowledged_at"])
