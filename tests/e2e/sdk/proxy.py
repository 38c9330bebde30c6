"""A bad road to the real server: the first calls to an address fail, in one of three ways; all that passes is written down."""

import gzip
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

RETRY_AFTER_SECONDS = 1
ERROR_HEADERS = {"Access-Control-Expose-Headers": "Retry-After", "Vary": "Origin"}
CONNECTION_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Fault(StrEnum):
    """How a call fails: answered by the proxy, or taken by the server whose answer never arrives."""

    NONE = "none"
    ERROR = "500"
    LIMIT = "429"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One POST. ``answered`` is what the client saw (None: nothing), ``is_stored`` whether the server had said 200."""

    path: str
    message_ids: tuple[str, ...]
    answered: int | None
    is_stored: bool
    at: float
    answer: bytes = b""


@dataclass(slots=True)
class Road:
    """What one proxy does and what it saw."""

    target: str
    fault: Fault
    failures: int
    origin: str = ""
    exchanges: list[Exchange] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_next(self, path: str) -> Fault:
        """What happens to this call: each address fails ``failures`` times."""
        with self.lock:
            if self.fault is Fault.NONE or self.failed[path] >= self.failures:
                return Fault.NONE
            self.failed[path] += 1
            return self.fault

    def write_down(self, exchange: Exchange) -> None:
        with self.lock:
            self.exchanges.append(exchange)

    def delivered(self) -> Counter[str]:
        """{message id: how often a call with it was answered 200}."""
        with self.lock:
            return Counter(i for e in self.exchanges if e.answered == 200 for i in e.message_ids)


def message_ids_of(body: bytes, encoding: str) -> tuple[str, ...]:
    """The ids in a call or a batch, in order."""
    content = json.loads(gzip.decompress(body) if encoding == "gzip" else body)
    return tuple(call["messageId"] for call in content.get("batch", [content]))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    road: Road

    def log_message(self, *_: object) -> None:
        """Silent; the road keeps what matters."""

    def _pass_on(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        target = urlsplit(self.road.target)
        connection = HTTPConnection(target.hostname or "", target.port, timeout=30)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in CONNECTION_HEADERS}
        connection.request(self.command, self.path, body or None, headers)  # Host included: the server must name us
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _relay(self, answer: HTTPResponse, content: bytes) -> None:
        if answer.status >= 300:
            self.road.refusals.append(f"{answer.status} {self.command} {self.path} {content.decode()[:200]}")
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in CONNECTION_HEADERS | {"server", "date"}}
        self._answer(answer.status, kept, content)

    def do_GET(self) -> None:
        self._relay(*self._pass_on(b""))

    do_OPTIONS = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlsplit(self.path).path
        ids = message_ids_of(body, self.headers.get("Content-Encoding", ""))
        began = time.monotonic()
        match self.road.fault_next(path):
            case Fault.ERROR:
                self.road.write_down(Exchange(path, ids, 500, False, began))
                self._fail(500, {}, b"<h1>500 Internal Server Error</h1>", "text/html")
            case Fault.LIMIT:
                self.road.write_down(Exchange(path, ids, 429, False, began))
                wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
                content = json.dumps({"code": "rate_limited", "message": "Too fast.", "errors": []}).encode()
                self._fail(429, wait, content, "application/json")
            case Fault.CUT:
                answer, content = self._pass_on(body)
                self.road.write_down(Exchange(path, ids, None, answer.status == 200, began, content))
                self._cut()
            case Fault.NONE:
                answer, content = self._pass_on(body)
                self.road.write_down(Exchange(path, ids, answer.status, answer.status == 200, began, content))
                self._relay(answer, content)

    def _fail(self, status: int, headers: dict[str, str], content: bytes, content_type: str) -> None:
        shown = {"Content-Type": content_type} | headers
        if origin := self.headers.get("Origin"):
            shown |= {"Access-Control-Allow-Origin": origin} | ERROR_HEADERS
        self._answer(status, shown, content)

    def _cut(self) -> None:
        """Reset, as a crashed host or a dropped route does: nothing more arrives at the client."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


@contextmanager
def road_open(target: str, fault: Fault, failures: int = 1) -> Iterator[Road]:
    """A proxy in front of ``target`` until the block ends; ``road.origin`` is its address."""
    road = Road(target, fault, failures)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"road": road}))
    server.daemon_threads = True
    road.origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield road
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
