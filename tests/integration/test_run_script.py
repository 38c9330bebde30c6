"""The ``run`` script in an empty world: it executes each candidate, and says one clear thing when none will do."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "cat", "mkdir", "rm", "sed", "head", "tr", "dirname", "cksum", "grep", "sleep", "id")


FIXED_PLACES = (
    "usr/local/bin/python3.1[234]",
    "opt/*/bin/python3.1[234]",
    "opt/python*/bin/python3",
    "home/linuxbrew/*/bin/python3.1[234]",
)
no_python_elsewhere = pytest.mark.skipif(
    any(any(Path("/").glob(pattern)) for pattern in FIXED_PLACES),
    reason="a usable Python lies where the script looks on its own",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script alone, and a PATH with basic tools and no Python."""
    (tmp_path / "checkout").mkdir()
    shutil.copy2(ROOT / "run", tmp_path / "checkout" / "run")
    for name in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / "checkout" / name).write_text("", encoding="utf-8")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name} here"))
    return tmp_path / "checkout"


def fake_python(folder: Path, name: str, version: str, *, has_venv: bool = True) -> Path:
    """A program that answers like a Python of ``version``; an empty version stands for a shim that does not start."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    lines = ["#!/bin/sh", 'case "$*" in']
    lines += [f'*version_info*) echo "{version}" ;;'] if version else ["*version_info*) exit 127 ;;"]
    lines += ["*ensurepip*) exit 1 ;;"] if not has_venv else []
    lines += ['"-m venv"*) mkdir -p "$3/bin"; echo "made by $0" >"$3/made-by"; cp "$0" "$3/bin/python" ;;']
    lines += ["*manage.py*) echo managed ;;", "esac"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def run(checkout: Path, *words: str, path: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    tools = checkout.parent / "tools"
    environment = {"PATH": f"{path}{os.pathsep}{tools}" if path else str(tools), "HOME": str(checkout.parent / "home")}
    command = [str(tools / "sh"), "./run", *words]
    return subprocess.run(
        command, cwd=checkout, env={**environment, **variables}, capture_output=True, text=True, check=False
    )


@no_python_elsewhere
def test_without_a_python_one_message_and_status_1(checkout: Path) -> None:
    old = fake_python(checkout.parent / "bin", "python3", "3.11.2")
    (checkout.parent / "tools" / "cp").symlink_to(shutil.which("cp") or "")
    done = run(checkout, "demo", path=str(old.parent))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "needs Python 3.12, 3.13 or 3.14" in done.stderr
    assert f"found {old}: 3.11.2" in done.stderr
    assert "CDP_PYTHON=/path/to/python3.13 ./run demo" in done.stderr
    assert sorted(p.name for p in checkout.iterdir()) == ["requirements-dev.lock", "requirements.lock", "run"]


def test_a_shim_that_does_not_start_is_passed_over(checkout: Path) -> None:
    (checkout.parent / "tools" / "cp").symlink_to(shutil.which("cp") or "")
    shims, plugin = checkout.parent / "pyenv" / "shims", checkout.parent / "pyenv" / "plugins" / "virtualenv" / "shims"
    plugin.mkdir(parents=True)
    fake_python(shims, "python3.13", "")
    real = fake_python(checkout.parent / "pyenv" / "versions" / "3.13.0" / "bin", "python", "3.13.0")
    done = run(checkout, "manage", "version", path=f"{plugin}{os.pathsep}{shims}")
    assert done.returncode == 0, done.stderr
    assert (checkout / ".venv" / "made-by").read_text(encoding="utf-8") == f"made by {real}\n"


@pytest.mark.parametrize("version", ["3.12.1", "3.13.0", "3.14.2"])
def test_supported_versions(checkout: Path, version: str) -> None:
    (checkout.parent / "tools" / "cp").symlink_to(shutil.which("cp") or "")
    path = fake_python(checkout.parent / "bin", f"python{version[:4]}", version)
    first = run(checkout, "manage", "version", path=str(path.parent))
    assert "Making .venv" in first.stdout
    assert first.stdout.endswith("managed\n")
    second = run(checkout, "manage", "version", path=str(path.parent))
    assert second.stdout == "managed\n", "the second start installs nothing"
    (checkout / "requirements.lock").write_text("changed", encoding="utf-8")
    third = run(checkout, "manage", "version", path=str(path.parent))
    assert "Installing the locked packages" in third.stdout


@pytest.mark.parametrize("version", ["3.11.9", "3.15.0", "2.7.18", ""])
def test_other_versions_are_refused(checkout: Path, version: str) -> None:
    path = fake_python(checkout.parent / "bin", "python", version)
    done = run(checkout, "demo", CDP_PYTHON=str(path))
    assert done.returncode == 1
    assert "CDP_PYTHON does not name a usable Python" in done.stderr


@no_python_elsewhere
def test_python_without_venv_is_told_what_to_install(checkout: Path) -> None:
    path = fake_python(checkout.parent / "bin", "python3.12", "3.12.3", has_venv=False)
    done = run(checkout, "demo", path=str(path.parent))
    assert done.returncode == 1
    assert "apt install python3.12-venv" in done.stderr


def test_the_lock_of_a_killed_installer_is_taken_over(checkout: Path) -> None:
    (checkout.parent / "tools" / "cp").symlink_to(shutil.which("cp") or "")
    path = fake_python(checkout.parent / "bin", "python3.13", "3.13.0")
    (checkout / ".venv.lock").mkdir()
    (checkout / ".venv.lock" / "pid").write_text("999999\n", encoding="utf-8")
    assert run(checkout, "manage", "version", path=str(path.parent)).returncode == 0
    assert not (checkout / ".venv.lock").exists()


def test_unknown_command(checkout: Path) -> None:
    done = run(checkout, "everything")
    assert done.returncode == 1
    assert "There is no ./run everything." in done.stderr
    assert run(checkout).returncode == 0
