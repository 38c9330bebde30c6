"""How long the importer takes for a file of a million people with three identifiers each, in a database of its own."""

import csv
import datetime as dt
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, sleep

import psycopg
from django.conf import settings

from tests.benchmarks.addresses import database_ensure
from tests.benchmarks.report import Figure
from tests.benchmarks.world import Size

ROOT = Path(__file__).resolve().parents[2]
DATABASE = "cdp_bench_import"


def _file_write(path: Path, people: int) -> None:
    with path.open("w", newline="") as target:
        rows = csv.writer(target)
        rows.writerow(["user_id", "email", "phone", "first_name", "country"])
        rows.writerows(
            (f"u{n}", f"person{n}@example.com", f"+4915{n:09}", f"N{n % 5000}", ("DE", "FR", "US")[n % 3])
            for n in range(1, people + 1)
        )


def _peak_watched(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the end; the highest resident size seen, in kB."""
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status")
        if status.exists():
            peak = max([peak, *(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)])
        sleep(0.2)
    return peak


def measure(size: Size, as_of: dt.datetime) -> Sequence[Figure]:
    """One run of the command as a person starts it, then the rows counted."""
    url = database_ensure(settings.DATABASE_URL, DATABASE, is_new=True)
    with tempfile.TemporaryDirectory(dir=settings.DATA_DIR) as folder:
        environment = {**os.environ, "DATABASE_URL": url, "CDP_DATA_DIR": folder}
        path = Path(folder) / "people.csv"
        _file_write(path, size.profiles)
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
        started = perf_counter()
        process = subprocess.Popen(
            [*manage, "import_file", str(path), "--kind", "profiles", "--source", "bench"],
            cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        peak_mb = _peak_watched(process) / 1024
        seconds = perf_counter() - started
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM cdp_profile), (SELECT count(*) FROM cdp_identifier)"
        ).fetchone()
    if process.returncode or found != (size.profiles, 3 * size.profiles):
        raise AssertionError(f"the import ended with {process.returncode} and {found} people and identifiers")
    scale = size.profiles / 1_000_000
    return [
        Figure(
            f"import of {size.profiles:,} profiles with 3 identifiers each",
            f"{seconds:.0f} s ({size.profiles / seconds:,.0f}/s), peak memory {peak_mb:,.0f} MB",
            f"≤ {90 * scale:.0f} s, ≤ 1.5 GB", "–",
            "reached" if seconds <= 90 * scale and peak_mb <= 1536 else "below", "CSV, new people, traits and identifiers",
        )
    ]  # fmt: skip
