"""Law 1 and 2: whatever is killed at whatever moment, nothing acknowledged is lost and nothing happens twice."""

import datetime as dt
import itertools
import json
from pathlib import Path

import pytest

from segments.demo.people import consents_write, people_invent, profiles_write
from segments.demo.purchases import cdnow_path, days_moved, orders_write, purchases_read
from segments.demo.visits import visits_write
from tests.kill.rounds import Tally, flow, run_open

SEED = 20261123
EVERY = 30  # one person in thirty: 785 people, enough for every model
AS_OF = dt.datetime.combine(dt.datetime.now(dt.UTC).date(), dt.time(), dt.UTC)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's files for one person in thirty, and tracking batches for the web server."""
    folder = tmp_path_factory.mktemp("files")
    moved = days_moved(AS_OF.date())
    chosen = [p for p in purchases_read(cdnow_path()) if int(p.person) % EVERY == 0]
    orders_write(iter(chosen), folder / "orders.csv", moved)
    first: dict[str, dt.date] = {}
    last: dict[str, dt.date] = {}
    for purchase in chosen:
        day = purchase.day + dt.timedelta(days=moved)
        first[purchase.person] = min(day, first.get(purchase.person, day))
        last[purchase.person] = max(day, last.get(purchase.person, day))
    people = people_invent(first, SEED)
    profiles_write(people, folder / "profiles.csv")
    consents_write(people, folder / "consents.csv", SEED)
    visits_write(last, folder / "events.jsonl", AS_OF.date(), SEED)
    stamp = (AS_OF - dt.timedelta(hours=2)).isoformat()
    with (folder / "batches.jsonl").open("w") as batches:
        for number, chunk in enumerate(itertools.batched(sorted(last)[:400], 20)):
            items = [
                {"type": "track", "event": "Product Viewed", "messageId": f"live-{number}-{n}", "userId": user,
                 "anonymousId": f"browser-{user}", "timestamp": stamp, "properties": {"category": "jazz"}}
                for n, user in enumerate(chunk)
            ]  # fmt: skip
            batches.write(json.dumps({"batch": items}) + "\n")
    return folder


def differences(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, object]:
    """Tables that differ, with a few rows that stand on one side only."""
    found: dict[str, object] = {}
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            left, right = set(one.get(name, [])), set(other.get(name, []))
            found[name] = {
                "rows": (len(one.get(name, [])), len(other.get(name, []))),
                "only undisturbed": sorted(left - right)[:3],
                "only killed": sorted(right - left)[:3],
            }
    return found


def rounds_run(files: Path, folder: Path, rounds: int) -> Tally:
    total = Tally()
    with run_open(folder / "calm", files, AS_OF.isoformat(), None) as calm:
        flow(calm)
        expected = calm.dump()
        typical = dict(calm.typical_seconds)
    assert len(expected["orders"]) > 2000
    assert len(expected["members"]) > 0
    assert "members" in expected["networks"][0]
    for number in range(rounds):
        with run_open(folder / f"round-{number}", files, AS_OF.isoformat(), SEED + number) as run:
            run.typical_seconds.update(typical)
            flow(run)
            assert differences(expected, run.dump()) == {}, f"round {number}: {run.tally}"
            total.steps += run.tally.steps
            total.step_kills += run.tally.step_kills
            total.postgres_kills += run.tally.postgres_kills
            total.sandbox_kills += run.tally.sandbox_kills
            for name, kills in run.tally.by_step.items():
                total.by_step[name] = total.by_step.get(name, 0) + kills
    return total


@pytest.mark.timeout(900)
def test_one_killed_round_ends_like_a_calm_run(files: Path, tmp_path: Path) -> None:
    assert rounds_run(files, tmp_path, 1).steps > 0


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_fifty_killed_rounds_end_like_a_calm_run(
    files: Path, tmp_path: Path, record_property: pytest.FixtureRequest
) -> None:
    total = rounds_run(files, tmp_path, 50)
    print(f"50 rounds: {total}")  # noqa: T201 - the figure for the note
    assert total.step_kills > 100
