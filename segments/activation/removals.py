"""Opt-outs to the networks: the messages of consent and identity become wishes, wishes become removals in a lane of their own.

No stop holds this lane. Every removal has a receipt with its clock, from the withdrawal to the network's confirmation.
"""

import datetime as dt

import numpy as np
import structlog
from django.db import transaction

from cdp.events.models import OutboxMessage
from cdp.events.records import Claim
from cdp.events.services import outbox_claim, outbox_finish, outbox_retry
from segments.activation.asking import gate_ask
from segments.activation.batches import batches_plan, receipts_open
from segments.activation.bitmaps import bitmap_make
from segments.activation.connections import destination_account, target_purposes
from segments.activation.entries import (
    Numbers,
    entries_leaving,
    entries_members,
    entries_of_people,
    entries_wish_removed,
    seq_next,
)
from segments.activation.models import OPT_OUT_CAUSES, AudienceTarget, SentEntry, Sync
from segments.activation.people import members_build
from segments.activation.sending import people_leave
from segments.activation.writer import Writer, target_lock
from segments.destinations.contract import NeedsHumanError, RetryableError

log = structlog.get_logger(__name__)

# The plain topics are this slice's; other slices subscribe to copies (cdp.events.outbox.outbox_subscribe).
CONSENT_TOPICS = ("consent_changed", "profiles_suppressed")
PEOPLE_TOPICS = ("profile_erased", "profiles_merged", "profiles_unmerged")
TOPICS = CONSENT_TOPICS + PEOPLE_TOPICS
MESSAGES_PER_CLAIM = 100
LEASE_SECONDS = 60.0
RETRY_SECONDS = 10.0


def wishes_collect(now: dt.datetime) -> int:
    """Turn every waiting message into removal wishes; returns how many messages were done. Safe to repeat and to run twice."""
    done = 0
    for topic in TOPICS:
        while claims := outbox_claim(topic, MESSAGES_PER_CLAIM, now, LEASE_SECONDS):
            for claim in claims:
                try:
                    message_follow(topic, claim, now)
                    done += 1
                except (RetryableError, NeedsHumanError) as error:
                    outbox_retry(claim, now + dt.timedelta(seconds=RETRY_SECONDS))
                    log.warning("removals_not_wished", topic=topic, message=claim.outbox_no, error=type(error).__name__)
    return done


def message_follow(topic: str, claim: Claim, now: dt.datetime) -> None:
    """One message: on every list where one of its people stands, whoever may not stand there shall leave."""
    profile_nos = [int(number) for number in claim.payload["profile_nos"]]
    received_at = OutboxMessage.objects.values_list("created_at", flat=True).get(pk=claim.outbox_no)
    targets = {t.target_no: t for t in AudienceTarget.objects.select_related("audience", "connection")}
    on_lists: dict[int, list[int]] = {}
    for target_no, profile_no in entries_of_people(list(targets), profile_nos):
        on_lists.setdefault(target_no, []).append(profile_no)
    with transaction.atomic():
        for target_no, found in sorted(on_lists.items()):
            people = np.array(found, dtype=np.int64)
            target_lock(target_no)
            people_reconsider(targets[target_no], people, received_at, now, is_identity=topic in PEOPLE_TOPICS)
        outbox_finish(claim)
    if on_lists:
        log.info("removals_wished", topic=topic, lists=len(on_lists), people=sum(map(len, on_lists.values())))


def people_reconsider(
    target: AudienceTarget, people: Numbers, received_at: dt.datetime, now: dt.datetime, *, is_identity: bool
) -> None:
    """In the caller's transaction, which holds the target."""
    try:
        purposes = target_purposes(target)
    except NeedsHumanError:
        purposes = ()  # no longer mapped: the gate then allows nobody
    asked = gate_ask(people, purposes, now)
    people_leave(target.target_no, people, asked, received_at, now)
    if not is_identity:
        return
    changed = identity_changed(target, people[asked.allowed], people[~asked.allowed])
    if len(changed):
        leaving = entries_wish_removed(target.target_no, seq_next(target.target_no), changed, "identity_changed", now)
        receipts_open(target.target_no, leaving, "identity_changed", received_at, now)
        AudienceTarget.objects.filter(pk=target.target_no, due_at__gt=now).update(due_at=now)


def identity_changed(target: AudienceTarget, staying: Numbers, leaving: Numbers) -> Numbers:
    """Those whose digests are not what was sent, or stand on the list for somebody who leaves as well.

    They are taken off and added again with what they hold now: a merged or parted person's list entry follows.
    """
    if not len(staying):
        return staying
    destination, account = destination_account(target.connection)
    now_held = {m.profile_no: set(m.identifiers) for m in members_build(destination, account, staying)}
    sent = {m.profile_no: set(m.identifiers) for m in entries_members(target.target_no, staying)}
    shared = {i for m in entries_members(target.target_no, leaving) for i in m.identifiers}
    return np.array(
        [n for n in staying.tolist() if now_held.get(n, set()) != sent.get(n, set()) or sent.get(n, set()) & shared],
        dtype=np.int64,
    )


def opt_outs_plan(writer: Writer, target: AudienceTarget, size: int, now: dt.datetime) -> Sync | None:
    """A run of the opt-out lane for everybody who waits for removal and whom no batch has carried; None when nobody does."""
    if not len(entries_leaving(target.target_no, OPT_OUT_CAUSES)):
        return None
    with transaction.atomic():
        writer.hold()
        people = bitmap_make(entries_leaving(target.target_no, OPT_OUT_CAUSES))
        planned = Sync.objects.create(
            target=target,
            lane="opt_out",
            state="sending",
            started_at=now,
            seq=seq_next(target.target_no),
            to_remove=len(people),
            on_list_before=SentEntry.objects.filter(target_no=target.target_no, wanted=True).count(),
        )
        batches_plan(planned, "remove", people, size)
    log.info("opt_outs_planned", sync=planned.pk, target=target.target_no, people=len(people))
    return planned
