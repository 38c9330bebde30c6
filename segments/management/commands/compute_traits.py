"""``manage.py compute_traits``: RFM, predicted value, groups and intent of everybody with an order."""

import argparse
import datetime as dt
import zoneinfo
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from cdp.core.errors import RejectedError, RetryableError
from cdp.core.time import parse_timestamp, utc_now
from segments.computed_traits.models import ModelRun
from segments.computed_traits.services import SEED, as_of_default, traits_compute


def as_of_parse(text: str) -> dt.datetime:
    """A date means its end in the workspace's time zone; a timestamp means itself, UTC unless it names an offset."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        try:
            return parse_timestamp(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"write {text!r} as 2026-11-23 or 2026-11-23T06:00:00+00:00") from error
    zone = zoneinfo.ZoneInfo(settings.TIME_ZONE)
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone).astimezone(dt.UTC)


class Command(BaseCommand):
    """Prints one line a group: verdict, people, seconds, and the headline of its report card or why it was refused."""

    help = "Compute RFM, predicted value, groups of buyers and intent, and print the verdict of each."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--as-of", type=as_of_parse, help="Last day that counts, or a timestamp. Default: yesterday."
        )
        parser.add_argument("--group", action="append", help="Only this group (rfm, ltv, cluster, intent); repeatable.")
        parser.add_argument("--seed", type=int, default=SEED, help="Of the random draws.")

    def handle(self, *_args: Any, **options: Any) -> None:
        now = utc_now()
        try:
            runs = traits_compute(
                options["as_of"] or as_of_default(now), now=now, seed=options["seed"], groups=options["group"]
            )
        except (RejectedError, RetryableError) as error:
            raise CommandError(str(error)) from error
        if not runs:
            self.stdout.write("There are no orders yet: import some, then compute again.")
        for run in runs:
            self.stdout.write(run_line(run, is_new=run.started_at >= now))


def run_line(run: ModelRun, *, is_new: bool) -> str:
    """``ltv      published   23,570 people    0.3 s  Run 2: …``"""
    took = f"{(run.finished_at - run.started_at).total_seconds():7.1f} s" if run.finished_at and is_new else "unchanged"
    words = run.reason or run.report.get("headline", "")
    return f"{run.group:<8} {run.state:<10} {run.profiles:>11,} people  {took:>9}  Run {run.run_no}: {words}"
