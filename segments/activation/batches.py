"""Batches on record: made before a request, settled after its answer, counted by outcome."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace

from django.db import connection, transaction
from django.db.models import F

from cdp.core.copying import numbers_text
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
    batch_part(batch, people[:middle], "a")
    batch_part(batch, people[middle:], "b")
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


def batch_settle(
    batch: SyncBatch, target_no: int, outcome: BatchOutcome, carried: Numbers, now: dt.datetime, retry_at: dt.datetime
) -> None:
    """Write down what became of a batch. In the caller's transaction, which holds the target.

    A removal that was not taken whole is not done, since nobody knows who is left: opt-outs go out again at ``retry_at``,
    until it is; others with the next run.
    """
    if batch.operation == "add":
        add_settle(batch, target_no, outcome, carried, now)
    elif outcome.state == "processed" and not outcome.rejections:
        gone = entries_settle_removed(target_no, batch.up_to_seq, carried)
        receipts_confirm(target_no, gone, now)
        batch_close(batch, outcome, len(carried), {}, {}, now)
    elif Sync.objects.filter(pk=batch.sync_id, lane="opt_out").exists():
        batch.state, batch.retry_at = "unknown", retry_at
        batch.error = f"refused: {', '.join(sorted(rejected_codes(outcome, len(carried))))}"[:200]
        batch.save(update_fields=["state", "retry_at", "error"])
    else:
        failed = replace(outcome, state="failed")
        batch_close(batch, failed, 0, rejected_codes(failed, len(carried)), {}, now)


def add_settle(batch: SyncBatch, target_no: int, outcome: BatchOutcome, carried: Numbers, now: dt.datetime) -> None:
    """Rows that the network named are refused one by one; where it only counted them, everybody's place is unknown."""
    named = {p for r in outcome.rejections for p in r.positions}
    refused = {r.code: carried[[p for p in r.positions if p < len(carried)]] for r in outcome.rejections if r.positions}
    kept = carried[[i for i in range(len(carried)) if i not in named]] if named else carried
    unnamed = sum(r.count for r in outcome.rejections if not r.positions)
    for people in refused.values():
        entries_settle_added(target_no, batch.up_to_seq, people, now, is_on_list=False)
    place = False if outcome.state == "failed" else None if unnamed else True
    entries_settle_added(target_no, batch.up_to_seq, kept, now, is_on_list=place)
    done = max(len(kept) - unnamed, 0) if outcome.state == "processed" else 0
    batch_close(batch, outcome, done, rejected_codes(outcome, len(carried)), refused, now)


def rejected_codes(outcome: BatchOutcome, people: int) -> dict[str, int]:
    """{code: rows}; of a failure without codes, everybody."""
    codes: dict[str, int] = {}
    for rejection in outcome.rejections:
        codes[rejection.code] = codes.get(rejection.code, 0) + rejection.count
    return {outcome.code or "failed": people} if outcome.state == "failed" and not codes else codes


def batch_close(
    batch: SyncBatch,
    outcome: BatchOutcome,
    done: int,
    codes: Mapping[str, int],
    refused: Mapping[str, Numbers],
    now: dt.datetime,
) -> None:
    """The last word on a batch: its state, and its rows in the run's counts."""
    outcome_count(batch.sync_id, "rejected", codes, refused)
    outcome_count(batch.sync_id, "accepted", {"added" if batch.operation == "add" else "removed": done})
    batch.state, batch.acknowledged_at, batch.error = outcome.state, now, ""
    batch.outcome = {**batch.outcome, "received": outcome.received, "confirmed": done, "rejected": dict(codes)}
    batch.save(update_fields=["state", "acknowledged_at", "outcome", "error"])


def batch_polled(batch_no: int, outcome: BatchOutcome, now: dt.datetime, retry_at: dt.datetime) -> bool:
    """Settle an accepted batch by what the network said later; False when that was done already."""
    with transaction.atomic():
        target_no = SyncBatch.objects.values_list("sync__target_id", flat=True).get(pk=batch_no)
        target_lock(target_no)
        batch = SyncBatch.objects.select_for_update().get(pk=batch_no)
        if batch.state != "accepted":
            return False
        if batch.outcome.get("again") and outcome.state == "processed":
            batch_repeat(batch, now)
        else:
            batch_settle(batch, target_no, outcome, batch_people(batch), now, retry_at)
    return True


def batch_repeat(batch: SyncBatch, at: dt.datetime) -> None:
    """Send a removal once more at ``at``: when it went out, an add of the same people was not settled yet."""
    batch.state, batch.retry_at = "unknown", at
    batch.outcome = {**batch.outcome, "again": False, "repeats": int(batch.outcome.get("repeats", 0)) + 1}
    batch.save(update_fields=["state", "retry_at", "outcome"])


def batch_part(batch: SyncBatch, people: Numbers, name: str, retry_at: dt.datetime | None = None) -> None:
    """Some of a batch's people as a batch of their own. In the caller's transaction."""
    SyncBatch.objects.create(
        sync_id=batch.sync_id,
        batch_key=f"{batch.batch_key}{name}",
        operation=batch.operation,
        state="unknown",
        entries=len(people),
        profile_nos=bitmap_pack(bitmap_make(people)),
        up_to_seq=batch.up_to_seq,
        retry_at=retry_at,
    )


def batch_people(batch: SyncBatch) -> Numbers:
    """Whom the batch holds, ascending."""
    return bitmap_numbers(bitmap_load(batch.profile_nos))


def adds_unsettled_until(target_no: int, people: BitMap64, now: dt.datetime) -> dt.datetime | None:
    """Until when adds of these people may still take effect, so that a removal has to be repeated; None when none can.

    That is an add whose request got no answer (until its settling time), that waits to be sent again, or that was accepted
    and not processed yet.
    """
    adds = batches_unsettled(target_no, "add", now)
    ends = [max(until or now, now) for until, data in adds if people.intersect(bitmap_load(data))]
    return max(ends, default=None)


def removals_unsettled(target_no: int, now: dt.datetime) -> BitMap64:
    """People whose removal may still take effect: to be added again only after that."""
    found = BitMap64()
    for _, data in batches_unsettled(target_no, "remove", now):
        found |= bitmap_load(data)
    return found


def batches_unsettled(
    target_no: int, operation: Operation, now: dt.datetime
) -> Iterator[tuple[dt.datetime | None, bytes | memoryview]]:
    closed = ("processed", "failed", "split")
    return (
        SyncBatch.objects.filter(sync__target_id=target_no, operation=operation, attempts__gt=0)
        .exclude(state__in=closed, unsettled_until=None)
        .exclude(state__in=closed, unsettled_until__lte=now)
        .values_list("unsettled_until", "profile_nos")
        .iterator(chunk_size=20)
    )


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
            "WHERE target_id = %s AND profile_no = ANY(%s::bigint[]) AND confirmed_at IS NULL",
            [now, target_no, numbers_text(profile_nos)],
        )


def receipts_confirm(target_no: int, profile_nos: list[int], now: dt.datetime) -> None:
    RemovalReceipt.objects.filter(target_id=target_no, profile_no__in=profile_nos, confirmed_at=None).update(
        confirmed_at=now
    )
