"""What a measurement says, and how docs/benchmarks.md shows it."""

import datetime as dt
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

PATH = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured line: ``reach`` is the design's figure, ``peer`` what the raw engine or peer did in the same run."""

    what: str
    measured: str
    reach: str
    peer: str
    verdict: str
    note: str = ""


def seconds_median(work: Callable[[], object], *, runs: int = 5, warm: int = 1) -> float:
    """Median wall seconds of ``runs`` calls after ``warm`` unmeasured ones."""
    for _ in range(warm):
        work()
    taken = []
    for _ in range(runs):
        started = perf_counter()
        work()
        taken.append(perf_counter() - started)
    return statistics.median(taken)


def machine_line() -> str:
    """Cores, memory, Python, how busy the machine was, and date of this run."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return (
        f"{os.cpu_count()} cores ({model}), {pages * size / 2**30:.0f} GB, Python {platform.python_version()}, "
        f"load average {os.getloadavg()[0]:.1f}, {dt.datetime.now(dt.UTC):%Y-%m-%d}"
    )


def markdown(sections: dict[str, Sequence[Figure]]) -> str:
    """The whole page: one table a section, what is missing named by its verdict."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `./run bench`; medians unless said, warm caches, load generators on the same cores.",
        "",
        f"Machine of the last run: {machine_line()}.",
        "",
    ]
    for title, figures in sections.items():
        lines += [
            f"## {title}",
            "",
            "| what | measured | reach | peer or raw engine in the same run | verdict | note |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        lines += [f"| {f.what} | {f.measured} | {f.reach} | {f.peer} | {f.verdict} | {f.note} |" for f in figures]
        lines.append("")
    return "\n".join(lines)
