"""Made-up visits to the demo's shop in the last 30 days, from a seed, so that rules about behaviour have something to count.

Whoever bought lately visits more often; that is the only relation to the real purchases.
"""

import datetime as dt
import json
import random
from collections.abc import Mapping
from pathlib import Path

CATEGORIES = ("rock", "pop", "jazz", "classical", "electronic", "soundtrack", "folk", "blues")
WINDOW_DAYS = 30
# (days since the last order, share of people who visited)
VISITING_SHARES = ((60, 0.45), (120, 0.25), (240, 0.10), (10_000, 0.03))


def visits_write(last_days: Mapping[str, dt.date], path: Path, end: dt.date, seed: int) -> int:
    """Tracking calls as JSON lines, all before ``end`` (UTC); returns their number."""
    chance = random.Random(seed)  # noqa: S311 - invented data, not a secret
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for user_id in sorted(last_days):
            since = (end - last_days[user_id]).days
            share = next(s for days, s in VISITING_SHARES if since <= days)
            if chance.random() >= share:
                continue
            for visit in range(chance.randrange(1, 4)):
                seconds = chance.randrange(WINDOW_DAYS * 86_400)
                at = dt.datetime.combine(end, dt.time(), dt.UTC) - dt.timedelta(seconds=seconds + 3600)
                for call in visit_calls(chance, f"{user_id}-{visit}", at):
                    file.write(json.dumps({"type": "track", "userId": user_id, **call}, separators=(",", ":")) + "\n")
                    rows += 1
    return rows


def visit_calls(chance: random.Random, visit: str, at: dt.datetime) -> list[dict[str, object]]:
    """One visit: some products looked at, perhaps one put into the basket."""
    favourite = chance.choice(CATEGORIES)
    calls: list[dict[str, object]] = []
    views = chance.randrange(1, 7)
    for number in range(views):
        category = favourite if chance.random() < 0.7 else chance.choice(CATEGORIES)
        product = f"cd-{chance.randrange(4000):04d}"
        calls.append(
            {
                "messageId": f"visit-{visit}-{number}",
                "event": "Product Viewed",
                "timestamp": (at + dt.timedelta(minutes=2 * number)).isoformat().replace("+00:00", "Z"),
                "properties": {"product_id": product, "category": category, "value": chance.randrange(8, 30)},
            }
        )
    if chance.random() < 0.1 + 0.08 * views:
        calls.append(
            {
                **calls[-1],
                "messageId": f"visit-{visit}-added",
                "event": "Product Added",
                "timestamp": (at + dt.timedelta(minutes=2 * views)).isoformat().replace("+00:00", "Z"),
            }
        )
    return calls
