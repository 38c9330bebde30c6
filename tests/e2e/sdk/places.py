"""Where the JavaScript clients lie, and the web site whose pages load them."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(__file__).resolve().parents[3] / ".data" / "cache"
LOCKED = ("package.json", "package-lock.json")


def clients_place() -> Path:
    """The folder that holds ``node_modules``; each state of the lockfile has its own."""
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in LOCKED)).hexdigest()[:16]
    return CACHE / "sdk" / digest


def clients_install() -> Path:
    """Fill that folder as locked, once; no script of a package runs.

    Two test runs may come here at once: what is complete is renamed into its place.
    """
    place = clients_place()
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=place.parent))
    try:
        for name in LOCKED:
            shutil.copy(HERE / name, draft)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(CACHE / "npm")]
        done = subprocess.run(command, cwd=draft, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"npm ci failed: {done.stderr[-2000:]}"
        try:
            draft.rename(place)
        except OSError:
            assert place.exists()  # the other run was quicker
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


@contextmanager
def pages_serving() -> Iterator[str]:
    """A web site with ``/clients/*.html`` and ``/node_modules``; yields its origin."""
    roots = {"clients": HERE, "node_modules": clients_place()}

    class Pages(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            parts = [part for part in path.split("?")[0].split("/") if part not in {"", ".", ".."}]
            return os.fspath(roots.get(parts[0] if parts else "", HERE).joinpath(*parts))

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
