"""What a list should hold against what it holds: only the difference goes out, and only when no stop speaks against it."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import structlog
from django.db import connection, transaction

from cdp.core.copying import numbers_read, numbers_text
from segments.activation.asking import gate_ask
from segments.activation.batches import OPEN_STATES, batches_plan, removals_unsettled
from segments.activation.bitmaps import BitMap64, bitmap_load, bitmap_make, bitmap_numbers, bitmap_pack
from segments.activation.entries import (
    Numbers,
    entries_leaving,
    entries_read,
    entries_wish_again,
    entries_wish_removed,
    seq_next,
)
from segments.activation.models import OPT_OUT_CAUSES, AudienceTarget, Sync, SyncBatch
from segments.activation.policy import plan_judge
from segments.activation.sending import people_leave
from segments.activation.writer import Writer
from segments.audiences.models import Membership, SegmentSize
from segments.audiences.services import Wanted, audience_wanted
from segments.destinations.contract import Destination

log = structlog.get_logger(__name__)

PEOPLE_PER_STATEMENT = 20_000


@dataclass(frozen=True, slots=True)
class Difference:
    """Whom to add, whom to take off by the rule, and who may not be there at all."""

    add: BitMap64
    remove: BitMap64
    refused: BitMap64
    """Refused by the network and not wanted any more: their rows go without a call."""
    no_identifier: int
    on_list: int


def sync_plan(
    writer: Writer,
    target: AudienceTarget,
    destination: Destination,
    purposes: tuple[str, ...],
    size: int,
    now: dt.datetime,
) -> Sync:
    """A new run: ``sending``, ``stopped`` (nothing was written down but the plan) or ``no_change``.

    People who may not be on the list any more are marked for the opt-out lane whatever the verdict; that also catches what
    no message told. A run that waits for approval is replaced: its numbers are those of now.
    Raises NeedsHumanError when the audience cannot be used.
    """
    wanted = audience_wanted(target.audience, purposes, now)
    difference = sync_difference(writer, target, destination, purposes, wanted, now)
    facts = destination.capabilities
    verdict = plan_judge(
        on_list=difference.on_list,
        removals=len(difference.remove),
        wanted=len(wanted.wanted),
        max_removal_share=target.max_removal_share,
        minimum_size=facts.minimum_size,
        network=destination.title,
    )
    sync = Sync.objects.filter(target=target, state="stopped").order_by("-sync_no").first()
    if sync is not None and not verdict.stop:
        sync.state, sync.finished_at = "cancelled", now
        sync.reason = f"{sync.reason} The next run was within the limit and took its place."[:400]
        sync.save(update_fields=["state", "finished_at", "reason"])
        sync = None
    sync = sync or Sync(target=target, started_at=now)
    sync.segment_version = wanted.segment_version
    sync.reach = reach_counts(wanted, difference.no_identifier)
    sync.to_add, sync.to_remove, sync.on_list_before = len(difference.add), len(difference.remove), difference.on_list
    sync.removal_causes = removal_causes(target, difference.remove, wanted) if difference.remove else {}
    sync.warnings, sync.reason = list(verdict.warnings), verdict.stop
    if verdict.stop:
        sync.state = "stopped"
        sync.planned_add, sync.planned_remove = bitmap_pack(difference.add), bitmap_pack(difference.remove)
        sync.save()
        log.warning("sync_stopped", sync=sync.pk, target=target.target_no, to_add=sync.to_add, to_remove=sync.to_remove)
        return sync
    with transaction.atomic():
        writer.hold()
        batches_make(sync, target, difference.add, difference.remove | difference.refused, size, now)
    log.info(
        "sync_planned",
        sync=sync.pk,
        target=target.target_no,
        to_add=sync.to_add,
        to_remove=sync.to_remove,
        state=sync.state,
    )
    return sync


def sync_difference(
    writer: Writer,
    target: AudienceTarget,
    destination: Destination,
    purposes: tuple[str, ...],
    wanted: Wanted,
    now: dt.datetime,
) -> Difference:
    """Wanted against sent. Whoever is being removed waits until that is confirmed before being added again."""
    sent = entries_read(target.target_no)
    add = wanted.wanted - sent.wanted - sent.refused - sent.leaving - removals_unsettled(target.target_no, now)
    usable = people_with_identifier(bitmap_numbers(add), destination.capabilities.identifier_types)
    remove = sent.wanted - wanted.wanted
    denied = opt_outs_mark(writer, target, remove | (sent.refused - wanted.wanted), purposes, now)
    return Difference(
        add=usable,
        remove=remove - denied,
        refused=sent.refused - wanted.wanted - denied,
        no_identifier=len(add) - len(usable),
        on_list=len(sent.wanted),
    )


def opt_outs_mark(
    writer: Writer, target: AudienceTarget, remove: BitMap64, purposes: tuple[str, ...], now: dt.datetime
) -> BitMap64:
    """Of those who would leave, the ones who may not be there: they go to their own lane at once."""
    denied = BitMap64()
    numbers = bitmap_numbers(remove)
    for start in range(0, len(numbers), PEOPLE_PER_STATEMENT):
        part = numbers[start : start + PEOPLE_PER_STATEMENT]
        asked = gate_ask(part, purposes, now)
        if bool(asked.allowed.all()):
            continue
        with transaction.atomic():
            writer.hold()
            people_leave(target.target_no, part, asked, now, now)
        denied |= bitmap_make(part[~asked.allowed])
    return denied


def batches_make(
    sync: Sync, target: AudienceTarget, add: BitMap64, remove: BitMap64, size: int, now: dt.datetime
) -> None:
    """Turn a plan into wishes and batches. In the caller's transaction, which holds the target.

    Removals come first, so that a list is never larger than it may be.
    """
    sync.seq = seq_next(target.target_no)
    numbers = bitmap_numbers(remove)
    leaving = removals_again(target, sync.seq)
    for start in range(0, len(numbers), PEOPLE_PER_STATEMENT):
        part = numbers[start : start + PEOPLE_PER_STATEMENT]
        leaving |= bitmap_make(entries_wish_removed(target.target_no, sync.seq, part, "left", now))
    sync.planned_add = sync.planned_remove = None
    sync.state = "sending" if add or leaving else "no_change"
    sync.finished_at = None if add or leaving else now
    sync.save()
    batches_plan(sync, "remove", leaving, size)
    batches_plan(sync, "add", add, size)


def removals_again(target: AudienceTarget, seq: int) -> BitMap64:
    """People whose removal failed and whom no batch holds now: those who left by the rule come back into this run.

    Opt-outs among them are free for their own lane again.
    """
    open_batches = SyncBatch.objects.filter(
        sync__target=target, operation="remove", state__in=(*OPEN_STATES, "accepted")
    )
    held = BitMap64()
    for data in open_batches.values_list("profile_nos", flat=True):
        held |= bitmap_load(data)
    stuck = bitmap_make(entries_leaving(target.target_no, None)) - held
    again = entries_wish_again(target.target_no, seq, bitmap_numbers(stuck)) if stuck else []
    return bitmap_make([number for number, cause in again if cause not in OPT_OUT_CAUSES])


def stopped_release(sync: Sync, target: AudienceTarget, size: int, now: dt.datetime, *, removals: bool) -> None:
    """Make the batches of a plan that waited for approval. In the caller's transaction, which holds the target."""
    sent = entries_read(target.target_no)
    add = bitmap_load(sync.planned_add) - sent.wanted - sent.refused - sent.leaving
    remove = (bitmap_load(sync.planned_remove) & sent.wanted) if removals else BitMap64()
    sync.to_add, sync.to_remove = len(add), len(remove)
    batches_make(sync, target, add, remove, size, now)


