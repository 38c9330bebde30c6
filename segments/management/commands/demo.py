"""``manage.py demo``: real purchases to a synced audience, then the closing table. ``./run demo`` starts what it needs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cdp.core.errors import NeedsHumanError, RejectedError, RetryableError
from cdp.core.time import utc_now
from segments.activation.models import AudienceTarget
from segments.demo.closing import closing_sections
from segments.demo.loading import OnProgress, files_load
from segments.demo.showing import console_open, sections_show
from segments.demo.steps import (
    DemoError,
    audiences_ensure,
    events_to_files,
    login_ensure,
    segments_step,
    sync_step,
    traits_step,
)

ADVICE = "Next: ./run doctor, then ./run demo again; it goes on where it stopped."


class Command(BaseCommand):
    """Prints one line a step. Safe to repeat and to kill."""

    help = "Load the demo, compute, segment, sync twice to the sandbox, and print the closing table."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sandbox-url", required=True, help="Where `manage.py sandbox` answers.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.console = console_open()
        try:
            self.load()
            self.step("event files", lambda: events_to_files(utc_now()))
            self.step("traits", lambda: traits_step(utc_now()))
            self.step("segments", lambda: segments_step(utc_now()))
            self.sync(options["sandbox_url"].rstrip("/"))
        except (DemoError, RejectedError, NeedsHumanError, RetryableError) as error:
            raise CommandError(f"{error}\n{ADVICE}") from error
        login_ensure(Path(settings.DATA_DIR) / "demo-login.txt")
        self.console.print()
        sections_show(self.console, closing_sections())

    def load(self) -> None:
        """The four files, with a bar where somebody watches."""
        with progress(self.console) as on_progress:
            for loaded in files_load(Path(settings.DATA_DIR) / "demo", utc_now(), on_progress):
                done = f"{loaded.seconds:.1f} s" if loaded.is_new else "imported before"
                refused = f", {loaded.rejected:,} refused" if loaded.rejected else ""
                self.say(loaded.file.kind, f"{loaded.rows:,} {loaded.file.title}{refused}", done)

    def sync(self, sandbox_url: str) -> None:
        """Each target until the network has acknowledged, then once more: the second run has nothing to send."""
        for target in audiences_ensure(sandbox_url):
            if not target.syncs.exists():
                self.step("sync", partial(sync_once, target))
            self.step("sync again", partial(sync_once, target))

    def step(self, title: str, work: Callable[[], str]) -> None:
        begun = time.monotonic()
        self.say(title, work(), f"{time.monotonic() - begun:.1f} s")

    def say(self, title: str, text: str, done: str) -> None:
        self.console.print(f"{title:<12} {text}  [dim]{done}[/dim]", highlight=False)


def sync_once(target: AudienceTarget) -> str:
    """Run, and say ``Win back high value → Meta: sent 1,234, refused 0``."""
    sync = sync_step(target)
    return f"{target}: sent {sync.accepted:,}, refused {sync.rejected:,}"


@contextmanager
def progress(console: Console) -> Iterator[OnProgress]:
    """A bar on a terminal, nothing elsewhere."""
    if not console.is_terminal:
        yield lambda _title, _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def tell(title: str, done: int, total: int) -> None:
            if title not in tasks:
                tasks[title] = bar.add_task(title, total=total)
            bar.update(tasks[title], completed=min(done, total), visible=done < total)

        yield tell
