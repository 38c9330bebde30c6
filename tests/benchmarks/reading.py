"""How fast one profile, and a thousand, are read over REST with consent and segments."""

import datetime as dt
import json
import random
from collections.abc import Sequence

import psycopg
from django.conf import settings

from cdp.access.models import ApiKey
from tests.benchmarks.collecting import web_server
from tests.benchmarks.load import http_load, http_request
from tests.benchmarks.report import Figure, seconds_median
from tests.benchmarks.world import Size


def measure(size: Size, as_of: dt.datetime) -> Sequence[Figure]:
    """Random people by user_id over 16 connections; then 1,000 people in one look-up."""
    ApiKey.objects.filter(name="bench").delete()
    key, text = ApiKey.make("bench", ["profiles:read"])
    key.save()
    headers = {"Authorization": f"Bearer {text}"}
    chance = random.Random(7)
    paths = [f"/api/v1/profiles/user_id:u{chance.randint(1, size.profiles)}" for _ in range(20_000)]
    requests = [http_request("GET", path, headers) for path in paths]
    wanted = [
        {"type": "email", "value": f"person{n}@example.com"} for n in chance.sample(range(1, size.profiles), 1000)
    ]
    lookup = http_request(
        "POST", "/api/v1/profiles/lookup", {**headers, "Content-Type": "application/json"},
        json.dumps({"lookups": wanted}).encode(),
    )  # fmt: skip
    with web_server() as port:
        http_load(port, lambda n: requests[n % len(requests)], connections=8, seconds=3)
        load = http_load(port, lambda n: requests[n % len(requests)], connections=16, seconds=15)
        many = http_load(port, lambda n: lookup, connections=1, seconds=30, limit=15)
    with psycopg.connect(settings.DATABASE_URL) as raw:
        numbers = [chance.randint(1, size.profiles) for _ in range(2000)]

        def by_number() -> None:
            for number in numbers:
                raw.execute("SELECT traits FROM cdp_profile WHERE profile_no = %s", [number], prepare=True).fetchone()

        raw_rate = len(numbers) / seconds_median(by_number, runs=3)
    good = load.per_second >= 1500 and load.p99_ms <= 30 and not load.errors
    return [
        Figure(
            f"profile by id at {size.profiles:,}, with consent and segments",
            f"{load.per_second:,.0f} req/s, p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms",
            "≥ 1,500 req/s, p99 ≤ 30 ms",
            f"one bare SELECT by primary key, one connection: {raw_rate:,.0f}/s",
            "reached" if good else "below",
            f"{load.errors} errors, 16 connections",
        ),
        Figure(
            "1,000 people in one look-up by address", f"p50 {many.p50_ms:.0f} ms", "≤ 300 ms", "–",
            "reached" if many.p50_ms <= 300 and not many.errors else "below", f"{many.errors} errors",
        ),
    ]  # fmt: skip