def people_with_identifier(numbers: Numbers, types: tuple[str, ...]) -> BitMap64:
    """Those who hold at least one identifier of these types."""
    found = BitMap64()
    for start in range(0, len(numbers), PEOPLE_PER_STATEMENT):
        with connection.cursor() as cursor:
            rows = numbers_read(
                cursor,
                "SELECT DISTINCT i.profile_no FROM cdp_identifier i JOIN cdp_identifiertype t ON t.id = i.type_id "
                "WHERE t.key = ANY(%s) AND i.profile_no = ANY(%s::bigint[])",
                [list(types), numbers_text(numbers[start : start + PEOPLE_PER_STATEMENT])],
            )
        found |= bitmap_make(rows[:, 0])
    return found


def reach_counts(wanted: Wanted, no_identifier: int) -> dict[str, int]:
    """The waterfall: members, then what each step takes off."""
    counts = wanted.counts()
    return {
        "members": counts["members"],
        "held_out": counts["held_out"],
        "consent": counts["no_consent"],
        "suppressed": counts["suppressed"],
        "identifier": no_identifier,
        "wanted": counts["wanted"] - no_identifier,
    }


def removal_causes(target: AudienceTarget, remove: BitMap64, wanted: Wanted) -> dict[str, int]:
    """Why people would leave: the rule was changed, they left by behaviour, or they are held out now."""
    held_out = len(remove & wanted.held_out)
    first = (
        SegmentSize.objects.filter(segment_no=target.audience.segment_id, version=wanted.segment_version)
        .order_by("at")
        .values_list("at", flat=True)
        .first()
    )
    by_rule = 0
    if first is not None and wanted.segment_version > 1:
        gone = np.fromiter(
            Membership.objects.filter(segment_no=target.audience.segment_id, exited_at=first)
            .values_list("profile_no", flat=True)
            .iterator(chunk_size=PEOPLE_PER_STATEMENT),
            dtype=np.int64,
        )
        by_rule = len(remove & bitmap_make(gone))
    causes = {"rule_changed": by_rule, "held_out": held_out, "left": len(remove) - by_rule - held_out}
    return {cause: count for cause, count in causes.items() if count}
