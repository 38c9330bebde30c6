"""What docs/collecting.md tells people to write is what the clients of these tests ran with."""

import json
import re
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT

HERE = Path(__file__).parent
PROGRAMS = {
    "segment-analytics-python": "segment_python.py",
    "rudder-sdk-python": "rudder_python.py",
    "@segment/analytics-node": "segment_node.mjs",
    "@rudderstack/rudder-sdk-node": "rudder_node.mjs",
    "@segment/analytics-next": "segment_web.html",
    "@rudderstack/analytics-js": "rudder_web.html",
}


@pytest.mark.parametrize("client", PROGRAMS)
def test_the_documented_lines_are_the_ones_that_ran(client: str) -> None:
    text = (ROOT / "docs/collecting.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| {client} "))
    version, lines = row.split("|")[2].strip(), re.findall(r"`([^`]+)`", row.split("|", 3)[3])
    program = (HERE / "clients" / PROGRAMS[client]).read_text(encoding="utf-8")
    assert lines
    assert [line for line in lines if line not in program] == []
    locked = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    pinned = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    assert version == locked.get(client) or f"{client}=={version} " in pinned


def test_the_lockfile_names_no_host_and_pins_every_byte() -> None:
    locked = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in locked["packages"].items() if name}
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
