"""The closing table of the demo: what came in, what was computed, who was sent. Every number is read from the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db import connection
from django.db.models import Count, Sum

from cdp.collect.models import ImportRun, Source
from cdp.consent.models import ConsentState
from cdp.events.models import Order
from cdp.profiles.models import ComputedTraits, Profile
from segments.activation.models import AudienceTarget, SentEntry, Sync
from segments.computed_traits.models import ModelRun
from segments.definition.models import Segment
from segments.demo.purchases import cdnow_path

TAKEN_OFF = (
    ("consent", "no consent"),
    ("suppressed", "suppressed"),
    ("held_out", "held out"),
    ("identifier", "no address"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the table; ``rows`` are ready to print, numbers to the right."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def closing_sections() -> Iterator[Section]:
    """All parts in the order of the flow."""
    yield imported()
    yield rfm_cells()
    yield from model_cards()
    yield groups()
    yield segment_members()
    yield syncs()


def count(number: int | float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"


def purchase_lines(path: Path) -> int:
    """Purchases in the source file itself, its heading left out."""
    return path.read_bytes().count(b"\n") - 1


def imported() -> Section:
    """What the files held against what is stored."""
    source_nos = Source.objects.filter(key="cdnow").values("source_no")
    stored = Order.objects.filter(source_no__in=source_nos).count()
    in_file = purchase_lines(cdnow_path())
    people = Profile.objects.filter(merged_into_no=None, erased_at=None).count()
    rejected = ImportRun.objects.aggregate(n=Sum("rejected"))["n"] or 0
    granted = ConsentState.objects.filter(state="granted").values("purpose__title").annotate(n=Count("pk"))
    shares = ", ".join(
        f"{g['purpose__title'].lower()} {g['n'] / people:.0%}" for g in granted.order_by("purpose__position")
    )
    rows = [
        ("people", count(people)),
        ("purchase rows imported", count(stored)),
        ("purchase rows lost", count(in_file - stored)),
        ("rows rejected, all files", count(rejected)),
    ]
    return Section("Imported", ("", "rows"), rows, f"Made-up consent, granted: {shares}")


def rfm_cells() -> Section:
    """People by days since the last order (r) and days with an order (f), each 1 to 5."""
    found = ComputedTraits.objects.filter(group="rfm").values_list("values__cell").annotate(n=Count("pk"))
    sizes = {str(cell): n for cell, n in found}
    rows = [
        (
            f"r {r}",
            *(count(sizes.get(f"{r}{f}", 0)) for f in range(1, 6)),
            count(sum(sizes.get(f"{r}{f}", 0) for f in range(1, 6))),
        )
        for r in range(5, 0, -1)
    ]
    return Section(
        "RFM: people by cell",
        ("", "f 1", "f 2", "f 3", "f 4", "f 5", "sum"),
        rows,
        f"{count(sum(sizes.values()))} people in all; 5 is best",
    )


def latest_run(group: str) -> ModelRun | None:
    return ModelRun.objects.filter(group=group).exclude(state="running").order_by("-run_no").first()


def measure_value(value: float, unit: str) -> str:
    return f"{value:.2f}" if unit in {"currency", "ratio"} else f"{value:.{3 if abs(value) >= 0.1 else 4}f}"


def model_cards() -> Iterator[Section]:
    """Report cards of the two models, each beside two simple guesses on days that the model had not seen."""
    for group, title in (("ltv", "Predicted value"), ("intent", "Intent to buy in 90 days")):
        run = latest_run(group)
        if run is None:
            continue
        report = run.report
        names = [str(b["title"]) for b in report.get("baselines", [])]
        rows = [
            (
                str(m["title"]),
                measure_value(m["model"], m["unit"]),
                *(measure_value(b, m["unit"]) if b is not None else "-" for b in m["baselines"]),
                str(m["reading"]),
            )
            for m in report.get("measures", [])
        ]
        note = run.reason or str(report.get("headline", ""))
        yield Section(f"{title}: report card, {run.state}", ("held out", "model", *names, "verdict"), rows, note)


def groups() -> Section:
    """Clusters by size, with the names read off their centres."""
    run = latest_run("cluster")
    names = {g["id"]: g["name"] for g in (run.report.get("groups", []) if run else [])}
    found = ComputedTraits.objects.filter(group="cluster").values_list("values__id").annotate(n=Count("pk"))
    rows = [(str(names.get(key, key)), count(n)) for key, n in sorted(found, key=lambda pair: -pair[1])]
    return Section("Groups of buyers", ("", "people"), rows, str(run.report.get("headline", "")) if run else "")


def segment_members() -> Section:
    """Members per segment: the rows themselves are counted, not the stored size."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT segment_no, count(*) FROM segments_membership WHERE exited_at IS NULL GROUP BY 1")
        members = dict(cursor.fetchall())
    rows = [(s.title, count(members.get(s.segment_no, 0))) for s in Segment.objects.order_by("title")]
    return Section("Segments", ("", "members"), rows)


def syncs() -> Section:
    """Per audience and network: members, what was taken off and why, what was sent, what the second sync sent."""
    rows = []
    for target in AudienceTarget.objects.select_related("audience", "connection").order_by("target_no"):
        runs = list(Sync.objects.filter(target=target, lane="regular").order_by("sync_no"))
        if not runs:
            continue
        first, last = runs[0], runs[-1]
        on_list = SentEntry.objects.filter(target_no=target.target_no, is_on_list=True).count()
        off = [count(first.reach.get(key, 0)) for key, _ in TAKEN_OFF]
        second = count(last.accepted) if last is not first else "-"
        name = f"{target.audience.title} → {target.connection.title}"
        rows.append((name, count(first.reach.get("members")), *off, count(first.accepted), count(on_list), second))
    heads = ("", "members", *(f"- {title}" for _, title in TAKEN_OFF), "sent", "on the list", "last sync sent")
    return Section("Audiences at the ad-network sandbox", heads, rows)
