"""Who is in now? Count a segment over everybody and write the difference; the last good members survive any failure.

A claim is a lease and a fencing token on the segment's row: whoever lost it, by time or because a newer rule was saved,
writes nothing. Segments that others name come first.
"""

import datetime as dt
import time
from dataclasses import dataclass

import duckdb
import numpy as np
import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet

from cdp.core.errors import NeedsHumanError, RejectedError, RetryableError
from segments.audiences.engine import engine_open, needs_of
from segments.audiences.memberships import MembershipChange, Numbers, membership_replace
from segments.audiences.models import SegmentSize
from segments.definition.compile import definition_compile
from segments.definition.lower import Moment, definition_lower
from segments.definition.models import Segment, SegmentVersion
from segments.definition.parse import definition_parse
from segments.definition.selectors import catalogue_load, segment_refs, workspace_zone
from segments.definition.validate import definition_validate

__all__ = ["Evaluation", "SegmentClaim", "segment_claim", "segment_evaluate", "segments_claim_next"]

log = structlog.get_logger(__name__)

EVALUATE_SECONDS = 300.0
LEASE = dt.timedelta(minutes=12)
RETRY_AFTER = dt.timedelta(minutes=5)
POSTPONE_SECONDS = 30.0
UNEXPECTED = "The count failed for a reason of ours ({error}). The members before it stay; it is tried again."


