"""Processes that work on one event store at once: ``python -m tests.events_actors FOLDER``, orders on standard input.

Each begins when FOLDER/go appears, works in a loop until FOLDER/stop does, and says what it did in a log of its own there,
only after the commit. The reader checks every answer against those logs: what was logged before it looked must be in
it, unless its person is erased; whoever was erased before it looked must not.
"""

import datetime as dt
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import django
import pyarrow as pa

PEOPLE = 300


def write(rng: random.Random, log: TextIO, folder: Path) -> None:
    """One batch of events in one transaction; logs ``number identifier``."""
    from django.db import transaction

    from cdp.events import services
    from tests.events_samples import events_random

    rows = events_random(rng, rng.choice([1, 20, 200]), now=dt.datetime.now(dt.UTC), people=PEOPLE)
    with transaction.atomic():
        numbers = services.events_append(rows)
        time.sleep(rng.random() / 50)  # numbers are given out and not yet committed
    log.writelines(f"{number} {row.identifier_no}\n" for number, row in zip(numbers, rows, strict=True))


def merge(rng: random.Random, log: TextIO, folder: Path) -> None:
    """Give a few identifiers to another profile."""
    from django.db import transaction

    from cdp.core.ids import IdentifierNo, ProfileNo
    from cdp.events import services

    with transaction.atomic():
        moved = [IdentifierNo(number) for number in rng.sample(range(10, PEOPLE * 10), 3)]
        services.overlay_write(moved, ProfileNo(rng.randrange(1, PEOPLE)))
    log.write("1 0\n")
    time.sleep(0.05)


def erase(rng: random.Random, log: TextIO, folder: Path) -> None:
    """Erase one person's identifier, then take all tombstones into the files; logs ``identifier 0``."""
    from django.db import transaction

    from cdp.core.ids import IdentifierNo
    from cdp.events import services

    now = dt.datetime.now(dt.UTC)
    gone = IdentifierNo(rng.randrange(10, PEOPLE * 10))
    with transaction.atomic():
        services.identifiers_erase([gone], now)
    log.write(f"{gone} 0\n")
    log.flush()
    services.store_rewrite_erased(now)


def maintain(rng: random.Random, log: TextIO, folder: Path) -> None:
    """One job of upkeep at a time, in any order."""
    from cdp.core.errors import RetryableError
    from cdp.events import services

    now = dt.datetime.now(dt.UTC)
    jobs: list[Callable[[], object]] = [
        lambda: services.events_flush(now, rows_per_file=rng.choice([100, 500_000])),
        lambda: services.events_flush(now),
        lambda: services.store_compact(now),
        lambda: services.store_compact(now, only_closed=False),
        lambda: services.store_fold_overlay(),
        lambda: services.store_rewrite_erased(now),
        lambda: services.store_sweep(now, replaced_grace=dt.timedelta(minutes=2)),
    ]
    try:
        rng.choice(jobs)()
    except RetryableError:
        log.write("0 0\n")  # a writer kept the ledger: the next tick tries again
    log.write("1 0\n")


def read(rng: random.Random, log: TextIO, folder: Path) -> None:
    """Look once and check; raises AssertionError naming what is missing, double or still there."""
    import duckdb

    from cdp.events.reader import events_open

    written = {number: person for number, person in logged(folder, "write")}
    gone_before = {number for number, _ in logged(folder, "erase")}
    with events_open() as snapshot, duckdb.connect() as duck:
        snapshot.register(duck)
        rows = duck.sql("SELECT event_no, identifier_no FROM events").fetchall()
    gone_after = {number for number, _ in logged(folder, "erase")}
    seen = dict(rows)
    assert len(seen) == len(rows), f"{len(rows) - len(seen)} events were seen twice"
    # The eraser logs after its commit: whoever is missing may have been erased and not logged yet.
    missing = {written[number] for number in written.keys() - seen.keys()} - gone_after
    assert len(missing) <= 1, f"events of {len(missing)} people are missing"
    if missing:
        time.sleep(1)
        assert missing <= {number for number, _ in logged(folder, "erase")}, "events are missing"
    assert not gone_before & set(seen.values()), "an erased person was seen"
    log.write(f"{len(rows)} 0\n")


def logged(folder: Path, role: str) -> Iterator[tuple[int, int]]:
    """Whole lines of all logs of a role so far."""
    for path in folder.glob(f"{role}-*.log"):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                first, second = line.split()
                yield int(first), int(second)


ROLES = {"write": write, "merge": merge, "erase": erase, "maintain": maintain, "read": read}


def work(role: str, seed: int, folder: Path) -> None:
    """The life of one process."""
    rng = random.Random(f"{role} {seed}")
    with (folder / f"{role}-{seed}.log").open("a") as log:
        (folder / f"{role}-{seed}.ready").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
        while not (folder / "stop").exists():
            ROLES[role](rng, log, folder)
            log.flush()


def fork(role: str, seed: int, folder: Path) -> int:
    """Number of a new process; what it complains of goes to a file."""
    process = os.fork()
    if process:
        return process
    with (folder / f"{role}-{seed}.err").open("w") as errors:
        os.dup2(errors.fileno(), 2)
        try:
            work(role, seed, folder)
        except BaseException:  # noqa: BLE001 - the test reads it
            traceback.print_exc(file=errors)
            errors.flush()
            os._exit(1)
    os._exit(0)


def main() -> None:
    """Fork on demand: ``start ROLE SEED`` answers with a process number, ``wait NUMBER`` with its exit status."""
    django.setup()
    from cdp.events import reader, services  # noqa: F401 - imported once for all

    pa.array([1])
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        match line.split():
            case ["start", role, seed]:
                answer = fork(role, int(seed), folder)
            case ["wait", process]:
                answer = os.waitstatus_to_exitcode(os.waitpid(int(process), 0)[1])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
