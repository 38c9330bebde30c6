"""What the audience pages show: last outcomes, the waterfall, the stopped run, outcomes of a week, receipts."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Sum

from cdp.profiles.models import Profile
from cdp.screen.remember import remembered
from segments.activation.bitmaps import bitmap_load
from segments.activation.models import AudienceTarget, RemovalReceipt, Sync, SyncOutcome
from segments.activation.selectors import on_list_counts

BIG_TABLE_SECONDS = 10.0
PEOPLE_SHOWN = 20


@dataclass(frozen=True, slots=True)
class SyncLine:
    """One list with its last run."""

    target: AudienceTarget
    last: Sync | None
    on_list: int


def sync_lines(now: dt.datetime, limit: int | None = None) -> list[SyncLine]:
    """Every list with its last run and its size: stopped ones first, then newest first. Three statements."""
    targets = list(AudienceTarget.objects.select_related("audience__segment", "connection"))
    last = {
        run.target_id: run
        for run in Sync.objects.filter(lane="regular").order_by("target_id", "-sync_no").distinct("target_id")
    }
    numbers = [target.target_no for target in targets]
    on_list = remembered("audiences.on_list", BIG_TABLE_SECONDS, now, lambda: on_list_counts(numbers)).value
    lines = [SyncLine(t, last.get(t.target_no), on_list.get(t.target_no, 0)) for t in targets]
    lines.sort(key=lambda line: line.last.sync_no if line.last else 0, reverse=True)
    lines.sort(key=lambda line: line.last is None or line.last.state != "stopped")
    return lines[:limit]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the waterfall: who is left, who was lost, as shares of the members."""

    title: str
    left: int
    lost: int
    left_share: float
    lost_share: float


STEPS = (
    ("members", "Members"),
    ("held_out", "Without holdout"),
    ("consent", "Consent granted"),
    ("suppressed", "Not suppressed"),
    ("identifier", "Usable address"),
)


def waterfall(reach: Mapping[str, int]) -> tuple[Step, ...]:
    """From segment to list: members first, then what each step leaves."""
    members = int(reach.get("members", 0))
    steps: list[Step] = []
    before = members
    for key, title in STEPS:
        if key not in reach:
            continue
        left = members if key == "members" else before - int(reach[key])
        whole = members or 1
        steps.append(Step(title, left, before - left, left / whole, (before - left) / whole))
        before = left
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class Split:
    """A stopped run as two bars: who stays, who would leave, who would join; widths as shares of the longer bar."""

    stay: int
    leave: int
    join: int
    sent_width: float
    wanted_width: float
    stay_of_sent: float
    stay_of_wanted: float


def split_picture(sync: Sync) -> Split:
    """What is on the list against what is wanted."""
    stay = max(sync.on_list_before - sync.to_remove, 0)
    wanted, longest = stay + sync.to_add, max(sync.on_list_before, stay + sync.to_add, 1)
    return Split(
        stay,
        sync.to_remove,
        sync.to_add,
        sync.on_list_before / longest,
        wanted / longest,
        stay / (sync.on_list_before or 1),
        stay / (wanted or 1),
    )


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    outcome: str
    code: str
    count: int
    share: float


def outcomes_of_week(target_no: int, now: dt.datetime) -> list[OutcomeLine]:
    """Rows by outcome and reason over the last 7 days, most first."""
    found = (
        SyncOutcome.objects.filter(sync__target_id=target_no, sync__started_at__gte=now - dt.timedelta(days=7))
        .values("outcome", "code")
        .annotate(rows=Sum("count"))
        .order_by("-rows")
    )
    total = sum(line["rows"] for line in found) or 1
    return [OutcomeLine(line["outcome"], line["code"], line["rows"], line["rows"] / total) for line in found]


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    receipt: RemovalReceipt
    profile_id: str
    state: str
    tone: str
    took_seconds: float
    share: float
    """Of the promised 24 hours."""


PROMISE_SECONDS = 24 * 3600.0


def receipt_lines(receipts: Sequence[RemovalReceipt], now: dt.datetime) -> list[ReceiptLine]:
    """Opt-out removals with who, how far and how long."""
    found = Profile.objects.filter(profile_no__in=[r.profile_no for r in receipts])
    ids = {no: str(profile_id) for no, profile_id in found.values_list("profile_no", "profile_id")}
    lines = []
    for receipt in receipts:
        took = ((receipt.confirmed_at or now) - receipt.received_at).total_seconds()
        state, tone = receipt_state(receipt)
        lines.append(
            ReceiptLine(receipt, ids.get(receipt.profile_no, ""), state, tone, took, min(took / PROMISE_SECONDS, 1.0))
        )
    return lines


def receipt_state(receipt: RemovalReceipt) -> tuple[str, str]:
    """(words, tone)."""
    if receipt.confirmed_at is not None:
        return "Confirmed", "ok"
    if receipt.attempts > 1:
        return f"Try {receipt.attempts}", "warn"
    return ("Sent, waiting", "") if receipt.sent_at else ("Queued", "")


def receipts_open(now: dt.datetime, limit: int) -> list[ReceiptLine]:
    """Withdrawals that a network has not confirmed, oldest first."""
    return receipt_lines(
        list(
            RemovalReceipt.objects.filter(confirmed_at=None)
            .select_related("target__connection")
            .order_by("received_at")[:limit]
        ),
        now,
    )


def people_of_outcomes(outcomes: Sequence[SyncOutcome]) -> list[int]:
    """The first people that a network named as refused, or that the gate dropped."""
    numbers: list[int] = []
    for outcome in outcomes:
        if outcome.profile_nos is not None:
            numbers += bitmap_load(outcome.profile_nos)[: PEOPLE_SHOWN - len(numbers)]
        if len(numbers) >= PEOPLE_SHOWN:
            break
    return numbers
