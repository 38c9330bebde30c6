"""Bring the event files into their final shape now, instead of waiting for the ticks."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from cdp.core.time import utc_now
from cdp.events import services

__all__ = ["Command"]


class Command(BaseCommand):
    """Flush, erase, fold, compact, sweep: all that upkeep does, at once and to the end."""

    help = "Write waiting events to files, remove erased people from them, and compact closed months."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--open-month", action="store_true", help="Compact the current month too.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = utc_now()
        flushed = services.events_flush(now)
        erased = services.store_rewrite_erased(now)
        folded = services.store_fold_overlay()
        compacted = services.store_compact(now, only_closed=not options["open_month"])
        projected = services.store_project_properties()
        swept = services.store_sweep(now)
        lines = {
            "events written to files": flushed.rows,
            "values of the wrong type left out": sum(flushed.bad_values.values()),
            "files rewritten without erased people": erased.rewritten,
            "files rewritten for re-identified people": folded.rewritten,
            "files compacted": f"{compacted.files_before} into {compacted.files_after} ({compacted.rows} events)",
            "files rewritten for newly declared properties": projected.rewritten,
            "files removed from the storage": swept.replaced + swept.unlisted,
        }
        for what, count in lines.items():
            self.stdout.write(f"{what}: {count}")
