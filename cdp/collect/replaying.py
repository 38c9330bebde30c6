"""The cause is mended: do the calls that were refused pass now?

A refused call goes through the same checks and, when it passes, has its effects in the same transaction that notes the
outcome, so a kill in between changes nothing. Its message id is claimed as ever: what came in meanwhile has no second effect.
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from django.db import connection, transaction

from cdp.access.services import audit
from cdp.collect.absorbing import Call, calls_absorb
from cdp.collect.bodies import around_unpack
from cdp.collect.draining import HOPELESS, TRANSIENT, sources_note
from cdp.collect.messages import Message, items_check, message_read
from cdp.collect.models import Reject
from cdp.collect.rejects import NewReject, reject_around, reject_sample, rejects_record
from cdp.core.errors import Problem, RetryableError
from cdp.events.locks import ledger_write_lock
from cdp.events.services import messages_claim, messages_release

REPLAY_AT_ONCE = 500
LOCK_SPACE = 7302  # beside the drains' 7301


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one refused call. ``problem`` says why it was refused again."""

    reject_no: int
    outcome: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    reject: Reject
    message: Message
    notes: tuple[Problem, ...] = ()


def rejects_replay(source_no: int, reject_nos: Sequence[int], now: dt.datetime, *, actor: str) -> list[Replayed]:
    """Send refused calls of one source (at most 500) through the checks again; outcomes in order of number.

    Rows that cannot be replayed, or were taken already, are left out: a second run of the same rows does nothing. One
    transaction with one line in the audit log; replays of one source wait for each other. Raises RetryableError when the
    database is at fault; then nothing has changed.
    """
    try:
        with transaction.atomic():
            ledger_write_lock()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s, hashint8(%s))", [LOCK_SPACE, source_no])
            rows = list(
                Reject.objects.replayable()
                .filter(source_id=source_no, reject_no__in=list(reject_nos)[:REPLAY_AT_ONCE])
                .order_by("reject_no")
                .select_for_update()
            )
            done = _replay(source_no, rows, now)
            if done:
                _note(source_no, done, actor)
            return done
    except TRANSIENT as error:
        raise RetryableError("the calls could not be sent again; try once more") from error


def _note(source_no: int, done: Sequence[Replayed], actor: str) -> None:
    counts = dict(Counter(each.outcome for each in done))
    if len(done) == 1:
        audit(actor, "reject_replayed", "reject", done[0].reject_no, counts)
    else:
        span = {"first": done[0].reject_no, "last": done[-1].reject_no}
        audit(actor, "rejects_replayed", "source", source_no, counts | span)


def _replay(source_no: int, rows: Sequence[Reject], now: dt.datetime) -> list[Replayed]:
    found: dict[int, Replayed] = {}
    candidates: list[_Candidate] = []
    for row in rows:
        checked = _checked(row)
        if isinstance(checked, Problem):
            found[row.reject_no] = Replayed(row.reject_no, "refused", checked)
        else:
            candidates.append(checked)
    found |= _take(source_no, candidates, now)
    for row in rows:
        _settle(row, found[row.reject_no], now)
    return [found[row.reject_no] for row in rows]


def _checked(row: Reject) -> _Candidate | Problem:
    """The call as a message, or why it still is none."""
    sample = reject_sample(row).encode()
    if row.holds_key:  # it had passed these checks and is kept as it waited in the inbox
        try:
            return _Candidate(row, message_read(sample))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Problem("", "not_storable", "The call cannot be read.")
    envelope, kind = around_unpack(reject_around(row), sample)
    accepted, refused = items_check(envelope, kind=kind, sent_at_header=None, received_at=row.received_at)
    if not accepted:
        return refused[0].problem
    return _Candidate(row, message_read(accepted[0].payload), tuple(each.problem for each in refused))


def _take(source_no: int, candidates: Sequence[_Candidate], now: dt.datetime) -> dict[int, Replayed]:
    """Effects of what passed; a part that fails is halved until the culprit stands alone, as in the drain."""
    if not candidates:
        return {}
    try:
        with transaction.atomic():
            return _absorbed(source_no, candidates, now)
    except TRANSIENT:
        raise
    except Exception as error:  # noqa: BLE001 - one call must not stop the others; it is named below
        if len(candidates) == 1:
            number = candidates[0].reject.reject_no
            code = "not_storable" if isinstance(error, HOPELESS) else "failed"
            problem = Problem("", code, f"The call could not be processed ({type(error).__name__}).")
            return {number: Replayed(number, "refused", problem)}
        middle = len(candidates) // 2
        return _take(source_no, candidates[:middle], now) | _take(source_no, candidates[middle:], now)


def _absorbed(source_no: int, candidates: Sequence[_Candidate], now: dt.datetime) -> dict[int, Replayed]:
    held = {each.message.message_id for each in candidates if each.reject.holds_key}
    if held:
        messages_release(source_no, sorted(held))  # taken by this very call, which had no effect
    fresh = messages_claim(source_no, [each.message.message_id for each in candidates], now.date())
    found: dict[int, Replayed] = {}
    chosen: list[_Candidate] = []
    for each, is_fresh in zip(candidates, fresh, strict=True):
        if is_fresh:
            chosen.append(each)
        else:
            found[each.reject.reject_no] = Replayed(each.reject.reject_no, "duplicate")
    calls = [Call(source_no, each.message, now) for each in chosen]
    done = calls_absorb(calls, now)
    why = {position: problem for position, problem, is_refused in reversed(done.problems) if is_refused}
    for position, each in enumerate(chosen):
        number = each.reject.reject_no
        found[number] = Replayed(number, "refused" if position in why else "accepted", why.get(position))
    freed = [chosen[p].message.message_id for p in why if chosen[p].message.message_id not in held]
    if freed:
        messages_release(source_no, freed)  # mended by its sender, it must be able to come again
    notes = [(position, note) for position, each in enumerate(chosen) for note in each.notes if position not in why]
    notes += [
        (position, note) for position, note, is_refused in done.problems if not is_refused and position not in why
    ]
    rejects_record(
        (
            NewReject(source_no, note, message_id=chosen[position].message.message_id, is_kept=True)
            for position, note in notes
        ),
        now,
    )
    if len(why) < len(calls):
        sources_note(calls[:1], now)
    return found


def _settle(row: Reject, replayed: Replayed, now: dt.datetime) -> None:
    """Note the outcome on the row. What was taken, and what belongs to an erased person, is not kept a second time."""
    row.outcome, row.replayed_at = replayed.outcome, now
    problem = replayed.problem
    if problem is not None:
        row.field, row.code, row.reason = problem.field[:120], problem.code[:40], problem.message[:300]
    if problem is None or problem.code == "erased":
        row.sample_encrypted, row.around_encrypted, row.is_whole = None, None, False
    row.save(
        update_fields=[
            "outcome", "replayed_at", "field", "code", "reason", "sample_encrypted", "around_encrypted", "is_whole",
        ]
    )  # fmt: skip
    if problem is None and row.holds_key:  # one call may have been refused for several reasons, a row each
        Reject.objects.replayable().filter(source_id=row.source_id, message_id=row.message_id, holds_key=True).update(
            outcome="duplicate",
            replayed_at=now,
            sample_encrypted=None,
            around_encrypted=None,
            is_whole=False,
        )
