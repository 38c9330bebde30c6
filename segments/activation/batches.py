"""Batches on record: made before a request, settled after its answer, counted by outcome."""

import datetime as dt
from collections.abc import Mapping

from django.db import connection, transaction
from django.db.models import F

from segments.activation.bitmaps import BitMap64, bitmap_chunks, bitmap_load, bitmap_make, bitmap_numbers, bitmap_pack
from segments.activation.entries import (
    Numbers,
    entries_settle_added,
    entries_settle_removed,
)
from segments.activation.models import RemovalReceipt, Sync, SyncBatch, SyncOutcome
from segments.activation.writer import target_lock
from segments.destinations.contract import BatchOutcome, Operation

OPEN_STATES = ("planned", "unknown")


def batches_plan(sync: Sync, operation: Operation, people: BitMap64, size: int) -> int:
    """Record the batches of one operation, ``size`` people each; returns how many. In the caller's transaction."""
    batches = [
        SyncBatch(
            sync=sync,
            batch_key=f"s{sync.pk}.{operation}.{position}",
            position=position,
            operation=operation,
            entries=len(part),
            profile_nos=bitmap_pack(part),
            up_to_seq=sync.seq,
        )
        for position, part in enumerate(bitmap_chunks(people, size), start=1)
    ]
    SyncBatch.objects.bulk_create(batches)
    return len(batches)


def batch_split(batch: SyncBatch, people: Numbers) -> None:
    """Replace a refused batch by its two halves, so that one bad row does not hold the rest. In the caller's transaction."""
    middle = len(people) // 2
    for half, part in (("a", people[:middle]), ("b", people[middle:])):
        SyncBatch.objects.create(
            sync_id=batch.sync_id,
            batch_key=f"{batch.batch_key}{half}",
            operation=batch.operation,
            state="unknown",
            entries=len(part),
            profile_nos=bitmap_pack(bitmap_make(part)),
            up_to_seq=batch.up_to_seq,
            outcome={"resend": True},
        )
    batch.state = "split"
    batch.save(update_fields=["state"])


def outcome_count(
    sync_id: int, outcome: str, codes: Mapping[str, int], people: Mapping[str, Numbers] | None = None
) -> None:
    """Add to the run's deliveries by outcome and code; people where they are known. In the caller's transaction."""
    for code, count in codes.items():
        if not count:
            continue
        row, _ = SyncOutcome.objects.select_for_update().get_or_create(
            sync_id=sync_id, outcome=outcome, code=code[:80], defaults={"count": 0}
        )
        row.count += count
        known = (people or {}).get(code)
        if known is not None and len(known):
            row.profile_nos = bitmap_pack(bitmap_load(row.profile_nos) | bitmap_make(known))
        row.save(update_fields=["count", "profile_nos"])
    field = {"accepted": "accepted", "rejected": "rejected", "dropped": "dropped_at_send"}[outcome]
    Sync.objects.filter(pk=sync_id).update(**{field: F(field) + sum(codes.values())})


def batch_settle(batch: SyncBatch, target_no: int, outcome: BatchOutcome, carried: Numbers, now: dt.datetime) -> None:
    """Write down what became of a batch: ``processed`` or ``failed``. In the caller's transaction, which holds the target.

    Rows that the network named are refused one by one; where it only counted them, everybody's place is unknown.
    """
    if batch.operation == "remove" and outcome.rejections and outcome.state == "processed":
        # Who of them is still on the list is not known: all of them stay to be removed.
        outcome = BatchOutcome("failed", outcome.request_ref, outcome.received, outcome.rejections)
    named = {p for r in outcome.rejections for p in r.positions}
    refused = {r.code: carried[[p for p in r.positions if p < len(carried)]] for r in outcome.rejections if r.positions}
    kept = carried[[i for i in range(len(carried)) if i not in named]] if named else carried
    unnamed = sum(r.count for r in outcome.rejections if not r.positions)
    done = max(len(kept) - unnamed, 0) if outcome.state == "processed" else 0
    if batch.operation == "add":
        for people in refused.values():
            entries_settle_added(target_no, batch.up_to_seq, people, now, is_on_list=False)
        place = False if outcome.state == "failed" else None if unnamed else True
        entries_settle_added(target_no, batch.up_to_seq, kept, now, is_on_list=place)
    elif outcome.state == "processed":
        gone = entries_settle_removed(target_no, batch.up_to_seq, carried)
        receipts_confirm(target_no, gone, now)
    codes: dict[str, int] = {}
    for rejection in outcome.rejections:
        codes[rejection.code] = codes.get(rejection.code, 0) + rejection.count
    if outcome.state == "failed" and not codes:
        codes = {outcome.code or "failed": len(carried)}
    outcome_count(batch.sync_id, "rejected", codes, refused)
    outcome_count(batch.sync_id, "accepted", {"added" if batch.operation == "add" else "removed": done})
    batch.state = outcome.state
    batch.acknowledged_at = now
    batch.error = ""
    batch.outcome = {**batch.outcome, "received": outcome.received, "confirmed": done, "rejected": codes}
    batch.save(update_fields=["state", "acknowledged_at", "outcome", "error"])


