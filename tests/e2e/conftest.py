"""Two sites in databases of their own: one full, with worker and sandbox, and one empty, where no worker ever ran."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page
from psycopg import sql

from cdp.supervisor import beat, http_ready, port_free, sandbox, worker
from tests.e2e.browsing import WIDE, Watch, browser_open, log_in

ROOT = Path(__file__).resolve().parents[2]
USERNAME, PASSWORD, READER = "mira", "browser-story-1", "reader"


@dataclass(slots=True)
class Site:
    """A running admin. ``ids``: what the pages are opened by."""

    origin: str
    environment: dict[str, str]
    ids: dict[str, object] = field(default_factory=dict)


def database_url(name: str) -> str:
    """An address of a database beside the test database."""
    given = settings.DATABASES["default"]
    host, user = given["HOST"], given["USER"]
    password = f":{given['PASSWORD']}" if given["PASSWORD"] else ""
    if str(host).startswith("/"):
        return f"postgresql://{user}{password}@/{name}?host={host}"
    return f"postgresql://{user}{password}@{host}:{given['PORT'] or 5432}/{name}"


@contextlib.contextmanager
def database_own(name: str) -> Iterator[str]:
    """A database that exists only inside the block."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(database_url("postgres"), autocommit=True) as connection:
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield database_url(name)
        finally:
            connection.execute(drop)


@contextlib.contextmanager
def process_running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    """A process of our own, ended by its own number."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while not http_ready(url):
        if time.monotonic() > deadline:
            pytest.fail(f"{url} does not answer:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)


def run(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@contextlib.contextmanager
def site_serving(folder: Path, database: str) -> Iterator[Site]:
    """Migrated, with log-ins, served; the caller fills it."""
    port = port_free(0)
    environment = {k: v for k, v in os.environ.items() if k != "CDP_TEST_DATABASE_NAME"} | {
        "DATABASE_URL": database,
        "CDP_DATA_DIR": str(folder),
        "CDP_DEMO": "1",
        "DJANGO_SETTINGS_MODULE": "cdp.settings",
        "CDP_LOG_LEVEL": "WARNING",
    }
    run(["manage.py", "migrate", "--verbosity", "0"], environment)
    options = f"--interface wsgi --host 127.0.0.1 --port {port} --workers 1 --blocking-threads 4 --no-ws --http 1"
    command = [sys.executable, "-m", "granian", *options.split(), "--log-level", "warning", "cdp.wsgi:application"]
    log = folder / "web.log"
    with process_running(command, environment, log):
        wait_for(f"http://127.0.0.1:{port}/healthz", log)
        yield Site(f"http://127.0.0.1:{port}", environment)


def database_name(ending: str) -> str:
    return f"{settings.DATABASES['default']['TEST']['NAME']}_{ending}{os.environ.get('PYTEST_XDIST_WORKER', '')}"


@pytest.fixture(scope="session")
def site(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The full site: people, models, segments, synced lists, one stopped run, a worker and the sandbox."""
    folder, port = tmp_path_factory.mktemp("site"), port_free(0)
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(database_own(database_name("site")))
        made = stack.enter_context(site_serving(folder, database))
        log = folder / "sandbox.log"
        stack.enter_context(process_running(list(sandbox(port).command), made.environment, log))
        wait_for(f"http://127.0.0.1:{port}/sandbox/lists", log)
        output = run(["-m", "tests.e2e.world", str(folder / "files"), f"http://127.0.0.1:{port}"], made.environment)
        made.ids = json.loads(output.splitlines()[-1])
        for child in (worker(), beat()):
            stack.enter_context(process_running(list(child.command), made.environment, folder / f"{child.name}.log"))
        yield made


@pytest.fixture(scope="session")
def empty_site(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A fresh installation: no row but the seeds, and no worker."""
    with (
        database_own(database_name("empty")) as database,
        site_serving(tmp_path_factory.mktemp("empty"), database) as made,
    ):
        run(["-m", "tests.e2e.world"], made.environment)
        yield made


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    """One Chromium for all stories."""
    with browser_open(chromium_path) as opened:
        yield opened


@contextlib.contextmanager
def page_watched(
    browser: Browser, origin: str, size: tuple[int, int] = WIDE, *, username: str = USERNAME, scheme: str = "light"
) -> Iterator[Page]:
    """A page of somebody who has logged in; at the end it must have been silent."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page, watch = context.new_page(), Watch(origin)
    watch.follow(page)
    try:
        log_in(page, origin, username, PASSWORD)
        yield page
        watch.check()
    finally:
        context.close()
