"""What stands in the frame of every page: is a worker alive, up to when are the data, what waits for somebody."""

import datetime as dt
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils import timezone
from unfold.dataclasses import SearchResult

from cdp.access.models import Heartbeat
from cdp.core.time import utc_now
from cdp.events.models import InboxEvent, OutboxMessage
from cdp.screen.page import staff_page
from cdp.screen.words import counted
from segments.activation.models import AudienceTarget, RemovalReceipt, Sync
from segments.definition.models import Segment

STALE_SECONDS = 60
COUNT_LIMIT = 100_000  # the banner needs no exact count beyond this


@dataclass(frozen=True, slots=True)
class Shell:
    """Facts of the frame. ``badges``: menu key → (text, tone, full words)."""

    is_demo: bool
    is_live: bool
    worker_at: dt.datetime | None
    data_until: dt.datetime | None
    jobs_waiting: int = 0
    removals_waiting: int = 0
    badges: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    @property
    def mark_text(self) -> str:
        """Live · data up to 14:02:11. Data are up to the oldest call that still waits, else to the worker's last sign."""
        if self.data_until is None:
            return "No data yet" if self.worker_at is None else "Live"
        word = "Live" if self.is_live else "Stopped"
        local = timezone.localtime(self.data_until)
        text = f"{local:%H:%M:%S}" if local.date() == timezone.localdate() else f"{local:%d %b %Y, %H:%M}"
        return f"{word} · data up to {text}"


def shell_read(now: dt.datetime) -> Shell:
    """Three or four small queries; the counts of what waits are asked for only while no worker lives."""
    worker_at = Heartbeat.objects.filter(process="worker").values_list("at", flat=True).first()
    is_live = worker_at is not None and (now - worker_at).total_seconds() < STALE_SECONDS
    oldest = InboxEvent.objects.order_by("inbox_no").values_list("received_at", flat=True).first()
    segments, stopped = Segment.objects.exclude(state="archived").count(), Sync.objects.filter(state="stopped").count()
    badges: dict[str, tuple[str, str, str]] = {}
    if segments:
        badges["segments"] = (str(segments), "", counted(segments, "segment", "segments"))
    if stopped:
        badges["audiences"] = (f"{stopped} stopped", "bad", f"{counted(stopped, 'run', 'runs')} stopped before sending")
    return Shell(
        is_demo=settings.CONFIG.cdp_demo,
        is_live=is_live,
        worker_at=worker_at,
        data_until=oldest or worker_at,
        jobs_waiting=0 if is_live else _jobs_waiting(),
        removals_waiting=0 if is_live else RemovalReceipt.objects.filter(confirmed_at=None).count(),
        badges=badges,
    )


def _jobs_waiting() -> int:
    inbox = InboxEvent._meta.db_table
    outbox = OutboxMessage._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT (SELECT count(*) FROM (SELECT 1 FROM {inbox} LIMIT %(limit)s) AS a)"  # noqa: S608 - table names of models
            f" + (SELECT count(*) FROM (SELECT 1 FROM {outbox} WHERE done_at IS NULL LIMIT %(limit)s) AS b)",
            {"limit": COUNT_LIMIT},
        )
        row = cursor.fetchone()
    return int(row[0])


def shell_context(request: HttpRequest) -> dict[str, object]:
    """Unfold's global callback: the frame's facts for staff, nothing for the log-in page."""
    user = getattr(request, "user", None)
    return {"shell": shell_read(utc_now())} if user is not None and user.is_active and user.is_staff else {}


@staff_page("cdp.view_profile")
def live_page(request: HttpRequest) -> HttpResponseBase:
    """The mark in the top bar, asked for every 15 s by an open page."""
    shell = shell_read(utc_now())
    return JsonResponse({"text": shell.mark_text, "is_live": shell.is_live})


def palette_search(request: HttpRequest, term: str) -> list[SearchResult]:
    """Ctrl K: pages, segments and audiences by title. People are not searched here: the text stands in an address."""
    pages = [
        ("Overview", "admin:index"), ("Segments", "page:segments"), ("New segment", "page:segment_new"),
        ("People", "page:people"), ("Audiences", "page:audiences"), ("Models", "page:models"),
        ("Consent & privacy", "page:consent"), ("Read a signal", "page:signals"), ("Identity", "page:identity"),
        ("Data sources", "page:sources"), ("Destinations", "page:destinations"), ("Settings", "page:settings"),
    ]  # fmt: skip
    found = [SearchResult(title, "Page", reverse(name), "web") for title, name in pages if term in title.lower()]
    user = request.user
    if user.has_perm("segments.view_segment"):
        rows = Segment.objects.exclude(state="archived").filter(title__icontains=term).order_by("title")[:8]
        found += [SearchResult(s.title, "Segment", reverse("page:segment", args=[s.key]), "filter_alt") for s in rows]
    if user.has_perm("segments.view_audiencetarget"):
        targets = AudienceTarget.objects.filter(audience__title__icontains=term).select_related(
            "audience", "connection"
        )
        found += [
            SearchResult(str(t), "Audience", reverse("page:target", args=[t.target_no]), "sync") for t in targets[:8]
        ]
    return found
