"""Recompute a projection from its ledger, or check that it needs none."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from cdp.collect.rebuilding import PROJECTIONS, projection_rebuild


class Command(BaseCommand):
    help = (
        "Recompute a projection from its ledger. With --check nothing is written, and differences end in exit code 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("projection", choices=[*PROJECTIONS, "all"])
        parser.add_argument("--check", action="store_true", help="Count differences and write nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        names = list(PROJECTIONS) if options["projection"] == "all" else [options["projection"]]
        differences = 0
        for name in names:
            found = projection_rebuild(name, is_check=options["check"])
            done = "differ from" if options["check"] else "were brought in line with"
            self.stdout.write(
                f"{name}: {found.differences:,} entries of {found.profiles:,} people {done} {PROJECTIONS[name].ledger}"
            )
            differences += found.differences
        if options["check"] and differences:
            sys.exit(1)
