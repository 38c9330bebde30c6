"""The ad-network sandbox for tests: in a thread (fast) or as a process that can be killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from segments.destinations.contract import Account, Destination, settings_filled
from segments.sandbox.server import SandboxServer

ROOT = Path(__file__).resolve().parent.parent


class SandboxTalk:
    """What a test asks of a running sandbox."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def fault(self, network: str, kind: str, **more: Any) -> None:
        httpx.post(
            f"{self.base_url}/sandbox/faults", json={"network": network, "kind": kind, **more}
        ).raise_for_status()

    def faults_clear(self) -> None:
        httpx.delete(f"{self.base_url}/sandbox/faults").raise_for_status()

    def lists(self) -> list[dict[str, Any]]:
        lists: list[dict[str, Any]] = httpx.get(f"{self.base_url}/sandbox/lists").json()["lists"]
        return lists

    def digests(self, list_id: str) -> list[str]:
        digests: list[str] = httpx.get(f"{self.base_url}/sandbox/lists/{list_id}").json()["digests"]
        return digests

    def requests(self) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = httpx.get(f"{self.base_url}/sandbox/requests").json()
        return counts

    def account(self, destination: Destination) -> Account:
        sandbox = destination.sandbox
        return Account(
            f"{self.base_url}/{sandbox.path}", settings_filled(destination, sandbox.settings), dict(sandbox.secrets)
        )


@contextmanager
def sandbox_thread(folder: Path, *, record_path: Path | None = None) -> Iterator[SandboxTalk]:
    """A sandbox in this process, on a free port."""
    server = SandboxServer(0, folder, record_path=record_path)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield SandboxTalk(server.base_url)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class SandboxProcess(SandboxTalk):
    """``manage.py sandbox`` as a process of its own."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port_file = folder / "port"
        port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "sandbox", f"--port={port}", f"--state={folder}", f"--port-file={port_file}"],
            cwd=ROOT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "cdp.settings"},
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while not port_file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the sandbox did not start")
            time.sleep(0.02)
        self.port = int(port_file.read_text(encoding="utf-8"))
        super().__init__(f"http://127.0.0.1:{self.port}")

    def kill(self) -> None:
        """As hard as it gets: SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
