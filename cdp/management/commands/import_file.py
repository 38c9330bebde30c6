"""Bring a file of people, orders, events or consents in."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cdp.collect.files.mapping import KINDS
from cdp.collect.importing import ImportPlan
from cdp.collect.services import ImportProgress, ImportSummary, import_plan, import_run, import_try
from cdp.core.errors import RejectedError, RetryableError
from cdp.core.time import utc_now

PLAIN_LINE_ROWS = 50_000


class Command(BaseCommand):
    help = (
        "Import a CSV, JSON lines or Parquet file. Safe to repeat; killed, the same command goes on where it stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--kind", required=True, choices=KINDS, help="What a row is.")
        parser.add_argument(
            "--mapping", type=Path, help="JSON that names columns, date format, decimal comma, currency."
        )
        parser.add_argument("--source", default="", help="Whose rows these are; without it the file's name says it.")
        parser.add_argument("--dry-run", action="store_true", help="Read everything, store nothing, tell the counts.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["path"]
        try:
            plan = import_plan(path, options["kind"], mapping_read(options["mapping"]))
            self.explain(plan)
            if options["dry_run"]:
                self.stdout.write(self.table(import_try(plan, utc_now())))
                self.stdout.write("Dry run: nothing was stored. Duplicates show only when storing.")
                return
            with self.progress(plan) as on_progress:
                summary = import_run(plan, options["source"] or path.stem, utc_now(), on_progress)
        except RejectedError as error:
            raise CommandError(error.message) from error
        except RetryableError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. What is in stays in; run the same command again and it goes on.") from None
        self.conclude(summary)

    def explain(self, plan: ImportPlan) -> None:
        """How the file was understood, before anything happens."""
        self.stdout.write(f"{plan.path.name}: {plan.kind}, {plan.table.format}")
        for line in (*plan.table.remarks, *plan.mapping.lines(plan.table.columns)):
            self.stdout.write(f"  {line}")

    def conclude(self, summary: ImportSummary) -> None:
        if summary.resumed_at_line:
            self.stdout.write(f"Went on after line {summary.resumed_at_line:,} of an interrupted run.")
        self.stdout.write(self.table(summary.progress, summary.seconds))
        if summary.rejects_path:
            self.stdout.write(f"Refused rows with line and reason: {summary.rejects_path}")

    def table(self, progress: ImportProgress, seconds: float | None = None) -> str:
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column()
        table.add_column(justify="right")
        table.add_row("accepted", f"{progress.accepted:,}")
        if progress.partly:
            table.add_row("  of which with a cell left out", f"{progress.partly:,}")
        table.add_row("duplicates", f"{progress.duplicates:,}")
        table.add_row("rejected", f"{progress.rejected:,}")
        if seconds is not None:
            table.add_row("seconds", f"{seconds:.1f}")
        console = Console(width=60, color_system=None)
        with console.capture() as captured:
            console.print(table)
        return captured.get().rstrip()

    @contextmanager
    def progress(self, plan: ImportPlan) -> Iterator[Callable[[ImportProgress], None]]:
        """A bar for people, a line now and then for logs."""
        total = plan.table.rows_total or lines_count(plan.path)
        if not sys.stderr.isatty():
            yield self.plain_progress
            return
        console = Console(stderr=True)
        columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("lines"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda progress: bar.update(task, completed=progress.line)

    def plain_progress(self, progress: ImportProgress) -> None:
        before = getattr(self, "_told_line", 0)
        if progress.line - before >= PLAIN_LINE_ROWS:
            self._told_line = progress.line
            self.stdout.write(f"line {progress.line:,}: {progress.accepted:,} accepted, {progress.rejected:,} rejected")
            self.stdout.flush()


def mapping_read(path: Path | None) -> dict[str, Any] | None:
    """The mapping file's content. Raises RejectedError when there is none or it is no JSON."""
    if path is None:
        return None
    try:
        found = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise RejectedError(f"There is no mapping file {path}.", code="mapping", field="mapping") from error
    except msgspec.DecodeError as error:
        raise RejectedError(f"{path.name} is not JSON: {error}.", code="mapping", field="mapping") from error
    if not isinstance(found, dict):
        raise RejectedError("The mapping file holds a JSON object.", code="mapping", field="mapping")
    return found


def lines_count(path: Path) -> int:
    """Line ends of a file, a block at a time."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
