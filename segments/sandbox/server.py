"""The sandbox's HTTP server: routes to the networks, plans faults, shows lists.

``/google/…`` and ``/meta/…`` are the networks; ``/`` the page; ``/sandbox/lists``, ``/sandbox/lists/<id>``, ``/sandbox/requests``
and ``/sandbox/faults`` (GET, POST, DELETE) are for people and tests. Bound to the loopback address only.
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from segments.sandbox.faults import KINDS, Fault, Faults
from segments.sandbox.google import GoogleSandbox
from segments.sandbox.lists import Book
from segments.sandbox.meta import MetaSandbox
from segments.sandbox.page import index_page
from segments.sandbox.replies import Network, Reply

MAX_BODY_BYTES = 32 * 1024 * 1024
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class SandboxServer(ThreadingHTTPServer):
    """``record_path``: a file that every request's body is appended to, for tests that search it."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, folder: Path, *, record_path: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), SandboxHandler)
        self.book = Book(folder)
        self.faults = Faults()
        self.networks: dict[str, Network] = {
            "google": GoogleSandbox(self.book, self.faults),
            "meta": MetaSandbox(self.book, self.faults),
        }
        self.record_path = record_path
        self.record_lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait for its answer is part of the game."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        self.book.close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class SandboxHandler(BaseHTTPRequestHandler):
    """One connection; HTTP/1.1 with keep-alive."""

    server: SandboxServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "sandbox"
    sys_version = ""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(Reply(413, {"error": "body too large"}))
            return
        body = self.rfile.read(length)
        url = urlsplit(self.path)
        self._record(body)
        network, _, rest = url.path.lstrip("/").partition("/")
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        if network in self.server.networks:
            headers = {key.lower(): value for key, value in self.headers.items()}
            reply = self.server.networks[network].answer(self.command, f"/{rest}", query, headers, body)
        else:
            reply = self._own(url.path, body)
        self._send(reply)

    def _own(self, path: str, body: bytes) -> Reply:
        book, faults = self.server.book, self.server.faults
        match self.command, path:
            case "GET", "/":
                return Reply(200, index_page(book.summary(), book.requests, book.repeated))
            case "GET", "/sandbox/lists":
                return Reply(200, {"lists": book.summary()})
            case "GET", "/sandbox/requests":
                return Reply(200, {"requests": dict(book.requests), "repeated": dict(book.repeated)})
            case "GET", "/sandbox/faults":
                return Reply(200, {"faults": msgspec.to_builtins(faults.planned()), "kinds": KINDS})
            case "POST", "/sandbox/faults":
                try:
                    faults.plan(msgspec.json.decode(body, type=Fault))
                except (msgspec.DecodeError, ValueError) as error:
                    return Reply(400, {"error": str(error)})
                return Reply(201, {"faults": len(faults.planned())})
            case "DELETE", "/sandbox/faults":
                faults.clear()
                return Reply(200, {"faults": 0})
        if self.command == "GET" and path.startswith("/sandbox/lists/"):
            digests = book.digests(path.rpartition("/")[2])
            if digests is not None:
                summary = next(x for x in book.summary() if x["id"] == path.rpartition("/")[2])
                return Reply(200, summary | {"digests": digests})
        return Reply(404, {"error": "not found"})

    def _send(self, reply: Reply) -> None:
        if reply.hold_seconds:
            time.sleep(reply.hold_seconds)
        if reply.is_silent:
            self.close_connection = True
            return
        is_page = isinstance(reply.body, str)
        content = reply.body.encode() if is_page else msgspec.json.encode(reply.body)
        headers: dict[str, Any] = {
            "Content-Type": "text/html; charset=utf-8" if is_page else "application/json",
            "Content-Length": len(content),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        if is_page:
            headers["Content-Security-Policy"] = POLICY
        self.send_response(reply.status)
        for name, value in (headers | reply.headers).items():
            self.send_header(name, str(value))
        self._headers_buffer.append(b"\r\n" + content)  # type: ignore[attr-defined]
        self.flush_headers()

    def _record(self, body: bytes) -> None:
        if self.server.record_path is None:
            return
        line = {
            "method": self.command,
            "path": self.path,
            "headers": dict(self.headers.items()),
            "body": body.decode("utf-8", "replace"),
        }
        with self.server.record_lock, self.server.record_path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged: lines would carry digests and tokens."""
