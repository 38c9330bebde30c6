"""Is the service ready: database, migrations, broker, beat and worker, each by name."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import structlog
from celery import current_app
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from kombu.exceptions import KombuError

from cdp.access.selectors import heartbeat_ages

STALE_SECONDS = 60
CACHE_SECONDS = 1.0
BROKER_TIMEOUT_SECONDS = 2.0
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """One named check; ``detail`` says what to do when it is not ok."""

    name: str
    ok: bool
    detail: str


_lock = threading.Lock()
_migrations_applied = False
_last: tuple[float, list[Check]] | None = None


def check_database() -> Check:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Check("database", True, "answers")


def check_migrations() -> Check:
    """Applied migrations stay applied, so a yes is remembered for the life of the process."""
    global _migrations_applied
    if not _migrations_applied:
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        if missing:
            return Check("migrations", False, f"{missing} to apply: run `manage.py migrate`")
        _migrations_applied = True
    return Check("migrations", True, "applied")


def check_broker() -> Check:
    try:
        with current_app.connection_for_write(connect_timeout=BROKER_TIMEOUT_SECONDS) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_TIMEOUT_SECONDS)
    except (KombuError, OSError, psycopg.Error) as error:  # the last one: the broker may be PostgreSQL
        logger.warning("broker_unreachable", error=type(error).__name__)
        return Check("broker", False, "not reachable: see CELERY_BROKER_URL")
    return Check("broker", True, "reachable")


def checks_of_life(now: dt.datetime) -> list[Check]:
    """beat and worker, by the age of their heartbeats."""
    ages = heartbeat_ages(now)
    found = []
    for process in ("beat", "worker"):
        age = ages.get(process)
        ok = age is not None and age < STALE_SECONDS
        detail = "never seen" if age is None else f"last seen {max(0, round(age))} s ago"
        found.append(Check(process, ok, detail))
    return found


def _guarded(names: tuple[str, ...], work: Callable[[], list[Check]]) -> list[Check]:
    try:
        return work()
    except DatabaseFailure as error:
        logger.warning("check_failed", checks=names, error=type(error).__name__)
        return [Check(name, False, "the database does not answer") for name in names]


def readiness(now: dt.datetime) -> list[Check]:
    """Every check, failed ones included. Remembered for a second, so that probes cannot be used as load."""
    global _last
    with _lock:
        if _last is not None and time.monotonic() - _last[0] < CACHE_SECONDS:
            return _last[1]
        checks = [
            *_guarded(("database",), lambda: [check_database()]),
            *_guarded(("migrations",), lambda: [check_migrations()]),
            check_broker(),
            *_guarded(("beat", "worker"), lambda: checks_of_life(now)),
        ]
        _last = (time.monotonic(), checks)
        return checks


def readiness_forget() -> None:
    """Drop the remembered answer."""
    global _last
    _last = None
