"""One run of the whole flow in a folder of its own, with or without somebody killing its processes.

Import → collect → flush → compact → compute → segment → sync, each step a real process against a real PostgreSQL and the
sandbox networks. A disturbed step is ended with SIGKILL after a random pause (the step itself, PostgreSQL under it, or the
sandbox beside it) and started again until it ends well.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cdp.local_postgres import Server, postgres_pid, postgres_start, postgres_stop

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
LONGEST_STEP_SECONDS = 240
TRIES = 40


@dataclass(slots=True)
class Tally:
    """What was killed, for the note."""

    steps: int = 0
    step_kills: int = 0
    postgres_kills: int = 0
    sandbox_kills: int = 0
    by_step: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Run:
    """A data folder, its PostgreSQL, its sandbox, and the environment of its processes."""

    folder: Path
    files: Path
    as_of: str
    chance: random.Random | None
    tally: Tally = field(default_factory=Tally)
    sandbox: "subprocess.Popen[bytes] | None" = None
    sandbox_address: str = ""
    servers: list[Server] = field(default_factory=list)
    typical_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
        return keep | {
            "HOME": str(self.folder),
            "CDP_DATA_DIR": str(self.folder),
            "CDP_SECRET_KEY": "kill-rounds-secret-key-0123456789",
            "CDP_INDEX_KEY": "kill-rounds-index-key-0123456789",
            "CDP_ENCRYPTION_KEYS": "1:kill-rounds-field-key-0123456789",
            "CDP_LOG_LEVEL": "WARNING",
            "OMP_NUM_THREADS": "2",
            "DJANGO_SETTINGS_MODULE": "cdp.settings",
        }

    def manage(self, *arguments: str) -> list[str]:
        return [PYTHON, "manage.py", *arguments]

    def spawn(self, command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
        with log.open("ab") as output:
            return subprocess.Popen(
                list(command),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def postgres_up(self) -> None:
        self.servers.append(postgres_start(self.folder, with_parent=True))

    def sandbox_up(self) -> None:
        port_file = self.folder / "sandbox.port"
        port = self.sandbox_address.rpartition(":")[2] or "0"
        port_file.unlink(missing_ok=True)
        command = self.manage(
            "sandbox", "--port", port, "--state", str(self.folder / "sandbox"), "--port-file", str(port_file)
        )
        self.sandbox = self.spawn(command, self.folder / "sandbox.log")
        deadline = time.monotonic() + 30
        while not port_file.exists():
            if time.monotonic() > deadline:
                raise TimeoutError((self.folder / "sandbox.log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)
        self.sandbox_address = f"http://127.0.0.1:{port_file.read_text().strip()}"

    def step(self, name: str, command: Sequence[str]) -> None:
        """Run ``command`` until it ends well, killing it on the way when this run is a disturbed one."""
        self.tally.steps += 1
        for attempt in range(TRIES):
            log = self.folder / f"{name}.log"
            started = time.monotonic()
            process = self.spawn(command, log)
            disturbed = self.chance is not None and attempt < 3 and self.chance.random() < 0.8
            if disturbed:
                self.disturb(name, process)
            try:
                status = process.wait(LONGEST_STEP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise TimeoutError(f"{name} hangs: {log.read_text(errors='replace')[-2000:]}") from None
            self.mend()
            if status == 0:
                self.typical_seconds[name] = time.monotonic() - started
                return
            if not disturbed:
                raise AssertionError(f"{name} ended with {status}: {log.read_text(errors='replace')[-3000:]}")
        raise AssertionError(f"{name} did not end well in {TRIES} tries")

    def disturb(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        """Wait somewhere between start and typical end, then kill the step, PostgreSQL, or the sandbox."""
        assert self.chance is not None
        pause = self.chance.uniform(0.3, max(1.0, self.typical_seconds.get(name, 3.0)))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
            return
        victim = self.chance.random()
        self.tally.by_step[name] = self.tally.by_step.get(name, 0) + 1
        if victim < 0.7:
            self.tally.step_kills += 1
            os.killpg(process.pid, signal.SIGKILL)
        elif victim < 0.9 or name != "sync":
            self.tally.postgres_kills += 1
            if pid := postgres_pid(self.folder):
                os.kill(pid, signal.SIGKILL)
        elif self.sandbox:
            self.tally.sandbox_kills += 1
            os.killpg(self.sandbox.pid, signal.SIGKILL)
            self.sandbox.wait()
            time.sleep(self.chance.uniform(0.0, 2.0))
            self.sandbox_up()  # the step rightly waits for a network that does not answer, so it comes back now

    def mend(self) -> None:
        if postgres_pid(self.folder) is None:
            self.postgres_up()
        if self.sandbox and self.sandbox.poll() is not None:
            self.sandbox_up()

    def dump(self) -> dict[str, list[str]]:
        """What this run left behind, by natural keys."""
        answer = subprocess.run(
            [PYTHON, "-m", "tests.kill.dump", self.sandbox_address],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if answer.returncode:
            raise AssertionError(answer.stderr[-3000:])
        found: dict[str, list[str]] = json.loads(answer.stdout)
        return found


def collect_with_kills(run: Run) -> None:
    """Send batches to a real web server that is killed now and then; every batch is repeated until it is answered 200."""
    port = 18000 + os.getpid() % 10000
    log = run.folder / "web.log"
    options = (
        f"--interface wsgi --host 127.0.0.1 --port {port} --workers 1 --blocking-threads 2 --no-ws --log-level warning"
    )
    command = [PYTHON, "-m", "granian", *options.split(), "cdp.wsgi:application"]
    web = run.spawn(command, log)
    try:
        for body in (run.files / "batches.jsonl").read_bytes().splitlines():
            deadline = time.monotonic() + 90
            while not _posted(port, body):
                if web.poll() is not None:
                    web = run.spawn(command, log)
                run.mend()
                if time.monotonic() > deadline:
                    raise TimeoutError(log.read_text(errors="replace")[-3000:])
                time.sleep(0.1)
            if run.chance and run.chance.random() < 0.15:
                run.tally.step_kills += 1
                os.killpg(web.pid, signal.SIGKILL)
                web.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(web.pid, signal.SIGKILL)
        web.wait()


def _posted(port: int, body: bytes) -> bool:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/batch", body, {"Authorization": "Basic a2lsbC1yb3VuZHMta2V5Og=="}, method="POST"
    )
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


@contextlib.contextmanager
def run_open(folder: Path, files: Path, as_of: str, seed: int | None) -> Iterator[Run]:
    """A fresh run: PostgreSQL and sandbox up, tables made. Everything ends and is removed at the end."""
    folder.mkdir(parents=True)
    run = Run(folder, files, as_of, random.Random(seed) if seed is not None else None)
    try:
        run.postgres_up()
        run.sandbox_up()
        chance, run.chance = run.chance, None
        run.step("migrate", run.manage("migrate", "-v0"))
        run.step("prepare", [PYTHON, "-m", "tests.kill.steps", "prepare", run.sandbox_address])
        run.chance = chance
        yield run
    finally:
        if run.sandbox:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.sandbox.pid, signal.SIGKILL)
            run.sandbox.wait()
        postgres_stop(folder)
        for server in run.servers:
            if server.process:
                server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def flow(run: Run) -> None:
    """Import → collect → flush → compact → compute → segment → sync."""
    for kind in ("profiles", "orders", "consents", "events"):
        path = run.files / f"{kind}.{'jsonl' if kind == 'events' else 'csv'}"
        run.step(f"import_{kind}", run.manage("import_file", str(path), "--kind", kind, "--source", "shop"))
    collect_with_kills(run)
    for name in ("drain", "flush", "compact"):
        run.step(name, [PYTHON, "-m", "tests.kill.steps", name, run.as_of])
    run.step("compute", run.manage("compute_traits", "--as-of", run.as_of))
    run.step("seed", [PYTHON, "-m", "tests.kill.steps", "seed", run.sandbox_address])
    run.step("segment", [PYTHON, "-m", "tests.kill.steps", "segment", run.as_of])
    run.step("sync", run.manage("sync_audiences", "--wait"))