@dataclass(frozen=True, slots=True)
class SegmentClaim:
    """The right to evaluate one rule of one segment until the lease ends or somebody takes it over."""

    segment_no: int
    version_id: int
    fence: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How one evaluation ended. ``state``: ready, failed, postponed (the engine was busy, it is tried again soon), or
    discarded (a newer rule or another worker took over)."""

    segment_no: int
    state: str
    size: int = 0
    joined: int = 0
    left: int = 0
    took_ms: int = 0
    error: str = ""


def segment_claim(segment_no: int, now: dt.datetime) -> SegmentClaim | None:
    """Take over one segment, due or not. None when it does not exist, is archived, or has no rule."""
    return _claim(Segment.objects.filter(segment_no=segment_no), now)


def segments_claim_next(now: dt.datetime) -> SegmentClaim | None:
    """Claim the segment that is due longest among those whose named segments are neither due nor under way."""
    refs = segment_refs()
    open_now = set(_due(now).values_list("key", flat=True)) | set(_leased(now).values_list("key", flat=True))
    for segment_no, key in _due(now).order_by("due_at", "segment_no").values_list("segment_no", "key"):
        if refs[key].refers_to & open_now:
            continue
        claim = _claim(_due(now).filter(segment_no=segment_no), now)
        if claim is not None:
            return claim
    return None


def segment_evaluate(segment_no: int, now: dt.datetime, *, claim: SegmentClaim | None = None) -> Evaluation:
    """Find the members as of ``now`` and write them; without a claim the segment is taken over first.

    A failure that can be said in a sentence becomes the segment's state; anything else is noted there and raised.
    """
    claim = claim or segment_claim(segment_no, now)
    if claim is None:
        return Evaluation(segment_no, "discarded")
    started = time.perf_counter()
    try:
        version = SegmentVersion.objects.get(pk=claim.version_id)
        members = members_find(version, now)
    except RetryableError as error:
        return _postponed(claim, error, now)
    except (RejectedError, NeedsHumanError, duckdb.Error) as error:
        return _failed(claim, _sentence(error), now)
    except Exception as error:
        _failed(claim, UNEXPECTED.format(error=type(error).__name__), now)
        raise
    return _written(claim, version, members, now, started)


def members_find(version: SegmentVersion, as_of: dt.datetime) -> Numbers:
    """Profile numbers, in no order, of everybody who meets the rule. Raises what parse, validate and the engine raise."""
    definition = definition_parse(version.definition)
    catalogue = catalogue_load()
    definition_validate(definition, catalogue)
    core = definition_lower(definition.where, Moment(as_of, workspace_zone(), catalogue))
    needs = needs_of([core])
    with engine_open(wait_seconds=EVALUATE_SECONDS) as engine:
        found = engine.arrays(definition_compile(core, engine.tables(needs)), seconds=EVALUATE_SECONDS)
    return np.asarray(found["profile_no"], dtype=np.int64)


def _written(
    claim: SegmentClaim, version: SegmentVersion, members: Numbers, now: dt.datetime, started: float
) -> Evaluation:
    with transaction.atomic():
        segment = Segment.objects.select_for_update().filter(segment_no=claim.segment_no, fence=claim.fence).first()
        if segment is None:
            log.info("segment_evaluation_discarded", segment_no=claim.segment_no)
            return Evaluation(claim.segment_no, "discarded")
        change = membership_replace(claim.segment_no, version.version, members, now)
        took_ms = round((time.perf_counter() - started) * 1_000)
        _finish(segment, version, change, now, took_ms)
    log.info(
        "segment_evaluated",
        segment_no=claim.segment_no,
        size=change.size,
        joined=change.joined,
        left=change.left,
        ms=took_ms,
    )
    return Evaluation(claim.segment_no, "ready", change.size, change.joined, change.left, took_ms)


def _finish(
    segment: Segment, version: SegmentVersion, change: MembershipChange, now: dt.datetime, took_ms: int
) -> None:
    """Size, history and the next due time; segments that name this one follow when it changed."""
    SegmentSize.objects.create(
        segment_no=segment.segment_no,
        at=now,
        version=version.version,
        size=change.size,
        joined=change.joined,
        left=change.left,
        took_ms=took_ms,
    )
    Segment.objects.filter(segment_no=segment.segment_no).update(
        state="ready",
        error="",
        size=change.size,
        evaluated_at=now,
        evaluated_version=version.version,
        due_at=now + dt.timedelta(minutes=segment.evaluate_every_minutes),
        leased_until=None,
    )
    if change.joined or change.left:
        followers = [ref.segment_no for ref in segment_refs().values() if segment.key in ref.refers_to]
        Segment.objects.filter(segment_no__in=followers, due_at__gt=now).update(due_at=now)


def _failed(claim: SegmentClaim, sentence: str, now: dt.datetime) -> Evaluation:
    held = Segment.objects.filter(segment_no=claim.segment_no, fence=claim.fence)
    changed = held.update(state="failed", error=sentence[:400], leased_until=None, due_at=now + RETRY_AFTER)
    log.warning("segment_evaluation_failed", segment_no=claim.segment_no, is_current=bool(changed))
    return Evaluation(claim.segment_no, "failed" if changed else "discarded", error=sentence)


def _postponed(claim: SegmentClaim, error: RetryableError, now: dt.datetime) -> Evaluation:
    """Nothing is wrong with the rule: give the claim back and come again."""
    wait = dt.timedelta(seconds=error.retry_after_seconds or POSTPONE_SECONDS)
    held = Segment.objects.filter(segment_no=claim.segment_no, fence=claim.fence)
    changed = held.update(leased_until=None, due_at=now + wait)
    log.info("segment_evaluation_postponed", segment_no=claim.segment_no, seconds=wait.total_seconds())
    return Evaluation(claim.segment_no, "postponed" if changed else "discarded", error=str(error))


def _sentence(error: Exception) -> str:
    if isinstance(error, RejectedError):
        return f"{error.message} ({error.field})" if error.field.startswith("where") else error.message
    if isinstance(error, duckdb.Error):
        return f"The engine could not read its files ({type(error).__name__}). It is tried again."
    return str(error)


def _in_use() -> QuerySet[Segment]:
    return Segment.objects.exclude(state="archived").exclude(current_version=None)


def _due(now: dt.datetime) -> QuerySet[Segment]:
    return _in_use().filter(Q(leased_until=None) | Q(leased_until__lte=now), due_at__lte=now)


def _leased(now: dt.datetime) -> QuerySet[Segment]:
    return _in_use().filter(leased_until__gt=now)


def _claim(found: QuerySet[Segment], now: dt.datetime) -> SegmentClaim | None:
    """Lease the one segment in ``found`` if nobody else is faster."""
    with transaction.atomic():
        free = found.exclude(state="archived").exclude(current_version=None)
        segment = free.select_for_update(skip_locked=True, of=("self",)).first()
        if segment is None or segment.current_version_id is None:
            return None
        Segment.objects.filter(segment_no=segment.segment_no).update(fence=F("fence") + 1, leased_until=now + LEASE)
        return SegmentClaim(segment.segment_no, segment.current_version_id, segment.fence + 1)
