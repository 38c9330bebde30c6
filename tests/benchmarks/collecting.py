"""How many events a second are deduplicated and committed through HTTP, with the load generator on the same cores."""

import base64
import contextlib
import datetime as dt
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.db import connection

from cdp.collect.models import Source
from tests.benchmarks.load import http_load, http_request
from tests.benchmarks.report import Figure
from tests.benchmarks.world import Size

ROOT = Path(__file__).resolve().parents[2]
BATCH = 100
WRITE_KEY = "bench-write-key"


@contextlib.contextmanager
def web_server(workers: int = 2, **environment: str) -> Iterator[int]:
    """The real server as the supervisor starts it; yields its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (
        f"--interface wsgi --host 127.0.0.1 --port {port} --workers {workers} --blocking-threads 4 --no-ws --http 1"
    )
    command = [sys.executable, "-m", "granian", *options.split(), "--log-level", "warning", "cdp.wsgi:application"]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment, "CDP_DATABASE_POOL": "1"}, start_new_session=True
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz"):
                break
            time.sleep(0.1)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def batch_body(number: int) -> bytes:
    """A batch of 100 tracking calls as a client sends them, every message id new."""
    run = uuid.uuid4().hex
    items = [
        {
            "type": "track", "messageId": f"{run}-{n}", "userId": f"u{(number * BATCH + n) % 100_000 + 1}",
            "event": "Product Viewed", "timestamp": "2026-10-31T12:34:56.789Z",
            "properties": {"product_id": f"p{n % 50}", "category": "cat03", "price": 10.5, "url": "https://shop.example/x"},
            "context": {"library": {"name": "bench", "version": "1"}, "page": {"path": "/x", "referrer": "/y"}},
        }
        for n in range(BATCH)
    ]  # fmt: skip
    return json.dumps({"batch": items, "sentAt": "2026-10-31T12:34:57Z"}).encode()


def measure(size: Size, as_of: dt.datetime) -> Sequence[Figure]:
    """Batches of 100 over 8 connections; every 200 is a commit. The inbox is emptied afterwards."""
    Source.objects.update_or_create(
        key="bench", defaults={"title": "Benchmark", "kind": "server", "write_key": WRITE_KEY}
    )
    basic = base64.b64encode(f"{WRITE_KEY}:".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    bodies = [http_request("POST", "/v1/batch", headers, batch_body(n)) for n in range(3200)]
    with web_server(CDP_COLLECT_RATE_PER_SECOND="1000000") as port:  # it measures the work, not the limit
        http_load(port, lambda n: bodies[n - 1], connections=4, seconds=60, limit=200)
        load = http_load(port, lambda n: bodies[199 + n], connections=8, seconds=60, limit=3000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cdp_inboxevent")
        stored = cursor.fetchone()[0]
        cursor.execute("TRUNCATE cdp_inboxevent")
        cursor.execute("TRUNCATE cdp_messagekey")
    events_per_second = load.per_second * BATCH
    verdict = "reached" if events_per_second >= 20_000 and load.p99_ms <= 100 and not load.errors else "below"
    return [
        Figure(
            "batches of 100, deduplicated and committed",
            f"{events_per_second:,.0f} events/s, p50 {load.p50_ms:.0f} ms, p99 {load.p99_ms:.0f} ms",
            "≥ 20,000 events/s, p99 ≤ 100 ms",
            "RudderStack publishes 1,700 events/s on 2 cores",
            verdict,
            f"{load.errors} errors; {stored:,} stored of {3200 * BATCH:,} sent",
        )
    ]
