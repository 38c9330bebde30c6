"""What one chunk of a file does: read its rows, leave out what came before, store the rest."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from cdp.collect.absorbing import Call, calls_absorb
from cdp.collect.draining import sources_note
from cdp.collect.files.entries import ConsentLine, Entry
from cdp.collect.files.reading import Row, cells_text
from cdp.collect.files.rows import RowReader
from cdp.collect.messages import Message
from cdp.collect.models import ImportRun
from cdp.collect.rejects import NewReject, rejects_record
from cdp.consent.records import NewConsent
from cdp.consent.services import consents_record
from cdp.core.errors import Problem, RejectedError
from cdp.events.inbox import messages_release
from cdp.events.locks import ledger_write_lock
from cdp.events.services import messages_claim
from cdp.identity.records import Observation
from cdp.identity.services import identifiers_resolve

REJECTS_IN_DATABASE = 1_000  # of one run; the file of rejects has them all


@dataclass(slots=True)
class ChunkResult:
    """Rows by outcome; every row is exactly one of accepted, duplicate, rejected. ``partly`` are accepted ones with a cell left out."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    partly: int = 0
    refusals: list[tuple[Row, Problem, bool]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Read:
    row: Row
    entry: Entry


def chunk_check(reader: RowReader, rows: Sequence[Row]) -> ChunkResult:
    """Read rows and store nothing."""
    done = ChunkResult()
    found = _rows_read(reader, rows, done)
    done.accepted = len(found)
    done.partly = sum(bool(each.entry.notes) for each in found)
    return done


def chunk_store(run: ImportRun, reader: RowReader, rows: Sequence[Row], now: dt.datetime) -> ChunkResult:
    """Store the effects of ``rows`` in the caller's transaction."""
    ledger_write_lock()
    done = ChunkResult()
    found = _rows_read(reader, rows, done)
    if reader.mapping.kind == "consents":
        _consents_store(run.source_id, found, done, now)
    else:
        _calls_store(run.source_id, found, done, now, is_event=reader.mapping.kind != "profiles")
    done.refusals.sort(key=lambda refusal: refusal[0].line)
    done.partly = len({row.line for row, _, is_kept in done.refusals if is_kept})
    room = REJECTS_IN_DATABASE - run.rejected
    if done.refusals and room > 0:
        rejects_record(
            (
                NewReject(
                    run.source_id,
                    problem,
                    b"" if problem.code == "erased" else cells_text(row).encode("utf-8", "replace"),
                    run_no=run.run_no,
                    line=row.line,
                )
                for row, problem, _ in done.refusals[:room]
            ),
            now,
        )
    return done


def _rows_read(reader: RowReader, rows: Sequence[Row], done: ChunkResult) -> list[_Read]:
    found = []
    for row in rows:
        try:
            found.append(_Read(row, reader.read(row)))
        except RejectedError as error:
            done.rejected += 1
            done.refusals.append((row, Problem(error.field, error.code, error.message), False))
    return found


def _calls_store(
    source_no: int, found: Sequence[_Read], done: ChunkResult, now: dt.datetime, *, is_event: bool
) -> None:
    chosen = _claim(source_no, found, done, now)
    calls = [Call(source_no, message, now, is_event=is_event) for _, messages in chosen for message in messages]
    owners = [each for each, messages in chosen for _ in messages]
    absorbed = calls_absorb(calls, now)
    if calls:
        sources_note(calls[:1], now)
    problems: defaultdict[int, list[tuple[_Read, Problem, bool]]] = defaultdict(list)
    for position, problem, is_refused in absorbed.problems:
        problems[owners[position].row.line].append((owners[position], problem, is_refused))
    refused = absorbed.refused
    refused_lines = {owners[position].row.line for position in refused}
    if refused:
        # Corrected, the line must be able to come again under the same id.
        messages_release(source_no, [calls[position].message.message_id for position in refused])
    for each, _ in chosen:
        told = dict.fromkeys((p, r) for _, p, r in problems.get(each.row.line, ()))
        if each.row.line in refused_lines:
            done.rejected += 1
        else:
            done.accepted += 1
        done.refusals.extend((each.row, problem, not is_refused) for problem, is_refused in told)
        done.refusals.extend((each.row, note, True) for note in each.entry.notes)


def _claim(
    source_no: int, found: Sequence[_Read], done: ChunkResult, now: dt.datetime
) -> list[tuple[_Read, tuple[Message, ...]]]:
    """The rows that say something new, with what they say. Of a known order a later statement is an update."""
    asked = [(each, message) for each in found for message in each.entry.messages]
    fresh: defaultdict[int, list[Message]] = defaultdict(list)
    claims = messages_claim(source_no, [message.message_id for _, message in asked], now.date())
    for (each, message), is_fresh in zip(asked, claims, strict=True):
        if is_fresh:
            fresh[each.row.line].append(message)
    updates = [(each, each.entry.update) for each in found if each.entry.update is not None]
    claims = messages_claim(source_no, [update.message_id for _, update in updates], now.date()) if updates else []
    for (each, update), is_fresh in zip(updates, claims, strict=True):
        if is_fresh and each.row.line not in fresh:
            fresh[each.row.line].append(update)
    done.duplicates += len(found) - len(fresh)
    return [(each, tuple(fresh[each.row.line])) for each in found if each.row.line in fresh]


def _consents_store(source_no: int, found: Sequence[_Read], done: ChunkResult, now: dt.datetime) -> None:
    lines = [(each, each.entry.consent) for each in found if each.entry.consent is not None]
    resolutions = identifiers_resolve(
        [Observation(line.identifiers, source_no, line.key, line.occurred_at) for _, line in lines], now
    )
    rows: list[NewConsent] = []
    for (each, line), resolution in zip(lines, resolutions, strict=True):
        if resolution.identifier_no is None:
            done.rejected += 1
            done.refusals.extend((each.row, problem, False) for problem in resolution.rejected)
            continue
        done.refusals.extend((each.row, problem, True) for problem in resolution.rejected)
        rows.append(_consent(line, resolution.identifier_no, source_no, now))
    new = consents_record(rows)
    done.accepted += new
    done.duplicates += len(rows) - new


def _consent(line: ConsentLine, identifier_no: int, source_no: int, now: dt.datetime) -> NewConsent:
    return NewConsent(
        identifier_no=identifier_no,
        purpose=line.purpose,
        action=line.action,
        occurred_at=line.occurred_at,
        received_at=now,
        source_no=source_no,
        method=line.method,
        idempotency_key=line.key,
        notice_version=line.notice_version,
        locale=line.locale,
        jurisdiction=line.jurisdiction,
        evidence=line.evidence,
    )
