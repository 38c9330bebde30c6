"""A child in another account: reaches what it must, and nothing more; ends with its parent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cdp.postgres_account import CHILD, closed_parent

as_root = pytest.mark.skipif(
    os.geteuid() != 0 or not sys.platform.startswith("linux"), reason="only root can change the account"
)


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A program in a folder that only its owner may walk through."""
    folder = tmp_path / "closed" / "bin"
    folder.mkdir(parents=True)
    program = folder / "tool"
    program.write_text("#!/bin/sh\nid -un\n", encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "closed").chmod(0o700)
    return program


def child(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-I", str(CHILD), *words], capture_output=True, text=True, check=False, cwd="/"
    )


@as_root
def test_a_closed_folder_stops_the_account(closed: Path) -> None:
    assert child("--account", "nobody", "--", "/bin/sh", "-c", f'[ -x "{closed}" ]').returncode == 1


@as_root
def test_pass_through_lends_the_way(closed: Path) -> None:
    """Both for running and for ``access(2)``, which a server asks about its own program."""
    script = f'[ -x "{closed}" ] && "{closed}"'
    done = child("--account", "nobody", "--pass-through", "--", "/bin/sh", "-c", script)
    assert (done.returncode, done.stdout) == (0, "nobody\n")


@as_root
def test_pass_through_does_not_lend_writing(closed: Path) -> None:
    script = f'echo x >"{closed.parent}/new"'
    assert child("--account", "nobody", "--pass-through", "--", "/bin/sh", "-c", script).returncode != 0
    assert [p.name for p in closed.parent.iterdir()] == ["tool"]


def test_an_unknown_account_is_named() -> None:
    done = child("--account", "no-such-account", "--", "/bin/true")
    assert done.returncode == 1
    assert "cannot run as no-such-account" in done.stderr


def test_a_child_of_a_dead_parent_does_not_begin() -> None:
    done = child("--parent", "1", "--", "/bin/echo", "began")
    assert (done.returncode, done.stdout) == (1, "")


def test_the_first_closed_folder_is_found(closed: Path) -> None:
    if closed_parent(closed.parents[2]) is None:
        assert closed_parent(closed) == closed.parents[1]
    else:
        assert closed_parent(closed) == closed_parent(closed.parents[2])
