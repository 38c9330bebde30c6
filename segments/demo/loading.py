"""Bring the demo's files in through the public importer, as any shop would. Done already is seen in the database, not in a flag."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Max

from cdp.collect.files.mapping import Kind
from cdp.collect.models import ImportRun, Source
from cdp.collect.services import ImportProgress, import_plan, import_run, source_create
from cdp.events.models import Order
from segments.demo.people import consents_write, people_invent, profiles_write
from segments.demo.purchases import LAST_DAY, Purchase, cdnow_path, days_moved, orders_write, purchases_read
from segments.demo.visits import visits_write

SEED = 1998
type OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class DemoFile:
    """One file of the demo and where its rows belong."""

    name: str
    kind: Kind
    source: str
    title: str


FILES = (
    DemoFile("orders.csv", "orders", "cdnow", "purchases (real, CDNOW 1997-98, dates moved)"),
    DemoFile("profiles.csv", "profiles", "demo-people", "people (addresses made up)"),
    DemoFile("consents.csv", "consents", "demo-people", "consents (made up)"),
    DemoFile("visits.jsonl", "events", "demo-shop", "visits of the last 30 days (made up)"),
)
SOURCES = (
    ("cdnow", "CDNOW purchases 1997-98, dates moved", "file", False),
    ("demo-people", "Made-up people and consents", "file", True),
    ("demo-shop", "Made-up shop visits", "web", True),
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one file brought; ``is_new`` is false when an earlier start had imported it."""

    file: DemoFile
    rows: int
    rejected: int
    seconds: float
    is_new: bool


def sources_ensure() -> None:
    """The three sources, two of them marked as made up."""
    for key, title, kind, is_made_up in SOURCES:
        if not Source.objects.filter(key=key).exists():
            source_create(key, title, kind, actor="demo", is_made_up=is_made_up)


def moved_days(today: dt.date) -> int:
    """By how many days the dates are moved: as at the first start, read back from the last stored purchase."""
    last = Order.objects.filter(
        source_no__in=Source.objects.filter(key="cdnow").values("source_no"), order_id__startswith="cdnow-"
    ).aggregate(last=Max("ordered_at"))["last"]
    whole = ImportRun.objects.filter(source__key="cdnow", kind="orders", state="done").exists()
    return (last.date() - LAST_DAY).days if last and whole else days_moved(today)


def files_write(folder: Path, moved: int) -> None:
    """The four files, made anew: the same bytes for the same ``moved``."""
    folder.mkdir(parents=True, exist_ok=True)
    purchases = list(purchases_read(cdnow_path()))
    first, last = days_of(purchases, moved)
    people = people_invent(first, SEED)
    orders_write(iter(purchases), folder / "orders.csv", moved)
    profiles_write(people, folder / "profiles.csv")
    consents_write(people, folder / "consents.csv", SEED + 1)
    visits_write(last, folder / "visits.jsonl", LAST_DAY + dt.timedelta(days=moved + 1), SEED + 2)


def days_of(purchases: list[Purchase], moved: int) -> tuple[dict[str, dt.date], dict[str, dt.date]]:
    """First and last moved day of purchase per person."""
    first: dict[str, dt.date] = {}
    last: dict[str, dt.date] = {}
    for purchase in purchases:
        day = purchase.day + dt.timedelta(days=moved)
        first[purchase.person] = min(first.get(purchase.person, day), day)
        last[purchase.person] = max(last.get(purchase.person, day), day)
    return first, last


def files_load(folder: Path, now: dt.datetime, on_progress: OnProgress) -> Iterator[Loaded]:
    """Import what is not in yet; goes on where a killed start stopped. Yields one result a file, in order."""
    sources_ensure()
    written = False
    for file in FILES:
        done = (
            ImportRun.objects.filter(source__key=file.source, kind=file.kind, state="done").order_by("run_no").first()
        )
        if done:
            yield Loaded(file, done.accepted, done.rejected, 0.0, is_new=False)
            continue
        if not written:
            files_write(folder, moved_days(now.date()))
            written = True
        plan = import_plan(folder / file.name, file.kind)
        rows = _rows_of(folder / file.name, file.kind)

        def tell(progress: ImportProgress, title: str = file.title, total: int = rows) -> None:
            on_progress(title, progress.line, total)

        summary = import_run(plan, file.source, now, tell)
        yield Loaded(file, summary.progress.accepted, summary.progress.rejected, summary.seconds, is_new=True)


def _rows_of(path: Path, kind: Kind) -> int:
    with path.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    return lines - (kind != "events")
