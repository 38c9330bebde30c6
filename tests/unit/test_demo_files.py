"""The demo's files: the purchases are CDNOW's, whole and moved by one constant; everything else is invented and repeatable."""

import csv
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest

from segments.demo.loading import days_of, files_write
from segments.demo.people import DOMAINS
from segments.demo.purchases import LAST_DAY, cdnow_path, days_moved, purchases_read

TODAY = dt.date(2026, 11, 23)
MOVED = 10_372


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    files_write(path, MOVED)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_last_purchase_was_yesterday() -> None:
    assert days_moved(TODAY) == MOVED
    assert LAST_DAY + dt.timedelta(days=MOVED) == TODAY - dt.timedelta(days=1)


def test_orders_are_cdnows(folder: Path) -> None:
    orders, purchases = rows(folder / "orders.csv"), list(purchases_read(cdnow_path()))
    assert len(orders) == len(purchases) == 69_659
    assert len({o["user_id"] for o in orders}) == 23_570
    assert len({o["order_id"] for o in orders}) == 69_659
    assert (
        sum(Decimal(o["amount"]) for o in orders) == sum(Decimal(p.amount) for p in purchases) == Decimal("2500315.63")
    )
    moved = {
        (dt.datetime.fromisoformat(o["ordered_at"]).date() - p.day).days for o, p in zip(orders, purchases, strict=True)
    }
    assert moved == {MOVED}


def test_every_person_has_an_address_that_reaches_nobody(folder: Path) -> None:
    people = rows(folder / "profiles.csv")
    assert len(people) == len({p["email"] for p in people}) == 23_570
    assert {p["email"].partition("@")[2] for p in people} == set(DOMAINS)
    assert all(len(p["country"]) == 2 for p in people)


def test_consents_hold_every_kind_of_answer_and_silence(folder: Path) -> None:
    acts = rows(folder / "consents.csv")
    assert {a["action"] for a in acts} == {"granted", "denied", "withdrawn"}
    asked = {a["user_id"] for a in acts if a["purpose"] == "advertising"}
    assert 0.85 < len(asked) / 23_570 < 0.95
    assert max(a["occurred_at"] for a in acts) < TODAY.isoformat()


def test_visits_lie_in_the_last_thirty_days(folder: Path) -> None:
    calls = [json.loads(line) for line in (folder / "visits.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({c["messageId"] for c in calls}) == len(calls) > 10_000
    times = [dt.datetime.fromisoformat(c["timestamp"]) for c in calls]
    end = dt.datetime.combine(TODAY, dt.time(), dt.UTC)
    assert end - dt.timedelta(days=31) < min(times)
    assert max(times) < end
    assert {c["event"] for c in calls} == {"Product Viewed", "Product Added"}


def test_same_bytes_every_time(folder: Path, tmp_path: Path) -> None:
    files_write(tmp_path, MOVED)
    for name in ("orders.csv", "profiles.csv", "consents.csv", "visits.jsonl"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_first_and_last_days() -> None:
    first, last = days_of(list(purchases_read(cdnow_path())), 0)
    assert (first["00001"], last["00002"]) == (dt.date(1997, 1, 1), dt.date(1997, 1, 12))
    assert max(last.values()) == LAST_DAY
