"""Corrections taken into the files: erased people physically out, re-identified ones under their profile of today,
properties declared since in columns of their own.

Only files that hold rows of the identifiers in question are rewritten; for all others the manifest notes that they have
taken the correction in. Readers were right before and after, this makes them right without a join, and erasure final.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import structlog
from django.db import connection, transaction
from django.db.models import Min

from cdp.events.files.compaction import FOREVER, Job, files_limited, job_run
from cdp.events.files.corrections import Corrections, corrections_read, file_part
from cdp.events.files.manifest import OVERLAY, files_live, mark_read, property_types_read
from cdp.events.files.rewrite import Target
from cdp.events.locks import LedgerCut, StoreLock, ledger_cut, store_guard
from cdp.events.models import ErasedIdentifier, EventFile, IdentifierOverlay
from cdp.events.store import EventStore, engine_connect, store_open

__all__ = [
    "RewriteResult",
    "identifiers_erased",
    "store_fold_overlay",
    "store_project_properties",
    "store_rewrite_erased",
]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RewriteResult:
    """Files that were rewritten, files that only needed a note, and corrections that no file needs any more."""

    rewritten: int = 0
    noted: int = 0
    settled: int = 0


def store_rewrite_erased(now: dt.datetime, *, store: EventStore | None = None) -> RewriteResult:
    """Remove erased identifiers from every file that holds them. Safe to repeat and to kill.

    The replaced files disappear from the storage with the sweep, after the longest reader.
    """
    return _take_in(store or store_open(), now)


def store_fold_overlay(*, store: EventStore | None = None) -> RewriteResult:
    """Write re-identified events under their profile of today, and forget the overlay rows that did it until now."""
    return _take_in(store or store_open(), None)


def store_project_properties(*, store: EventStore | None = None) -> RewriteResult:
    """Give every file the typed columns of the properties as declared today, so that rules read the whole history."""
    store = store or store_open()
    wanted = property_types_read()
    with store_guard(StoreLock.FILES) as is_mine:
        outdated = {file for file in files_live() if is_mine and file.property_types != wanted}
        return RewriteResult(rewritten=_rewrite(store, outdated))


def identifiers_erased(identifier_nos: Sequence[int]) -> bool:
    """Whether no file on the storage, listed or waiting for the sweep, can hold a row of these identifiers."""
    newest = ErasedIdentifier.objects.filter(identifier_no__in=identifier_nos).order_by("-seq").first()
    if newest is None:
        return True
    return not EventFile.objects.filter(erased_seq__lt=newest.seq).exists()


def _take_in(store: EventStore, erased_now: dt.datetime | None) -> RewriteResult:
    """Take in the tombstones, dating them ``erased_now``; without it the overlay."""
    erased = erased_now is not None
    with store_guard(StoreLock.FILES) as is_mine:
        if not is_mine:
            return RewriteResult()
        with ledger_cut() as cut:
            pass
        files = [
            f for f in files_live() if (f.erased_seq < cut.erased_seq if erased else f.overlay_seq < cut.overlay_seq)
        ]
        with psycopg.Cursor(connection.connection) as cursor:
            corrections = corrections_read(cursor, files)
        touched = _touched(store, files, corrections, erased=erased)
        _note([f.file_no for f in files if f not in touched], cut, erased=erased)
        rewritten = _rewrite(store, touched)
        settled = _settle_erased(erased_now) if erased_now else _settle_overlay()
    if rewritten or settled:
        log.info("corrections_taken_in", rewritten=rewritten, settled=settled, erased=erased)
    return RewriteResult(rewritten, len(files) - len(touched), settled)


def _rewrite(store: EventStore, files: set[EventFile]) -> int:
    rewritten = 0
    for job in _jobs(files):
        if job_run(store, job) is None:
            break
        rewritten += len(job.files)
    return rewritten


def _touched(
    store: EventStore, files: Sequence[EventFile], corrections: Corrections, *, erased: bool
) -> set[EventFile]:
    """Files with at least one row that a correction would change; reads the identifier column of candidates only."""
    candidates = []
    for file in files:
        part = file_part(file, file.path, corrections)
        if part.needs_erasure if erased else part.needs_overlay:
            candidates.append(file)
    if not candidates:
        return set()
    # A file that has taken a correction in holds no row that it would change, so one join answers for all files.
    change = "true" if erased else "c.profile_no <> f.profile_no"
    with store.storage.pinned([file.path for file in candidates]) as paths, engine_connect(store) as duck:
        duck.register("corrected", corrections.erased if erased else corrections.overlay)
        hit = duck.execute(
            "SELECT DISTINCT filename FROM read_parquet(?, hive_partitioning = false, filename = true) f "  # noqa: S608
            f"JOIN corrected c ON c.identifier_no = f.identifier_no WHERE {change}",
            [paths],
        ).fetchall()
    names = {name for (name,) in hit}
    return {file for file, path in zip(candidates, paths, strict=True) if path in names}


def _note(file_nos: Sequence[int], cut: LedgerCut, *, erased: bool) -> None:
    taken_in = {"erased_seq": cut.erased_seq} if erased else {"overlay_seq": cut.overlay_seq}
    EventFile.objects.filter(file_no__in=file_nos, removed_at=None).update(**taken_in)


def _jobs(files: set[EventFile]) -> list[Job]:
    """Hot files together, and one job per month and number of buckets, so that a rewritten file keeps its place."""
    jobs = []
    hot = sorted((f for f in files if f.kind == "hot"), key=lambda f: f.file_no)
    while hot:
        taken = files_limited(hot)
        jobs.append(Job(tuple(taken), Target(dt.date.min, {})))
        hot = hot[len(taken) :]
    layers = defaultdict(list)
    for file in files:
        if file.kind == "compacted" and file.month and file.buckets:
            layers[file.month, file.buckets].append(file)
    jobs += [Job(tuple(group), Target(FOREVER, {month: n})) for (month, n), group in sorted(layers.items())]
    return jobs


def _settle_erased(now: dt.datetime) -> int:
    """Date the tombstones that every live file has taken in."""
    with transaction.atomic():
        taken_in = EventFile.objects.filter(removed_at=None).aggregate(low=Min("erased_seq"))["low"]
        waiting = ErasedIdentifier.objects.filter(rewritten_at=None)
        if taken_in is not None:
            waiting = waiting.filter(seq__lte=taken_in)
        return waiting.update(rewritten_at=now)


def _settle_overlay() -> int:
    """Remove overlay rows that neither a live file nor the tail needs.

    The tail needs none up to the mark ``overlay``: its rows were resolved after that cut.
    """
    with transaction.atomic():
        taken_in = EventFile.objects.filter(removed_at=None).aggregate(low=Min("overlay_seq"))["low"]
        tail_from = mark_read(OVERLAY)
        limit = tail_from if taken_in is None else min(tail_from, taken_in)
        return IdentifierOverlay.objects.filter(seq__lte=limit).delete()[0]
