"""What came later, written into the files: the profile of today for re-identified events, columns for properties declared
since. Readers were right before and after; this makes them right without a join, and over the whole history.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable

import psycopg
import structlog
from django.db import connection, transaction
from django.db.models import Min

from cdp.events.files.compaction import FOREVER, Job, files_limited, job_run
from cdp.events.files.corrections import corrections_read, files_note, files_touched
from cdp.events.files.manifest import OVERLAY, RewriteResult, files_live, mark_read, property_types_read
from cdp.events.files.rewrite import Target
from cdp.events.locks import StoreLock, ledger_cut, store_guard
from cdp.events.models import EventFile, IdentifierOverlay
from cdp.events.store import EventStore, store_open

__all__ = ["store_fold_overlay", "store_project_properties"]

log = structlog.get_logger(__name__)


def store_fold_overlay(*, store: EventStore | None = None) -> RewriteResult:
    """Write re-identified events under their profile of today, and forget the overlay rows that did it until now.

    Files without such events only get a note. Does nothing while another process rewrites files; safe to repeat and to
    kill.
    """
    store = store or store_open()
    with store_guard(StoreLock.FILES) as is_mine:
        if not is_mine:
            return RewriteResult()
        with ledger_cut() as cut:
            pass
        files = [file for file in files_live() if file.overlay_seq < cut.overlay_seq]
        with psycopg.Cursor(connection.connection) as cursor:
            overlay = corrections_read(cursor, files).overlay
        touched = files_touched(store, files, overlay, "overlay_seq", change="c.profile_no <> f.profile_no")
        files_note([file for file in files if file not in touched], overlay_seq=cut.overlay_seq)
        rewritten = _rewrite(store, touched)
        settled = _settle()
    if rewritten or settled:
        log.info("overlay_folded", files=rewritten, settled=settled)
    return RewriteResult(rewritten, len(files) - len(touched), settled)


def store_project_properties(*, store: EventStore | None = None) -> RewriteResult:
    """Give every file the typed columns of the properties as declared today, so that rules read the whole history."""
    store = store or store_open()
    wanted = property_types_read()
    with store_guard(StoreLock.FILES) as is_mine:
        outdated = [file for file in files_live() if is_mine and file.property_types != wanted]
        return RewriteResult(rewritten=_rewrite(store, outdated))


def _rewrite(store: EventStore, files: Iterable[EventFile]) -> int:
    rewritten = 0
    for job in _jobs(files):
        if job_run(store, job) is None:
            break
        rewritten += len(job.files)
    return rewritten


def _jobs(files: Iterable[EventFile]) -> list[Job]:
    """Hot files together, and one job per month and number of buckets, so that a rewritten file keeps its place."""
    jobs = []
    hot = []
    layers = defaultdict(list)
    for file in files:
        if file.month and file.buckets:
            layers[file.month, file.buckets].append(file)
        else:
            hot.append(file)
    while hot:
        taken = files_limited(hot)
        jobs.append(Job(tuple(taken), Target(dt.date.min, {})))
        hot = hot[len(taken) :]
    jobs += [Job(tuple(group), Target(FOREVER, {month: n})) for (month, n), group in sorted(layers.items())]
    return jobs


def _settle() -> int:
    """Remove overlay rows that neither a live file nor the tail needs.

    The tail needs none up to the mark ``overlay``: its rows were resolved after that cut.
    """
    with transaction.atomic():
        taken_in = EventFile.objects.filter(removed_at=None).aggregate(low=Min("overlay_seq"))["low"]
        tail_from = mark_read(OVERLAY)
        limit = tail_from if taken_in is None else min(tail_from, taken_in)
        return IdentifierOverlay.objects.filter(seq__lte=limit).delete()[0]
