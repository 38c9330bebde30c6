"""A small HTTP/1.1 load generator: keep-alive connections over raw asyncio streams, one request at a time each.

It runs in its own process on the same cores, so the figures are a lower bound.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What a run saw. Latencies in milliseconds, over all answers."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def http_request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The request as bytes on the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: keep-alive"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lower = head.lower()
    if b"content-length:" in lower:
        length = int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
    elif b"transfer-encoding: chunked" in lower:
        while size := int((await reader.readline()).strip(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return status


async def _drive(port: int, make: Callable[[int], bytes], connections: int, stop_at: float, limit: int) -> Load:
    taken: list[float] = []
    errors = 0
    counter = 0

    async def one() -> None:
        nonlocal errors, counter
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        while time.perf_counter() < stop_at and counter < limit:
            counter += 1
            request = make(counter)
            started = time.perf_counter()
            writer.write(request)
            await writer.drain()
            status = await _answer(reader)
            taken.append(time.perf_counter() - started)
            errors += status != 200
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    seconds = time.perf_counter() - began
    cuts = statistics.quantiles(taken, n=100) if len(taken) > 1 else [0.0] * 99
    return Load(len(taken), seconds, errors, cuts[49] * 1000, cuts[98] * 1000)


def http_load(port: int, make: Callable[[int], bytes], *, connections: int, seconds: float, limit: int = 10**9) -> Load:
    """Drive ``make(n)`` (the n-th request as bytes, from 1) over ``connections`` for ``seconds`` or ``limit`` requests."""
    return asyncio.run(_drive(port, make, connections, time.perf_counter() + seconds, limit))


def cycle(requests: Sequence[bytes]) -> Callable[[int], bytes]:
    """Requests one after the other, again and again."""
    return lambda n: requests[n % len(requests)]
