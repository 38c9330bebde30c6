"""What every test gets: files in a folder of its own, and an honest word when there is no browser or no node."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from tests.fresh_database import flush_replace

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = "no Chromium on this machine: the browser stories did NOT run (apt install chromium, or set CDP_CHROMIUM)"
NO_NODE = (
    "no node and npm on this machine: the JavaScript clients did NOT run (apt install nodejs npm; node 20 or later)"
)

# The browser driver keeps its event loop in the worker's thread, where later tests ask the database; nothing here is async.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def chromium_find() -> str | None:
    """Path of a Chromium, named by ``CDP_CHROMIUM`` or found on PATH."""
    return os.environ.get("CDP_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """A Chromium to drive; the story is skipped loudly without one, and fails where CI says it must run."""
    path = chromium_find()
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(NO_BROWSER)
    return path or pytest.skip(NO_BROWSER)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database, and how it becomes fresh again after a test that commits."""
    with django_db_blocker.unblock():
        flush_replace()
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        # A server that a browser left in the middle of an answer may still hold a session; the database cannot go with it.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def own_files(settings: object, tmp_path: Path) -> Path:
    """The data folder and the event store of this test: empty, and nobody else's."""
    folder = tmp_path / "data"
    settings.DATA_DIR = folder  # type: ignore[attr-defined]
    settings.CDP_EVENT_STORAGE_URL = (folder / "events").as_uri()  # type: ignore[attr-defined]
    return folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Soaks and measurements run only when asked for by name (``-m long``, ``-m bench``)."""
    later = {marker for marker in ("long", "bench") if marker not in config.option.markexpr}
    left_out = [item for item in items if any(item.get_closest_marker(marker) for marker in later)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it once more at the end, where it is read."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason in (NO_BROWSER, NO_NODE):
        if any(reason in str(report.longrepr) for report in skipped):
            terminalreporter.write_line(f"ATTENTION: {reason}", red=True, bold=True)
