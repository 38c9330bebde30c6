"""Keep the processes of one machine running: PostgreSQL, web, worker, beat and, for the demo, the ad-network sandbox.

For demos and single machines; compose.yaml and docs/operations.md show the split for production. A child that dies is
started again with growing pauses; Ctrl-C, SIGTERM and a closed terminal stop everything; a killed supervisor takes its
children along (``cdp.child``).
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cdp.config import BASE_DIR
from cdp.local_postgres import Server, postgres_pid, postgres_start, postgres_stop, private_write
from cdp.postgres_account import CHILD

STOP_SECONDS = 15
SETTLED_SECONDS = 30
LONGEST_PAUSE_SECONDS = 30.0
LOG_BYTES = 10_000_000


class AlreadyRunningError(Exception):
    """Another supervisor holds this data folder; the message says where it answers."""


@dataclass(slots=True)
class Child:
    """One kept process and what is known of its last start."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    failures: int = 0
    restart_at: float = 0.0


def say(line: str) -> None:
    """One line for the person at the terminal."""
    print(line, flush=True)  # noqa: T201


def port_free(preferred: int) -> int:
    """``preferred`` when nobody listens there, else any free port of the loopback."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def web(port: int, metrics_dir: Path) -> Child:
    """The web server: two processes, a few threads each, pooled database connections, counters that add up in a folder."""
    shutil.rmtree(metrics_dir, ignore_errors=True)
    metrics_dir.mkdir(parents=True)
    options = f"--interface wsgi --host 127.0.0.1 --port {port} --workers 2 --blocking-threads 4 --no-ws --http 1"
    options += " --respawn-failed-workers --workers-kill-timeout 10 --log-level warning"
    return Child(
        "web",
        [sys.executable, "-m", "granian", *options.split(), "cdp.wsgi:application"],
        {"CDP_DATABASE_POOL": "1", "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir)},
    )


def worker() -> Child:
    """The Celery worker."""
    options = "worker --concurrency 2 --without-gossip --without-mingle --without-heartbeat --loglevel WARNING"
    return Child("worker", [sys.executable, "-m", "celery", "-A", "cdp", *options.split()])


def beat() -> Child:
    """Celery's clock."""
    return Child("beat", [sys.executable, "-m", "celery", "-A", "cdp", "beat", "--loglevel", "WARNING", "--pidfile="])


def sandbox(port: int) -> Child:
    """The ad networks' stand-in."""
    return Child("sandbox", [sys.executable, "manage.py", "sandbox", "--port", str(port)])


