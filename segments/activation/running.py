"""One writer's turn at one list: opt-outs first, then what is under way, then a new plan, until nothing is due.

May stop anywhere; the next turn goes on from what is on record.
"""

import datetime as dt
from dataclasses import dataclass

import structlog
from django.db.models import Q

from segments.activation.answering import Clock, Sender
from segments.activation.batches import OPEN_STATES, batch_polled
from segments.activation.connections import connection_pause, destination_account, send_policy, target_purposes
from segments.activation.models import AudienceTarget, Connection, Sync, SyncBatch
from segments.activation.planning import sync_plan
from segments.activation.policy import SendPolicy, retry_seconds
from segments.activation.removals import opt_outs_plan, wishes_collect
from segments.activation.sending import batch_send
from segments.activation.writer import OvertakenError, Writer, target_writer
from segments.destinations.contract import Destination, NeedsHumanError, OutcomeUnknownError, RetryableError
from segments.destinations.http import DestinationClient

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """``state``: busy (another writer), paused, waiting (``wait_seconds``), done. ``sync_no``: the regular run, if any."""

    state: str
    sync_no: int | None = None
    wait_seconds: float | None = None


def target_run(
    target_no: int,
    *,
    clock: Clock,
    plan: bool | None = None,
    deadline: dt.datetime | None = None,
    policy: SendPolicy | None = None,
) -> Turn:
    """Take a turn: opt-outs, then what is under way, then a new regular run: when due (``plan`` None), now, or not at all.

    ``deadline`` ends the turn between two batches. Never raises for what a network or account does.
    """
    with target_writer(target_no) as writer:
        if writer is None:
            return Turn("busy")
        target = AudienceTarget.objects.select_related("audience__segment", "connection").get(pk=target_no)
        if target.connection.paused_at is not None or not target.is_enabled:
            return Turn("paused")
        wait = connection_wait(target.connection_id, clock())
        if wait:
            return Turn("waiting", wait_seconds=wait)
        try:
            return turn_take(writer, target, clock, plan, deadline, policy or send_policy(target.connection))
        except OvertakenError:
            log.warning("writer_overtaken", target=target_no)
            return Turn("busy")
        except RetryableError as error:
            seconds = error.retry_after_seconds or (policy or send_policy(target.connection)).first_retry_seconds
            return Turn("waiting", wait_seconds=seconds)
        except NeedsHumanError as error:
            connection_pause(target.connection_id, error.message, clock())
            return Turn("paused", open_run_reason(target_no, error))


def turn_take(
    writer: Writer,
    target: AudienceTarget,
    clock: Clock,
    plan: bool | None,
    deadline: dt.datetime | None,
    policy: SendPolicy,
) -> Turn:
    destination, account = destination_account(target.connection)
    purposes: tuple[str, ...] = ()
    unmapped: NeedsHumanError | None = None
    try:
        purposes = target_purposes(target)
    except NeedsHumanError as error:
        # Nobody may be added, but whoever has to leave still can: an unmapped destination holds no removal back.
        unmapped = error
    size = min(destination.capabilities.max_batch_rows, policy.batch_people)
    with DestinationClient(account, answer_seconds=policy.answer_seconds) as client:
        if not target.external_id and unmapped is None and (plan is not False or target.syncs.exists()):
            title = f"{target.audience.title} ({target.audience.key})"
            list_id = destination.audience_ensure(client, f"{target.audience.key}@{target.connection.key}", title)
            AudienceTarget.objects.filter(pk=target.pk, external_id="").update(external_id=list_id)
            target.refresh_from_db(fields=["external_id"])
        sender = Sender(writer, target, destination, client, purposes, policy, clock)
        sync_no: int | None = None
        while True:
            if deadline and clock() >= deadline:
                return Turn("waiting", sync_no, 0.0)
            wishes_collect(clock())
            opt_outs_plan(writer, target, size, clock())
            batch = batch_next(target.target_no, clock())
            if batch is not None:
                wait = batch_send(sender, batch)
                sync_finish(batch.sync_id, clock())
                if wait is not None:
                    return Turn("waiting", sync_no, wait)
                continue
            pause = batch_pause(target.target_no, clock())
            is_done = sync_no is not None or target.audience.is_paused or not plan_wanted(target, plan, clock())
            if is_done or batch_pause(target.target_no, clock(), lane="regular") is not None:
                return Turn("done" if pause is None else "waiting", sync_no, pause)
            sync_no = plan_attempt(writer, target, destination, purposes, unmapped, size, clock())


def plan_wanted(target: AudienceTarget, plan: bool | None, now: dt.datetime) -> bool:
    """Whether a new run is to be planned: as asked for, or (None) when the schedule says so."""
    if plan is not None:
        return plan
    return AudienceTarget.objects.filter(pk=target.pk, due_at__lte=now).exists()


def plan_attempt(
    writer: Writer,
    target: AudienceTarget,
    destination: Destination,
    purposes: tuple[str, ...],
    unmapped: NeedsHumanError | None,
    size: int,
    now: dt.datetime,
) -> int:
    """Plan a run; an audience that cannot be used fails its run and leaves the connection alone."""
    next_at = now + dt.timedelta(minutes=target.sync_every_minutes)
    AudienceTarget.objects.filter(pk=target.pk).update(due_at=next_at)
    try:
        if unmapped is not None:
            raise unmapped
        return int(sync_plan(writer, target, destination, purposes, size, now).pk)
    except NeedsHumanError as error:
        log.warning("sync_not_planned", target=target.target_no, code=error.code)
        failed = Sync.objects.create(
            target=target, state="failed", reason=error.message[:400], started_at=now, finished_at=now
        )
        return int(failed.pk)


