"""Erase people for good, files included."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cdp.core.errors import RejectedError
from cdp.core.time import utc_now
from cdp.events.services import store_rewrite_erased
from cdp.identity.selectors import profile_find
from cdp.identity.services import profile_erase
from cdp.profiles.services import profiles_upkeep


class Command(BaseCommand):
    help = (
        "Erase people: identifiers, traits, computed values, consent states, events, files. Tombstones keep them from "
        "coming back, audiences remove them. Identifiers other than a profile id are read from standard input, one a "
        "line, so that no address stands in a command line."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("profile_id", nargs="*", help="Public ids of people.")
        parser.add_argument("--type", help="Read identifiers of this type from standard input, e.g. email.")
        parser.add_argument("--actor", default="system", help="Who asks, for the audit log.")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = [("profile_id", value) for value in options["profile_id"]]
        if options["type"]:
            asked += [(options["type"], line.strip()) for line in sys.stdin if line.strip()]
        if not asked:
            raise CommandError(
                "Nobody is named. Give profile ids, or --type and one identifier a line on standard input."
            )
        now, erased, unknown, wrong = utc_now(), 0, 0, 0
        for position, (kind, value) in enumerate(asked, start=1):
            try:
                profile_no = profile_find(kind, value)
                if profile_no is None:
                    unknown += 1
                    continue
                profile_erase(profile_no, options["actor"], now)
                erased += 1
            except RejectedError as error:
                wrong += 1
                self.stderr.write(f"item {position}: {error.message}")
        if erased:
            store_rewrite_erased(now)
            profiles_upkeep(now)
        self.stdout.write(f"erased {erased:,} people; {unknown:,} were not known, {wrong:,} items could not be read")
        if wrong:
            sys.exit(1)
