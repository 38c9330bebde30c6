"""The supervisor: mends what dies, ends everything with itself, holds its folder alone."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cdp.supervisor import running_state

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and uses Linux signals")

# Keeps two children, of which one has a child of its own that ignores polite requests.
TOY = """
import sys
from pathlib import Path
from cdp.supervisor import Child, Supervisor
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {stubborn!r}])"
with Supervisor(Path(sys.argv[1]), private_postgres=False) as supervisor:
    supervisor.start(Child("sleeper", [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]))
    supervisor.start(Child("nest", [sys.executable, "-c", parent]))
    supervisor.keep()
"""


def eventually[T](ask: Callable[[], T], seconds: float = 30) -> T:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return answer


def children_of(data_dir: Path) -> dict[str, int]:
    try:
        return dict(json.loads((data_dir / "supervisor.json").read_text(encoding="utf-8"))["children"])
    except FileNotFoundError:
        return {}


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Every live process that names this folder in its environment or arguments."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = [*process.cmdline(), process.environ().get("CDP_DATA_DIR", "")]
            if process.pid != os.getpid() and any(str(data_dir) in word for word in told):
                found.append(process)
    return found


def ours(data_dir: Path) -> list[str]:
    return [str(process) for process in processes_of(data_dir)]


@pytest.fixture
def toy(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, "CDP_DATA_DIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", TOY, str(tmp_path)], cwd=ROOT, env=environment) as process:
        try:
            eventually(lambda: len(children_of(tmp_path)) == 2)
            eventually(lambda: len(ours(tmp_path)) == 4)
            yield process
        finally:
            process.kill()


def test_a_killed_child_comes_back(toy: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    before = children_of(tmp_path)
    eventually(lambda: (tmp_path / "logs" / "sleeper.log").read_text(encoding="utf-8") == "up\n")
    os.kill(before["sleeper"], signal.SIGKILL)
    eventually(lambda: children_of(tmp_path)["sleeper"] not in (0, before["sleeper"]))
    eventually(lambda: (tmp_path / "logs" / "sleeper.log").read_text(encoding="utf-8") == "up\nup\n")
    assert children_of(tmp_path)["nest"] == before["nest"]


def test_a_request_to_end_leaves_nothing(toy: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    toy.terminate()
    assert toy.wait(30) == 0
    assert ours(tmp_path) == []
    assert running_state(tmp_path) == {}


def test_a_killed_supervisor_takes_its_children_along(toy: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    pids = children_of(tmp_path).values()
    toy.kill()
    toy.wait()
    eventually(lambda: not any(alive(pid) for pid in pids))
    assert running_state(tmp_path) == {}
    stubborn = [process for process in processes_of(tmp_path) if process.pid not in pids]
    for process in stubborn:  # ignores every polite request; the real children's own children do not
        process.kill()
    psutil.wait_procs(stubborn, timeout=10)
    assert ours(tmp_path) == []


def test_one_supervisor_for_one_folder(toy: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    environment = {**os.environ, "CDP_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "cdp.launcher", "serve"]
    second = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "`./run stop` ends it" in second.stdout
    assert toy.poll() is None


def answer(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as got:  # noqa: S310
            return int(got.status)
    except (urllib.error.URLError, OSError):
        return 0


@pytest.mark.timeout(400)
def test_serve_mends_web_worker_and_postgresql_and_stops_clean(tmp_path: Path) -> None:
    """The real thing: each process killed, each back, nothing left after ``./run stop``."""
    environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    environment |= {"CDP_DATA_DIR": str(tmp_path), "CDP_PORT": "0"}
    with subprocess.Popen([sys.executable, "-m", "cdp.launcher", "serve"], cwd=ROOT, env=environment) as process:
        try:
            eventually(lambda: len(children_of(tmp_path)) == 3, 60)
            address = str(running_state(tmp_path)["address"])
            eventually(lambda: answer(f"{address}readyz") == 200, 60)
            before = children_of(tmp_path)
            for name in ("web", "worker", "beat"):
                os.kill(before[name], signal.SIGKILL)
            server = int((tmp_path / "postgres" / "postmaster.pid").read_text(encoding="utf-8").split()[0])
            os.kill(server, signal.SIGKILL)
            eventually(lambda: not set(children_of(tmp_path).values()) & set(before.values()), 60)
            eventually(lambda: answer(f"{address}readyz") == 200, 60)
            stop = [sys.executable, "-m", "cdp.launcher", "stop"]
            stopped = subprocess.run(stop, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert stopped.returncode == 0
            assert process.wait(30) == 0
            assert ours(tmp_path) == []
        finally:
            process.terminate()
