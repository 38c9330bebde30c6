"""Which measurements there are, in which order they run, and where their results are kept between runs."""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from time import perf_counter

from django.conf import settings

from tests.benchmarks import collecting, counting, erasing, importing, reading, refreshing, syncing
from tests.benchmarks.report import PATH, Figure, markdown
from tests.benchmarks.world import Size, world_build

AS_OF = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
FULL, SMALL = Size(1_000_000, 20_000_000), Size(20_000, 400_000)
Measure = Callable[[Size, dt.datetime], Sequence[Figure]]
MEASURES: dict[str, tuple[str, Measure]] = {
    "collect": ("Collect", collecting.measure),
    "read": ("Profile read", reading.measure),
    "count": ("Live count", counting.measure),
    "membership": ("Membership write", counting.measure_membership),
    "refresh": ("RFM and LTV refresh", refreshing.measure),
    "sync": ("Audience sync", syncing.measure),
    "import": ("Import", importing.measure),
    "erase": ("Erasure", erasing.measure),
}
MISSING = (
    Figure("event → profile, consent and membership visible", "not measured yet", "p95 ≤ 2 s under 1,000 events/s", "–", "missing"),
)  # fmt: skip


def run(*, small: bool, names: Sequence[str]) -> int:
    """Run the named measurements (all without names); results of earlier runs stay in the page until measured again."""
    size = SMALL if small else FULL
    kept_path = settings.DATA_DIR / "figures.json"
    kept = json.loads(kept_path.read_text()) if kept_path.exists() else {}
    started = perf_counter()
    world_build(size, AS_OF)
    print(f"company of {size.profiles:,} people and {size.events:,} events ready in {perf_counter() - started:.0f} s")  # noqa: T201
    for name in names or MEASURES:
        title, measure = MEASURES[name]
        figures = [asdict(figure) for figure in measure(size, AS_OF)]
        kept[title] = figures
        kept_path.write_text(json.dumps(kept))
        for figure in figures:
            print(  # noqa: T201
                f"{figure['what']}: {figure['measured']} (reach {figure['reach']}; {figure['peer']}) {figure['verdict']}"
            )
    if not small:
        sections = {title: [Figure(**f) for f in kept[title]] for title, _ in MEASURES.values() if title in kept}
        unmeasured = [
            Figure(title, "not measured yet", "–", "–", "missing", f"./run bench {name}")
            for name, (title, _) in MEASURES.items()
            if title not in kept
        ]
        PATH.write_text(markdown({**sections, "Not measured yet": [*MISSING, *unmeasured]}), encoding="utf-8")
    return 0
