"""Many processes on one store, some of them killed: no event lost, doubled or seen twice, none of an erased person."""

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.db import connection, transaction

from cdp.config import BASE_DIR
from cdp.core.errors import RetryableError
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.core.time import UTC
from cdp.events import services
from cdp.events.files.manifest import files_live, mark_read
from cdp.events.locks import StoreLock, ledger_cut, store_guard
from cdp.events.models import EventFile
from cdp.events.reader import events_open, snapshot_transaction
from cdp.events.records import InboxItem
from cdp.events.store import store_open
from tests.events_actors import logged
from tests.events_samples import NOW, event_make, events_random, numbers_read, relation_read

pytestmark = pytest.mark.django_db(transaction=True)
LATER = dt.timedelta(days=1)


class Company:
    """The processes of one test, forked from one that has imported everything; all end with it."""

    def __init__(self, folder: Path, files: Path) -> None:
        self.folder = folder
        self.running: dict[str, int] = {}
        environment = os.environ | {
            "DATABASE_URL": database_url(connection.settings_dict["NAME"]),
            "CDP_DATA_DIR": str(files),
            "CDP_EVENT_STORAGE_URL": (files / "events").as_uri(),
            "CDP_LOG_LEVEL": "ERROR",
            "OPENBLAS_NUM_THREADS": "1",  # a process with threads should not fork
        }
        command = [sys.executable, "-m", "tests.events_actors", str(folder)]
        pipe = subprocess.PIPE
        self.parent = subprocess.Popen(command, cwd=BASE_DIR, env=environment, stdin=pipe, stdout=pipe, text=True)

    def ask(self, order: str) -> int:
        assert self.parent.stdin
        assert self.parent.stdout
        self.parent.stdin.write(order + "\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())

    def start(self, role: str, seed: int) -> None:
        """Returns when the process stands ready."""
        self.running[f"{role}-{seed}"] = self.ask(f"start {role} {seed}")
        while not (self.folder / f"{role}-{seed}.ready").exists():
            time.sleep(0.01)

    def go(self) -> None:
        (self.folder / "go").touch()

    def kill(self, name: str) -> None:
        os.kill(self.running[name], signal.SIGKILL)
        assert self.ask(f"wait {self.running.pop(name)}") in (-signal.SIGKILL, 1), self.complaints()

    def stop(self) -> None:
        (self.folder / "stop").touch()
        codes = {name: self.ask(f"wait {process}") for name, process in self.running.items()}
        self.running = {}
        assert set(codes.values()) == {0}, self.complaints()

    def complaints(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.err"))

    def end(self) -> None:
        for process in self.running.values():
            os.kill(process, signal.SIGKILL)
        self.parent.kill()
        self.parent.communicate()


def database_url(name: str) -> str:
    """Address of a database of the server that the tests use."""
    parts = urlsplit(settings.DATABASE_URL)
    return parts._replace(path=f"/{name}").geturl()


@pytest.fixture
def company(tmp_path: Path, own_files: Path) -> Iterator[Company]:
    folder = tmp_path / "logs"
    folder.mkdir()
    together = Company(folder, own_files)
    yield together
    together.end()


def settle(now: dt.datetime) -> None:
    """Everything into files, every correction taken in, everything unneeded gone."""
    services.events_flush(now)
    services.store_compact(now, only_closed=False)
    services.store_rewrite_erased(now)
    services.store_fold_overlay()
    services.store_sweep(now + LATER)


def storage_keys() -> set[str]:
    storage = store_open().storage
    return {file.key for prefix in ("hot/", "compacted/") for file in storage.list(prefix)}


@pytest.mark.parametrize("seconds", [8, pytest.param(90, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
def test_four_writers_a_reader_a_compactor_and_an_eraser(company: Company, seconds: int) -> None:
    for role, count in {"write": 4, "read": 1, "maintain": 1, "erase": 1, "merge": 1}.items():
        for seed in range(count):
            company.start(role, seed)
    company.go()
    time.sleep(seconds)
    company.stop()

    written = list(logged(company.folder, "write"))
    gone = {number for number, _ in logged(company.folder, "erase")}
    kept = sorted(number for number, person in written if person not in gone)
    assert len(kept) > 100
    assert gone
    assert sum(1 for _ in logged(company.folder, "read")) >= 2, "the reader looked at it while it moved"
    assert sum(done for done, _ in logged(company.folder, "maintain")) >= 2
    assert numbers_read() == kept
    settle(dt.datetime.now(UTC))
    assert numbers_read() == kept
    assert mark_read() >= kept[-1]
    assert (
        storage_keys() == {file.path for file in files_live()} == set(EventFile.objects.values_list("path", flat=True))
    )
    in_files = [
        row
        for file in files_live()
        for row in pq.read_table(
            store_open().storage.open_local(file.path), columns=["event_no", "identifier_no"], partitioning=None
        ).to_pylist()
    ]
    assert sorted(row["event_no"] for row in in_files) == kept
    assert not gone & {row["identifier_no"] for row in in_files}


@pytest.mark.parametrize("rounds", [5, pytest.param(40, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_upkeep_killed_at_any_moment_loses_and_doubles_nothing(company: Company, rounds: int) -> None:
    rng = random.Random(rounds)
    kept: dict[int, int] = {}
    company.go()
    for round_no in range(rounds):
        company.start("maintain", round_no)
        rows = events_random(rng, 800, now=dt.datetime.now(UTC))
        with transaction.atomic():
            kept |= dict(zip(services.events_append(rows), (row.identifier_no for row in rows), strict=True))
        with transaction.atomic():
            gone = IdentifierNo(rng.choice(list(kept.values())))
            services.identifiers_erase([gone], NOW)
            services.overlay_write([IdentifierNo(n) for n in rng.sample(range(10, 410), 5) if n != gone], ProfileNo(1))
        kept = {number: person for number, person in kept.items() if person != gone}
        time.sleep(rng.random() * 1.5)
        company.kill(f"maintain-{round_no}")
        assert company.complaints() == ""
        # An erased person may have had events in later rounds, which identity would have refused.
        visible = numbers_read()
        assert len(visible) == len(set(visible))
        hidden = {person for number, person in kept.items() if number not in set(visible)}
        assert hidden <= set(erased_people())
        kept = {number: kept[number] for number in visible}
    settle(dt.datetime.now(UTC))
    assert numbers_read() == sorted(kept)
    assert storage_keys() == {file.path for file in files_live()}
    assert [*store_open().storage.staging.rglob("*.tmp")] == []


def erased_people() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT identifier_no FROM cdp_erasedidentifier")
        return [number for (number,) in cursor]


class Crash(BaseException):
    """Ends the work where it stands, like a kill, but for the clean-ups of Python."""


@pytest.mark.parametrize("step", range(0, 60, 4))
def test_a_crash_between_any_two_statements_leaves_the_same_answer(step: int) -> None:
    upkeep_crash(step)


@pytest.mark.long
@pytest.mark.parametrize("step", range(120))
def test_a_crash_between_any_two_statements_leaves_the_same_answer_each(step: int) -> None:
    upkeep_crash(step)


def upkeep_crash(step: int) -> None:
    rows = events_random(random.Random(step), 120)
    for part in range(3):
        with transaction.atomic():
            services.events_append(rows[part * 40 : part * 40 + 40])
        if part < 2:
            services.events_flush(NOW)
    with transaction.atomic():
        services.overlay_write([IdentifierNo(n) for n in range(10, 60)], ProfileNo(77))
        services.identifiers_erase([IdentifierNo(n) for n in range(60, 90)], NOW)
    before = relation_read()
    count = 0

    def crash(execute: object, *arguments: object) -> object:
        nonlocal count
        count += 1
        if count == step:
            raise Crash
        return execute(*arguments)  # type: ignore[operator]

    try:
        with connection.execute_wrapper(crash):
            settle(dt.datetime.now(UTC))
    except Crash:
        pass
    assert relation_read().equals(before)
    settle(dt.datetime.now(UTC))
    assert relation_read().equals(before)
    assert storage_keys() == {file.path for file in files_live()}


def in_thread(work: object) -> threading.Thread:
    """Run ``work`` on a connection of its own."""

    def run() -> None:
        try:
            work()  # type: ignore[operator]
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_cut_waits_for_the_writer_with_the_lower_number() -> None:
    wrote, may_commit = threading.Event(), threading.Event()
    early: list[int] = []

    def slow_writer() -> None:
        with transaction.atomic():
            early.extend(services.events_append([event_make(1)]))
            wrote.set()
            assert may_commit.wait(30)

    writer = in_thread(slow_writer)
    assert wrote.wait(30)
    with pytest.raises(RetryableError), ledger_cut(wait_seconds=0.1):
        pytest.fail("the cut did not wait")
    assert services.outbox_claim("nothing", 1, NOW, 1) == [], "the connection is usable after the refusal"
    flush = in_thread(lambda: services.events_flush(NOW))
    time.sleep(0.2)
    may_commit.set()
    writer.join()
    flush.join()
    assert numbers_read() == early
    assert mark_read() == early[0]


def test_a_snapshot_stays_as_it_was_while_everything_changes() -> None:
    rows = events_random(random.Random(1), 300)
    with transaction.atomic():
        services.events_append(rows[:200])
    services.events_flush(NOW)
    with transaction.atomic():
        services.events_append(rows[200:])
    with events_open() as snapshot, duckdb.connect() as duck:
        snapshot.register(duck)
        before = duck.sql("SELECT * FROM events ORDER BY event_no").to_arrow_table()
        with transaction.atomic():
            services.identifiers_erase([IdentifierNo(n) for n in range(10, 200)], NOW)
            services.overlay_write([IdentifierNo(n) for n in range(200, 300)], ProfileNo(1))
        services.events_flush(NOW)
        services.store_compact(NOW, only_closed=False)
        services.store_sweep(dt.datetime.now(UTC))
        assert duck.sql("SELECT * FROM events ORDER BY event_no").to_arrow_table().equals(before)
    assert not relation_read().equals(before)


def test_guarded_work_is_done_by_one_process() -> None:
    with transaction.atomic():
        services.events_append([event_make(1)])
    results: list[object] = []
    with store_guard(StoreLock.FLUSH) as is_mine:
        assert is_mine
        thread = in_thread(lambda: results.append(services.events_flush(NOW).files))
        thread.join()
    assert results == [0]
    assert services.events_flush(NOW).files == 1


def test_two_requests_with_the_same_messages_add_each_once() -> None:
    added: list[int] = []
    items = [InboxItem(1, f"m-{n}", NOW, b"{}") for n in range(400)]
    threads = [
        in_thread(lambda order=order: added.extend(services.inbox_add(part) for part in order))
        for order in ([items[:200], items[200:]], [items[::-1][:200], items[::-1][200:]], [items[::2], items[1::2]])
    ]
    for thread in threads:
        thread.join()
    assert sum(added) == 400


def test_a_partition_is_not_dropped_under_a_reader() -> None:
    old = NOW - dt.timedelta(days=40)
    with transaction.atomic():
        services.events_append([event_make(1, received_at=old)])
    services.events_flush(NOW)
    results: list[tuple[dt.date, ...]] = []
    with snapshot_transaction() as cursor:
        thread = in_thread(lambda: results.append(services.partitions_upkeep(NOW).kept_unflushed))
        time.sleep(0.3)
        cursor.execute("SELECT count(*) FROM cdp_event")
        assert cursor.fetchone() == (1,)
        thread.join()
    assert results == [(old.date(),)]
    assert services.partitions_upkeep(NOW).dropped == (old.date(),)


def test_a_day_without_a_partition_gets_one_from_whoever_comes_first() -> None:
    far = NOW + dt.timedelta(days=100)

    def append() -> None:
        with transaction.atomic():
            services.events_append([event_make(1, received_at=far)])

    threads = [in_thread(append) for _ in range(4)]
    for thread in threads:
        thread.join()
    assert len(numbers_read()) == 4
