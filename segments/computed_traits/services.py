"""A run: read the orders, compute every group, publish what passes its gate and keep the last good one otherwise."""

import datetime as dt
import hashlib
import json
import time
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from cdp.core.errors import RejectedError, RetryableError
from cdp.profiles.services import computed_traits_write, traits_declare
from cdp.profiles.trait_values import TraitSpec as CatalogueEntry
from segments.computed_traits.contract import ComputedTraitGroup, TraitInputs, TraitOutcome, TraitSpec, groups_find
from segments.computed_traits.models import ModelRun
from segments.computed_traits.orders_summary import (
    NO_AMOUNT,
    OrderDays,
    Orders,
    day_number,
    orders_by_day,
    orders_fingerprint,
)
from segments.computed_traits.selectors import orders_read, run_finished, run_in_use, runs_latest

__all__ = ["as_of_default", "traits_compute", "traits_compute_due"]

log = structlog.get_logger(__name__)

CODE_VERSION = 1  # raise it when a group computes something else from the same orders
SEED = 20_260_101
ADVISORY_LOCK = (7310, 1)
RETRY_FAILED_AFTER = dt.timedelta(hours=6)


def as_of_default(now: dt.datetime) -> dt.datetime:
    """The last midnight in the workspace's time zone: whole days only."""
    local = now.astimezone(zoneinfo.ZoneInfo(settings.TIME_ZONE))
    return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(dt.UTC)


def traits_compute(
    as_of: dt.datetime, *, now: dt.datetime, seed: int = SEED, groups: Sequence[str] | None = None
) -> list[ModelRun]:
    """One run per group (all by default), from the orders before ``as_of``; none when there are no orders.

    A group whose last verdict rests on equal input is not computed again: that run is returned and nothing is written. A refused
    group keeps the values of its last published run. Groups fail one by one; the failures are raised together at the end.
    Raises RetryableError while another run is under way and RejectedError for an unknown group.
    """
    found = groups_find()
    for name in groups or ():
        if name not in found:
            raise RejectedError(f"there is no group {name!r}; groups are {', '.join(found)}.", field="group")
    chosen = {name: group for name, group in found.items() if groups is None or name in groups}
    with _compute_guard():
        return _run_all(chosen, as_of, _clock_from(now), seed)


def traits_compute_due(now: dt.datetime) -> list[ModelRun]:
    """Compute once a day, for the last midnight. Does nothing when that is done, or when it failed a short time ago."""
    as_of, latest = as_of_default(now), runs_latest()
    if set(groups_find()) <= {name for name, run in latest.items() if run.state != "failed" and run.as_of >= as_of}:
        return []
    failed_at = [run.started_at for run in latest.values() if run.state == "failed" and run.as_of >= as_of]
    if any(at > now - RETRY_FAILED_AFTER for at in failed_at):
        return []
    return traits_compute(as_of, now=now)


def _run_all(
    groups: Mapping[str, ComputedTraitGroup], as_of: dt.datetime, clock: Callable[[], dt.datetime], seed: int
) -> list[ModelRun]:
    # This process alone computes, so a row that says "running" belongs to one that was stopped.
    ModelRun.objects.filter(state="running").update(
        state="failed", reason="The process stopped before its end.", finished_at=clock()
    )
    traits_declare([_catalogue_entry(name, spec) for name, group in groups.items() for spec in group.SPECS])
    orders, unknown = _orders_known(orders_read(as_of, settings.TIME_ZONE, settings.CONFIG.cdp_currency))
    if not len(orders.profile_no):
        log.info("traits_not_computed", reason="no orders", orders_without_person=unknown)
        return []
    inputs_text = _inputs_text(orders, as_of, seed)
    prints = {name: hashlib.sha256(f"{inputs_text} {name}".encode()).hexdigest() for name in groups}
    last = {name: run_finished(name) for name in groups}
    runs = {name: run for name, run in last.items() if run is not None and run.input_fingerprint == prints[name]}
    if len(runs) == len(groups):
        return list(runs.values())
    failures: list[Exception] = []
    notes = {"orders_without_person": unknown, "orders_in_other_currencies": int((orders.amount_e4 == NO_AMOUNT).sum())}
    order_days = orders_by_day(orders)
    for name, group in groups.items():
        if name in runs:
            continue
        run = ModelRun.objects.create(
            group=name, as_of=as_of, seed=seed, input_fingerprint=prints[name], started_at=clock()
        )
        try:
            runs[name] = _run_one(group, run, _inputs(order_days, name, as_of, seed), notes, clock)
        except Exception as error:  # noqa: BLE001 - one group's fault must not stop the others; raised below
            _fail(run, error, clock())
            failures.append(error)
    if failures:
        raise ExceptionGroup("computed traits", failures)
    return [runs[name] for name in groups]