def batch_next(target_no: int, now: dt.datetime) -> SyncBatch | None:
    """The next batch that is due: opt-outs before the rest, then in order."""
    return (
        SyncBatch.objects.filter(sync__target_id=target_no, state__in=OPEN_STATES)
        .filter(Q(retry_at=None) | Q(retry_at__lte=now))
        .order_by("sync__lane", "batch_no")
        .first()
    )


def batch_pause(target_no: int, now: dt.datetime, lane: str = "") -> float | None:
    """Seconds until the next open batch (of that lane) is due; None when none is open."""
    lanes = {"sync__lane": lane} if lane else {}
    soonest = (
        SyncBatch.objects.filter(sync__target_id=target_no, state__in=OPEN_STATES, **lanes)
        .order_by("retry_at")
        .values_list("retry_at", flat=True)
        .first()
    )
    return None if soonest is None else max((soonest - now).total_seconds(), 0.01)


def connection_wait(connection_id: int, now: dt.datetime) -> float | None:
    until = Connection.objects.values_list("wait_until", flat=True).get(pk=connection_id)
    return None if until is None or until <= now else (until - now).total_seconds()


def sync_finish(sync_no: int, now: dt.datetime) -> None:
    """Bring the run's state in line with its batches."""
    states = set(SyncBatch.objects.filter(sync_id=sync_no).values_list("state", flat=True))
    sync = Sync.objects.get(pk=sync_no)
    if states & set(OPEN_STATES):
        state = "sending"
    elif "accepted" in states:
        state = "confirming"
    elif sync.rejected:
        state = "partial" if sync.accepted else "failed"
    else:
        state = "sent"
    finished_at = now if state in {"sent", "partial", "failed"} else None
    Sync.objects.filter(pk=sync_no).exclude(state=state).update(state=state, finished_at=finished_at)


def open_run_reason(target_no: int, error: NeedsHumanError) -> int | None:
    """Say on the run what a person must do."""
    sync = Sync.objects.filter(target_id=target_no, state__in=("sending", "confirming")).order_by("-sync_no").first()
    if sync is None:
        sync = Sync.objects.create(target_id=target_no, state="failed")
    Sync.objects.filter(pk=sync.pk).update(reason=error.message[:400])
    return sync.pk


def batches_poll(
    now: dt.datetime, *, limit: int = 200, target_no: int | None = None, policy: SendPolicy | None = None
) -> int:
    """Ask what became of accepted batches that are due; returns how many are settled now. Any worker may do it."""
    due = SyncBatch.objects.filter(state="accepted", retry_at__lte=now, sync__target__connection__paused_at=None)
    if target_no is not None:
        due = due.filter(sync__target_id=target_no)
    settled = 0
    by_connection: dict[int, list[SyncBatch]] = {}
    for batch in due.select_related("sync__target__connection").order_by("retry_at")[:limit]:
        by_connection.setdefault(batch.sync.target.connection_id, []).append(batch)
    for connection_id, batches in by_connection.items():
        connection = batches[0].sync.target.connection
        try:
            settled += connection_poll(connection, batches, policy or send_policy(connection), now)
        except RetryableError:
            log.warning("poll_waits", connection=connection_id)
        except NeedsHumanError as error:
            connection_pause(connection_id, error.message, now)
    return settled


def connection_poll(connection: Connection, batches: list[SyncBatch], policy: SendPolicy, now: dt.datetime) -> int:
    destination, account = destination_account(connection)
    settled = 0
    with DestinationClient(account, answer_seconds=policy.answer_seconds) as client:
        for batch in batches:
            polls = int(batch.outcome.get("polls", 0)) + 1
            try:
                outcome = destination.batch_poll(client, batch.request_ref)
            except OutcomeUnknownError:
                settled += processing_failed(batch, policy, now)
                continue
            if outcome.state == "accepted":
                wait = min(policy.first_poll_seconds * 1.5**polls, policy.longest_poll_seconds)
                SyncBatch.objects.filter(pk=batch.pk, state="accepted").update(
                    retry_at=now + dt.timedelta(seconds=wait), outcome={**batch.outcome, "polls": polls}
                )
            else:
                again = retry_seconds(policy, batch.attempts, None, seed=batch.batch_key)
                settled += batch_polled(batch.pk, outcome, now, now + dt.timedelta(seconds=again))
                sync_finish(batch.sync_id, now)
    return settled


def processing_failed(batch: SyncBatch, policy: SendPolicy, now: dt.datetime) -> int:
    """The network took the batch and failed later: the same batch goes out again."""
    wait = retry_seconds(policy, batch.attempts, None, seed=batch.batch_key)
    changed = SyncBatch.objects.filter(pk=batch.pk, state="accepted").update(
        state="unknown", retry_at=now + dt.timedelta(seconds=wait), error="accepted, then not processed"
    )
    sync_finish(batch.sync_id, now)
    return changed
