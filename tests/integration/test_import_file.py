"""import_file from the command line to people, orders, events and consents: repeated, resumed, killed, refused."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from cdp.collect import chunks, importing
from cdp.collect.models import ImportRun, Reject, Source
from cdp.consent.models import ConsentRecord, ConsentState
from cdp.events.models import Event, Order
from cdp.identity.models import Identifier
from cdp.identity.selectors import profile_find
from cdp.profiles.models import Profile, Trait
from tests.addresses import database_url

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]

type Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(rows: list[list[Any]] | str, name: str = "file.csv") -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            if isinstance(rows, str):
                file.write(rows)
            else:
                csv.writer(file).writerows(rows)
        return path

    return make


def run(path: Path, kind: str, **options: Any) -> str:
    out = StringIO()
    call_command("import_file", str(path), kind=kind, stdout=out, stderr=out, **options)
    return out.getvalue()


def counts() -> tuple[int, int, int]:
    last = ImportRun.objects.latest("run_no")
    return last.accepted, last.duplicates, last.rejected


def orders_file(n: int, start: int = 0) -> list[list[Any]]:
    head = ["order_id", "customer_id", "email", "date", "total", "currency", "quantity"]
    days = [f"2026-01-{1 + i % 28:02d}" for i in range(n)]
    return [head] + [
        [f"o-{start + i}", f"c-{i % 50}", f"c{i % 50}@example.com", days[i], f"{i % 90}.50", "EUR", i % 3]
        for i in range(n)
    ]


def test_orders_reach_ledger_events_and_people(write: Write) -> None:
    out = run(write(orders_file(120)), "orders", source="Shop")
    assert "customer_id → user_id" in out
    assert counts() == (120, 0, 0)
    assert Source.objects.get().key == "shop"
    assert (Profile.objects.count(), Identifier.objects.count()) == (50, 100)
    order, event = Order.objects.get(order_id="o-7"), Event.objects.get(order_id="o-7")
    assert (order.amount, order.currency, order.items) == (Decimal("7.5"), "EUR", 1)
    assert (event.name, event.kind, event.amount, event.occurred_at) == (
        "Order Completed",
        "track",
        order.amount,
        order.ordered_at,
    )
    assert event.identifier_no == order.identifier_no
    assert event.profile_no == profile_find("email", "C7@example.com")


def test_the_second_run_changes_nothing(write: Write) -> None:
    path = write(orders_file(60))
    run(path, "orders", source="shop")
    before = tables()
    out = run(path, "orders", source="shop")
    assert counts() == (0, 60, 0)
    assert ["duplicates", "60"] in [line.split() for line in out.splitlines()]
    assert tables() == before


def tables() -> dict[str, list[tuple[Any, ...]]]:
    """What an import leaves behind, without numbers and times of storing."""
    queries = {
        "orders": "SELECT order_id, amount, currency, items, status, ordered_at FROM cdp_order ORDER BY 1",
        "events": "SELECT message_id, name, occurred_at, amount, properties FROM cdp_event ORDER BY 1",
        "people": "SELECT i.blind_index, p.traits::text FROM cdp_identifier i JOIN cdp_profile p USING (profile_no) ORDER BY 1",
        "consents": "SELECT idempotency_key, action, occurred_at FROM cdp_consentrecord ORDER BY 1, 2",
    }
    found = {}
    with connection.cursor() as cursor:
        for name, query in queries.items():
            cursor.execute(query)
            found[name] = [
                tuple(bytes(c) if isinstance(c, memoryview) else c for c in row) for row in cursor.fetchall()
            ]
    return found


def test_orders_without_id_stay_two_when_they_are_two(write: Write) -> None:
    rows = [
        ["customer_id", "date", "amount"],
        ["c", "2026-01-01", "5"],
        ["c", "2026-01-01", "5"],
        ["c", "2026-01-02", "5"],
    ]
    run(write(rows), "orders", source="shop")
    run(write(rows), "orders", source="shop")
    assert (Order.objects.count(), Event.objects.count()) == (3, 3)


def test_a_later_statement_about_an_order_is_an_update(write: Write) -> None:
    head = ["order_id", "customer_id", "date", "amount", "updated_at"]
    run(write([head, ["o", "c", "2026-01-01", "50", "2026-01-01"]]), "orders", source="shop")
    changed = write([head, ["o", "c", "2026-01-01", "40", "2026-01-05"]])
    run(changed, "orders", source="shop")
    run(changed, "orders", source="shop")
    order = Order.objects.get()
    assert (order.amount, order.ordered_at.day) == (Decimal(40), 1)
    assert sorted(Event.objects.values_list("name", flat=True)) == ["Order Completed", "Order Updated"]


def test_refunded_and_cancelled_orders(write: Write) -> None:
    head = ["order_id", "customer_id", "date", "amount", "status"]
    rows = [
        ["a", "c", "2026-01-01", "5", "refunded"],
        ["b", "c", "2026-01-01", "6", "cancelled"],
        ["d", "c", "2026-01-01", "7", "paid"],
    ]
    run(write([head, *rows]), "orders", source="shop")
    assert list(Order.objects.order_by("order_id").values_list("amount", "status")) == [
        (Decimal(0), "refunded"),
        (Decimal(0), "cancelled"),
        (Decimal(7), "completed"),
    ]


def test_refused_rows_are_written_with_line_and_reason(write: Write) -> None:
    rows = orders_file(5)
    rows[2][4] = "much"
    rows[3][3] = "03/04/2026"
    rows[4][2], rows[4][1] = "=cmd()", "null"
    out = run(write(rows), "orders", source="shop")
    assert counts() == (2, 0, 3)
    summary = ImportRun.objects.get()
    with Path(summary.rejects_path).open(newline="") as file:
        told = list(csv.DictReader(file))
    assert [(r["line"], r["field"], r["code"], r["taken"]) for r in told] == [
        ("3", "amount", "amount", "no"),
        ("4", "ordered_at", "timestamp", "no"),
        ("5", "user_id", "blocked", "no"),
        ("5", "email", "email", "no"),
    ]
    assert summary.rejects_path in out
    assert sorted(Reject.objects.values_list("line", "code")) == [
        (3, "amount"),
        (4, "timestamp"),
        (5, "blocked"),
        (5, "email"),
    ]
    assert Order.objects.count() == 2


def test_a_corrected_file_brings_the_refused_rows_in(write: Write) -> None:
    rows = orders_file(3)
    good = rows[1][1]
    rows[1][1], rows[1][2] = "undefined", ""
    run(write(rows), "orders", source="shop")
    assert counts() == (2, 0, 1)
    rows[1][1] = good
    run(write(rows), "orders", source="shop")
    assert counts() == (1, 2, 0)
    assert Order.objects.count() == 3


def test_a_bad_address_is_left_out_and_the_row_stays(write: Write) -> None:
    out = run(write([["customer_id", "email", "plan"], ["c-1", "nonsense", "gold"]]), "profiles", source="crm")
    assert counts() == (1, 0, 0)
    assert "with a cell left out" in out
    assert Profile.objects.get().traits == {"plan": "gold"}


def test_profiles_with_types_that_rules_can_read(write: Write) -> None:
    rows = [
        ["id", "E-Mail", "Phone", "First Name", "score", "vip", "postal", "created_at", "last order"],
        ["1", "a@example.com", "+33612345678", "Ana", "1.5", "true", "01234", "2025-05-01", "2026-01-02"],
        ["2", "b@example.com", "", "", "2", "false", "99999", "2025-06-01", ""],
    ]
    path = write(rows)
    run(path, "profiles", source="crm")
    types = dict(Trait.objects.filter(is_declared=True).values_list("key", "value_type"))
    assert {k: types[k] for k in ("first_name", "score", "vip", "postal", "signed_up_at", "last_order")} == {
        "first_name": "text",
        "score": "number",
        "vip": "boolean",
        "postal": "text",
        "signed_up_at": "date",
        "last_order": "date",
    }
    ana = Profile.objects.get(profile_no=profile_find("phone", "+33 6 12 34 56 78"))
    assert ana.profile_no == profile_find("user_id", "1") == profile_find("email", "a@example.com")
    assert ana.traits == {
        "first_name": "Ana",
        "score": 1.5,
        "vip": True,
        "postal": "01234",
        "signed_up_at": "2025-05-01T00:00:00Z",
        "last_order": "2026-01-02T00:00:00Z",
    }
    assert not Event.objects.exists()
    before = tables()
    run(path, "profiles", source="crm")
    assert (counts(), tables()) == ((0, 2, 0), before)


def test_an_older_profile_file_does_not_win(write: Write) -> None:
    head = ["customer_id", "plan", "updated_at"]
    run(write([head, ["c", "gold", "2026-02-01"]]), "profiles", source="crm")
    run(write([head, ["c", "basic", "2026-01-01"]]), "profiles", source="crm")
    assert Profile.objects.get().traits == {"plan": "gold"}


def test_events_as_tracking_calls(write: Write) -> None:
    lines = [
        {"type": "track", "userId": "u", "messageId": "m1", "event": "Product Viewed", "timestamp": "2026-11-01T10:00:00Z",
         "properties": {"category": "jazz", "value": 9}},
        {"type": "page", "anonymousId": "a", "messageId": "m2", "event": "Home", "timestamp": "2026-11-01T11:00:00Z", "properties": None},
        {"type": "track", "userId": "u", "messageId": "m1", "event": "Again", "timestamp": "2026-11-01T10:00:00Z"},
        {"type": "sing", "userId": "u", "messageId": "m3", "event": "x", "timestamp": "2026-11-01T10:00:00Z"},
    ]  # fmt: skip
    run(write("".join(json.dumps(line) + "\n" for line in lines), "visits.jsonl"), "events", source="web")
    assert counts() == (2, 1, 1)
    event = Event.objects.get(message_id="m1")
    assert (event.name, json.loads(event.properties)) == ("Product Viewed", {"category": "jazz", "value": 9})
    assert Event.objects.get(message_id="m2").kind == "page"


def test_events_from_a_table(write: Write) -> None:
    rows = [["email", "event", "time", "colour"], ["a@example.com", "Leaflet Sent", "2026-11-01", "red"]]
    run(write(rows), "events", source="post")
    event = Event.objects.get()
    assert (event.name, json.loads(event.properties)) == ("Leaflet Sent", {"colour": "red"})
    assert event.profile_no == profile_find("email", "a@example.com")


def test_consents(write: Write) -> None:
    rows = [
        ["user_id", "purpose", "action", "occurred_at", "method", "notice_version", "locale", "jurisdiction"],
        ["c-1", "advertising", "granted", "2026-01-01T12:05:00Z", "save", "demo-1", "de-DE", "DE"],
        ["c-1", "advertising", "withdrawn", "2026-02-01T12:05:00Z", "save", "demo-1", "de-DE", "DE"],
        ["c-2", "Email Marketing", "Opt-In", "2026-01-01T12:05:00Z", "", "", "", ""],
        ["c-2", "fun", "granted", "2026-01-01T12:05:00Z", "", "", "", ""],
    ]
    path = write(rows)
    run(path, "consents", source="cmp")
    assert counts() == (3, 0, 1)
    assert sorted(ConsentState.objects.values_list("purpose__key", "state")) == [
        ("advertising", "withdrawn"),
        ("email_marketing", "granted"),
    ]
    record = ConsentRecord.objects.get(action="withdrawn")
    assert (record.notice_version, record.jurisdiction, record.method) == ("demo-1", "DE", "save")
    run(path, "consents", source="cmp")
    assert counts() == (0, 3, 1)
    assert ConsentRecord.objects.count() == 3


def test_dry_run_stores_nothing(write: Write) -> None:
    rows = orders_file(10)
    rows[3][4] = "x"
    out = run(write(rows), "orders", dry_run=True)
    assert "nothing was stored" in out
    assert [line.split() for line in out.splitlines() if line.startswith(("accepted", "rejected"))] == [
        ["accepted", "9"],
        ["rejected", "1"],
    ]
    assert not any(model.objects.exists() for model in (ImportRun, Order, Event, Source, Profile, Reject))


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        ("", "orders", "is empty"),
        ("a,b\n1,2\n", "orders", "orders need a column for ordered_at and for amount"),
        ("email,plan\n", "consents", "The file has: email, plan"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(write: Write, content: str, kind: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run(write(content), kind)
    assert not ImportRun.objects.exists()


def test_mapping_file(write: Write, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.json"
    mapping.write_text('{"columns": {"Kd": "user_id", "Tag": "ordered_at", "Netto": "amount"}, "date_format": "%d.%m.%Y", '
                       '"decimal_comma": true, "currency": "eur"}')  # fmt: skip
    run(write("Kd;Tag;Netto\nk1;24.12.2025;1.234,50\n"), "orders", mapping=mapping, source="shop")
    order = Order.objects.get()
    assert (order.amount, order.currency, order.ordered_at.isoformat()[:10]) == (Decimal("1234.5"), "EUR", "2025-12-24")
    with pytest.raises(CommandError, match="no mapping file"):
        run(write("a,b\n"), "orders", mapping=tmp_path / "none.json")
    mapping.write_text("{")
    with pytest.raises(CommandError, match="is not JSON"):
        run(write("a,b\n"), "orders", mapping=mapping)


def test_a_row_that_the_database_refuses_stands_alone(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chunks.calls_absorb

    def fail(calls: Any, now: Any) -> Any:
        if any(call.message.user_id == "c-13" for call in calls):
            raise UnicodeError("cannot be stored")
        return whole(calls, now)

    monkeypatch.setattr(chunks, "calls_absorb", fail)
    monkeypatch.setattr(importing, "CHUNK_ROWS", 16)
    run(write(orders_file(40)), "orders", source="shop")
    assert counts() == (39, 0, 1)
    assert (Reject.objects.get().line, Order.objects.count()) == (15, 39)


def test_an_interrupted_run_goes_on_after_its_last_chunk(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = orders_file(50)
    rows[3][4] = rows[45][4] = "x"
    path = write(rows)
    monkeypatch.setattr(importing, "CHUNK_ROWS", 10)
    whole = chunks.calls_absorb
    done: list[int] = []

    def stop(calls: Any, now: Any) -> Any:
        done.append(len(calls))
        if len(done) == 4:
            raise KeyboardInterrupt
        return whole(calls, now)

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "calls_absorb", stop)
        with pytest.raises(CommandError, match="run the same command again"):
            run(path, "orders", source="shop")
    half = ImportRun.objects.get()
    assert (half.state, half.lines_done, half.accepted, half.rejected) == ("running", 31, 29, 1)
    out = run(path, "orders", source="shop")
    assert "Went on after line 31" in out
    run_row = ImportRun.objects.get()
    assert (run_row.state, run_row.accepted, run_row.duplicates, run_row.rejected) == ("done", 48, 0, 2)
    assert len(Path(run_row.rejects_path).read_text().splitlines()) == 3
    assert Order.objects.count() == 48


@pytest.mark.django_db(transaction=True)
def test_killed_at_random_points_it_ends_as_if_it_never_was(write: Write, tmp_path: Path) -> None:
    rows = [row[1:2] + row[3:5] for row in orders_file(12_000)]
    for row in rows[1:]:
        row[1] = "2026-01-01"  # without order ids and full of equal rows: the hard case
    rows[100][2] = rows[10_000][2] = "x"
    path = write(rows)
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "CDP_DATA_DIR": str(tmp_path / "data"),
        "CDP_ENCRYPTION_KEYS": ",".join(f"{n}:{key}" for n, key in settings.CDP_ENCRYPTION_KEYS.items()),
        "CDP_INDEX_KEY": settings.CDP_INDEX_KEY,
        "CDP_SECRET_KEY": settings.SECRET_KEY,
    }
    command = [
        sys.executable,
        str(ROOT / "manage.py"),
        "import_file",
        str(path),
        "--kind",
        "orders",
        "--source",
        "shop",
    ]
    kills = 0
    while True:
        before = ImportRun.objects.values_list("lines_done", flat=True).first() or 0
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while kills < 2 and process.poll() is None:
                now = ImportRun.objects.values_list("lines_done", flat=True).first() or 0
                if now > before:
                    time.sleep(0.05 * kills)
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    break
                time.sleep(0.02)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
    run_row = ImportRun.objects.get()
    assert (run_row.state, run_row.accepted, run_row.duplicates, run_row.rejected) == ("done", 11_998, 0, 2)
    assert kills >= 1
    assert len(Path(run_row.rejects_path).read_text().splitlines()) == 3
    assert Order.objects.count() == Event.objects.count() == 11_998
    assert (Profile.objects.count(), Identifier.objects.count()) == (50, 50)
    killed = tables()
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE cdp_order, cdp_event, cdp_messagekey, cdp_identifier, cdp_profile, cdp_importrun, cdp_reject"
        )
    run(path, "orders", source="shop")
    assert tables() == killed