def _run_one(
    group: ComputedTraitGroup,
    run: ModelRun,
    inputs: TraitInputs,
    notes: Mapping[str, int],
    clock: Callable[[], dt.datetime],
) -> ModelRun:
    """Compute and publish in one transaction: the values and the word that they are in use appear together."""
    outcome = group.compute(inputs)
    with transaction.atomic():
        if outcome.table is not None:
            computed_traits_write(run.group, outcome.table, run.as_of, run.run_no, clock())
        run.state, run.reason = outcome.verdict, _reason(outcome, run.group)
        run.method, run.unit, run.profiles = outcome.method, outcome.unit, outcome.people
        run.parameters, run.report = dict(outcome.parameters), {**outcome.report, "notes": dict(notes)}
        run.finished_at = clock()
        run.save()
    log.info("traits_computed", group=run.group, run_no=run.run_no, state=run.state, profiles=run.profiles)
    return run


def _reason(outcome: TraitOutcome, group: str) -> str:
    """The gate's sentence, and what stays in use."""
    if outcome.verdict == "published":
        return ""
    used = run_in_use(group)
    tail = f" Run {used.run_no} stayed in use." if used else " Nothing is in use yet."
    return outcome.reason[: 400 - len(tail)] + tail


def _fail(run: ModelRun, error: Exception, at: dt.datetime) -> None:
    # The type alone: a message could carry a value.
    ModelRun.objects.filter(run_no=run.run_no).update(
        state="failed", reason=f"The computation broke off ({type(error).__name__}).", finished_at=at
    )
    log.error("traits_failed", group=run.group, run_no=run.run_no, error=type(error).__name__)


def _inputs(order_days: OrderDays, group: str, as_of: dt.datetime, seed: int) -> TraitInputs:
    used = run_in_use(group)
    return TraitInputs(
        order_days=order_days,
        as_of_day=_as_of_day(as_of),
        currency=settings.CONFIG.cdp_currency,
        seed=seed,
        frequency_bands=tuple(int(band) for band in settings.CONFIG.cdp_rfm_frequency_bands.split(",") if band),
        last_parameters=used.parameters if used else {},
    )


def _as_of_day(as_of: dt.datetime) -> int:
    """The day that the last instant before ``as_of`` falls on, in the workspace's time zone."""
    local = (as_of - dt.timedelta(microseconds=1)).astimezone(zoneinfo.ZoneInfo(settings.TIME_ZONE))
    return day_number(local.date())


def _orders_known(orders: Orders) -> tuple[Orders, int]:
    """The orders that belong to somebody, and how many do not (their identifier is gone)."""
    known = orders.profile_no > 0
    unknown = int(len(known) - known.sum())
    if not unknown:
        return orders, 0
    return Orders(orders.profile_no[known], orders.day[known], orders.amount_e4[known]), unknown


def _inputs_text(orders: Orders, as_of: dt.datetime, seed: int) -> str:
    config = settings.CONFIG
    return json.dumps(
        [
            CODE_VERSION,
            orders_fingerprint(orders),
            _as_of_day(as_of),
            settings.TIME_ZONE,
            config.cdp_currency,
            config.cdp_rfm_frequency_bands,
            seed,
        ]
    )


def _catalogue_entry(group: str, spec: TraitSpec) -> CatalogueEntry:
    """The catalogue's form of a spec. A computed trait names nobody, so it is not masked."""
    return CatalogueEntry(
        key=f"{group}.{spec.key}",
        title=spec.title,
        value_type=spec.value_type,
        unit=spec.unit,
        description=spec.description,
        is_computed=True,
        is_personal=False,
    )


def _clock_from(now: dt.datetime) -> Callable[[], dt.datetime]:
    """Moments of this run, counted on from the ``now`` that the edge read."""
    started = time.monotonic()
    return lambda: now + dt.timedelta(seconds=time.monotonic() - started)


@contextmanager
def _compute_guard() -> Iterator[None]:
    """One run at a time. Ends with the database session, so a killed process leaves nothing locked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", ADVISORY_LOCK)
        (is_held,) = cursor.fetchone()
    if not is_held:
        raise RetryableError("another run of the computed traits is under way", retry_after_seconds=60)
    try:
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", ADVISORY_LOCK)
        except (InterfaceError, OperationalError):
            connection.close()  # the session is gone and its lock with it