def batch_polled(batch_no: int, outcome: BatchOutcome, now: dt.datetime) -> bool:
    """Settle an accepted batch by what the network said later; False when that was done already."""
    with transaction.atomic():
        target_no = SyncBatch.objects.values_list("sync__target_id", flat=True).get(pk=batch_no)
        target_lock(target_no)
        batch = SyncBatch.objects.select_for_update().get(pk=batch_no)
        if batch.state != "accepted":
            return False
        if batch.outcome.get("again") and outcome.state == "processed":
            batch_repeat(batch, now)
            return True
        batch_settle(batch, target_no, outcome, batch_people(batch), now)
    return True


def batch_repeat(batch: SyncBatch, at: dt.datetime) -> None:
    """Send a batch once more at ``at``: when it went out, an opposite one with the same people was not settled yet."""
    batch.state, batch.retry_at = "unknown", at
    batch.outcome = {**batch.outcome, "again": False, "repeats": int(batch.outcome.get("repeats", 0)) + 1}
    batch.save(update_fields=["state", "retry_at", "outcome"])


def batch_people(batch: SyncBatch) -> Numbers:
    """Whom the batch holds, ascending."""
    return bitmap_numbers(bitmap_load(batch.profile_nos))


def unsettled_until(batch: SyncBatch, target_no: int, now: dt.datetime) -> dt.datetime | None:
    """Until when opposite batches with the same people may still take effect; None when none can.

    That is a batch whose request got no answer (until its settling time), waits to be sent again, or was accepted and not
    processed yet.
    """
    opposite = "remove" if batch.operation == "add" else "add"
    others = (
        SyncBatch.objects.filter(sync__target_id=target_no, operation=opposite, attempts__gt=0)
        .exclude(state__in=("processed", "failed", "split"), unsettled_until=None)
        .exclude(state__in=("processed", "failed", "split"), unsettled_until__lte=now)
    )
    mine = bitmap_load(batch.profile_nos)
    found: dt.datetime | None = None
    for other in others.iterator(chunk_size=20):
        if mine.intersect(bitmap_load(other.profile_nos)):
            until = max(other.unsettled_until or now, now)
            found = until if found is None else max(found, until)
    return found


def receipts_open(
    target_no: int, profile_nos: list[int], cause: str, received_at: dt.datetime, now: dt.datetime
) -> None:
    """Start the clock of opted-out people; one open receipt a person and list."""
    RemovalReceipt.objects.bulk_create(
        [
            RemovalReceipt(target_id=target_no, profile_no=no, cause=cause, received_at=received_at, wanted_at=now)
            for no in profile_nos
        ],
        ignore_conflicts=True,
    )


def receipts_sent(target_no: int, profile_nos: Numbers, now: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE segments_removalreceipt SET sent_at = coalesce(sent_at, %s), attempts = attempts + 1 "
            "WHERE target_id = %s AND profile_no = ANY(%s) AND confirmed_at IS NULL",
            [now, target_no, profile_nos.tolist()],
        )


def receipts_confirm(target_no: int, profile_nos: list[int], now: dt.datetime) -> None:
    RemovalReceipt.objects.filter(target_id=target_no, profile_no__in=profile_nos, confirmed_at=None).update(
        confirmed_at=now
    )
