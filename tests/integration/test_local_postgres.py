"""The private server: made once, found again, survives kill -9, goes with its parent, needs no open folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from cdp.local_postgres import Server, is_postgres, postgres_pid, postgres_start, postgres_stop

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder below one of mode 700, and longer than a socket's path may be."""
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    folder = closed / ("long" * 30) / "data"
    folder.mkdir(parents=True)
    yield folder
    postgres_stop(folder)
    for server in STARTED:
        if server.process:
            server.process.wait()


STARTED: list[Server] = []


def start(folder: Path) -> Server:
    """Start or find, and keep the handle, so that it is waited for at the end."""
    STARTED.append(postgres_start(folder, with_parent=True))
    return STARTED[-1]


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(question).fetchone()  # type: ignore[call-overload]
        return row[0] if row else None


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_postgres(pid):
        assert time.monotonic() < deadline, "the server still runs"
        time.sleep(0.05)


def test_starts_is_found_again_and_stops(data_dir: Path) -> None:
    server = start(data_dir)
    assert ask(server.url, "SELECT current_database()") == "cdp"
    assert ask(server.url, "SHOW synchronous_commit") == "on"
    again = start(data_dir)
    assert (again.pid, again.url, again.process) == (server.pid, server.url, None)
    assert postgres_stop(data_dir, server.process)
    assert postgres_pid(data_dir) is None
    assert not postgres_stop(data_dir)


def test_address_and_password_are_private(data_dir: Path) -> None:
    server = start(data_dir)
    parts = urlsplit(server.url)
    assert parts.hostname == "127.0.0.1"
    for name in ("postgres.url", "postgres.password"):
        assert (data_dir / name).stat().st_mode & 0o077 == 0
    without = parts._replace(netloc=f"postgres@127.0.0.1:{parts.port}").geturl()
    with pytest.raises(psycopg.OperationalError, match="password"):
        ask(without, "SELECT 1")


def test_committed_rows_survive_a_kill_and_the_address_stays(data_dir: Path) -> None:
    server = start(data_dir)
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(server.pid, signal.SIGKILL)
    wait_until_gone(server.pid)
    after = start(data_dir)
    assert after.url == server.url
    assert ask(after.url, "SELECT n FROM kept") == 7


def test_a_stale_pid_file_that_names_another_program_is_no_server(data_dir: Path) -> None:
    server = start(data_dir)
    postgres_stop(data_dir, server.process)
    (data_dir / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n", encoding="utf-8")
    assert postgres_pid(data_dir) is None
    assert start(data_dir).pid != os.getpid()


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the kernel's signal at a parent's death is Linux only"
)
def test_goes_when_its_parent_is_killed(data_dir: Path) -> None:
    postgres_stop(data_dir)
    code = (
        "import sys,time; from pathlib import Path; from cdp.local_postgres import postgres_start;"
        "print(postgres_start(Path(sys.argv[1]), with_parent=True).pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_postgres(pid)
        parent.kill()
    wait_until_gone(pid)


def test_a_half_made_folder_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "postgres.new" / "base").mkdir(parents=True)
    server = start(tmp_path)
    assert ask(server.url, "SELECT 1") == 1
    assert not (tmp_path / "postgres.new").exists()
    postgres_stop(tmp_path, server.process)


def test_a_broken_start_says_why(tmp_path: Path) -> None:
    from cdp.postgres_account import LocalPostgresError

    server = start(tmp_path)
    postgres_stop(tmp_path, server.process)
    (tmp_path / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(LocalPostgresError, match="pg_control"):
        start(tmp_path)
    assert postgres_pid(tmp_path) is None
