"""The real server with a source for every story, the reader beside it, and the clients as their registries hand them out."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NO_NODE
from tests.e2e.conftest import ROOT, database_name, database_own, site_serving
from tests.e2e.sdk.places import clients_install, pages_serving
from tests.e2e.sdk.proxy import Fault

SERVER_CLIENTS = ("segment_python", "rudder_python", "segment_node", "rudder_node")
WEB_STORIES = (
    *(f"segment_web-{mode}-{fault}" for mode in ("single", "batch") for fault in Fault),
    *(f"rudder_web-single-{fault}" for fault in Fault),
    *(f"rudder_web-batch-{fault}" for fault in (Fault.NONE, Fault.CUT)),  # the same queue as for single calls
    "rudder_web-beacon-none",  # a page that is left cannot hear that anything failed
)


@dataclass(slots=True)
class Collector:
    """The server under test, and what came of one source's calls."""

    origin: str
    reader: "subprocess.Popen[str]"

    def tell(self, key: str) -> dict[str, Any]:
        """Events and people of a source after draining; see ``reader.py``."""
        assert self.reader.stdin is not None
        assert self.reader.stdout is not None
        self.reader.stdin.write(f"{key}\n")
        self.reader.stdin.flush()
        told: dict[str, Any] = json.loads(self.reader.stdout.readline())
        return told


@pytest.fixture(scope="session")
def installed() -> Path:
    """The JavaScript clients as locked; left out loudly where there is no node, a failure in CI."""
    if not (shutil.which("node") and shutil.which("npm")):
        if os.environ.get("CI") == "true":
            pytest.fail(NO_NODE)
        pytest.skip(NO_NODE)
    return clients_install()


@pytest.fixture(scope="session")
def pages() -> Iterator[str]:
    """Origin of the web site whose pages load the browser clients."""
    with pages_serving() as origin:
        yield origin


@pytest.fixture(scope="session")
def collector(pages: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Web server and database of their own. Every story has its source, so that none sees another's events."""
    sources = [f"{client}-{fault},server," for client in SERVER_CLIENTS for fault in Fault]
    sources += [f"{story},web,{pages}" for story in WEB_STORIES]
    with (
        database_own(database_name("sdk")) as database,
        site_serving(tmp_path_factory.mktemp("sdk"), database) as site,
        subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.sdk.reader", *sources],
            cwd=ROOT,
            env=site.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as reader,
    ):
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        yield Collector(site.origin, reader)