def group_kill(process: "subprocess.Popen[bytes]") -> None:
    """End what is left of a child's group; each child leads its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def http_ready(url: str) -> bool:
    """Whether ``url`` answers 200."""
    with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


class Supervisor:
    """The running set. Holds the lock of the data folder from ``__enter__`` to ``__exit__``."""

    def __init__(self, data_dir: Path, *, private_postgres: bool, environment: dict[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.private_postgres = private_postgres
        self.environment = environment or {}
        self.children: list[Child] = []
        self.server: Server | None = None
        self.stop_signal = 0
        self.address = ""

    def __enter__(self) -> "Supervisor":
        (self.data_dir / "logs").mkdir(parents=True, exist_ok=True)
        self.lock = (self.data_dir / "supervisor.lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(
                f"Already running at {running_state(self.data_dir).get('address') or 'its start'}; `./run stop` ends it."
            ) from None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.on_signal)
        self.write_state()
        try:
            if self.private_postgres:
                self.server = postgres_start(self.data_dir, with_parent=True, say=say)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        (self.data_dir / "supervisor.json").unlink(missing_ok=True)
        self.lock.close()

    def on_signal(self, number: int, _frame: object) -> None:
        """Remember the wish; raise it where a step of the demo is being waited for."""
        self.stop_signal = number
        raise KeyboardInterrupt

    def write_state(self) -> None:
        """What ``./run stop`` and ``./run doctor`` read."""
        pids = {child.name: child.process.pid for child in self.children if child.process}
        state = {"pid": os.getpid(), "address": self.address, "children": pids}
        private_write(self.data_dir / "supervisor.json", json.dumps(state))

    def spawn(self, child: Child) -> None:
        """Start ``child`` in a group of its own; its output goes to ``logs/<name>.log``."""
        log = self.data_dir / "logs" / f"{child.name}.log"
        with log.open("wb" if log.exists() and log.stat().st_size > LOG_BYTES else "ab") as output:
            child.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", str(CHILD), "--parent", str(os.getpid()), "--", *child.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=BASE_DIR,
                env={**os.environ, **self.environment, **child.environment},
                start_new_session=True,
            )
        child.started_at = time.monotonic()
        self.write_state()

    def start(self, *children: Child) -> None:
        """Start and keep ``children``."""
        for child in children:
            self.children.append(child)
            self.spawn(child)

    def run(self, *command: str, **environment: str) -> int:
        """One step in the foreground, e.g. ``manage.py migrate``; returns its exit status."""
        arguments = [sys.executable, "-I", str(CHILD), "--parent", str(os.getpid()), "--", sys.executable, *command]
        with subprocess.Popen(arguments, cwd=BASE_DIR, env={**os.environ, **self.environment, **environment}) as step:  # noqa: S603
            try:
                return step.wait()
            except KeyboardInterrupt:
                step.terminate()
                raise

    def wait_for(self, url: str, seconds: float = 60) -> bool:
        """Whether ``url`` answers 200 in time, while children that die are started again."""
        deadline = time.monotonic() + seconds
        while not http_ready(url):
            if time.monotonic() > deadline:
                return False
            self.mend()
            time.sleep(0.1)
        return True

    def mend(self) -> None:
        """Start again what has died: PostgreSQL at once, a child after a pause that doubles up to half a minute."""
        if self.private_postgres and postgres_pid(self.data_dir) is None:
            say("PostgreSQL ended; starting it again")
            self.server = postgres_start(self.data_dir, with_parent=True)
        for child in self.children:
            now = time.monotonic()
            if child.process and child.process.poll() is not None:
                status = child.process.returncode
                group_kill(child.process)
                child.process = None
                child.failures = 1 if now - child.started_at > SETTLED_SECONDS else child.failures + 1
                pause = min(LONGEST_PAUSE_SECONDS, 0.25 * 2**child.failures)
                child.restart_at = now + pause
                log = self.data_dir / "logs" / f"{child.name}.log"
                say(f"{child.name} ended ({status}); starting it again in {pause:.1f} s, see {log}")
            elif child.process is None and now >= child.restart_at:
                self.spawn(child)

    def keep(self) -> None:
        """Mend until a signal says stop."""
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                self.mend()
                time.sleep(0.25)

    def stop(self) -> None:
        """End every child, beat first and PostgreSQL last; a second Ctrl-C kills what still works."""
        running = [child for child in reversed(self.children) if child.process]
        try:
            for child in running:
                if child.process and child.process.poll() is None:
                    child.process.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline and any(c.process and c.process.poll() is None for c in running):
                time.sleep(0.05)
        except KeyboardInterrupt:
            say("stopping at once")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for child in running:
            if child.process:
                group_kill(child.process)
                child.process = None
        if self.server and self.server.process:
            postgres_stop(self.data_dir, self.server.process)
            self.server.process.wait()


def running_state(data_dir: Path) -> dict[str, object]:
    """What a live supervisor wrote about itself; empty when none runs."""
    try:
        state: dict[str, object] = json.loads((data_dir / "supervisor.json").read_text(encoding="utf-8"))
        with (data_dir / "supervisor.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return state
    except (FileNotFoundError, ValueError):
        return {}
    return {}


def supervisor_stop(data_dir: Path) -> Iterator[str]:
    """End the supervisor of this data folder, then a PostgreSQL that outlived one. Yields what was done."""
    state = running_state(data_dir)
    if pid := state.get("pid"):
        os.kill(int(str(pid)), signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS * 2
        while running_state(data_dir) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield "stopped web, worker and beat"
    if postgres_stop(data_dir):
        yield "stopped PostgreSQL"
