"""Say what a privacy signal says: one from the command line, or one a line of JSON."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from django.core.management.base import BaseCommand, CommandError

from cdp.consent.signals.decode import KINDS, signal_decode, signal_refused
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.lines import as_of_read, line_answer, lines_read
from cdp.core.time import utc_now


class Command(BaseCommand):
    help = (
        "Decode TCF, GPP, US Privacy and GPC signals to JSON. One with --kind KIND STRING; many with --jsonl [FILE], one "
        '{"id", "kind", "string", "as_of"} a line, from standard input without a file. Exit code 1 when the one is unreadable.'
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("text", nargs="?", metavar="STRING|FILE", help="The signal, or with --jsonl the file.")
        parser.add_argument("--kind", choices=KINDS, help="What the string is.")
        parser.add_argument("--as-of", default="", help="The moment that is asked about, such as 2026-11-23; else now.")
        parser.add_argument("--jsonl", action="store_true", help="Read JSON lines, answer in JSON lines.")

    def handle(self, *args: Any, **options: Any) -> None:
        text: str | None = options["text"]
        if options["jsonl"]:
            if options["kind"]:
                raise CommandError("Give --kind in each line, not beside --jsonl.")
            self.answer_lines(text, options["as_of"])
        elif not options["kind"] or text is None:
            raise CommandError("Give --kind and the string, or --jsonl.")
        else:
            self.answer_one(options["kind"], text, options["as_of"])

    def answer_one(self, kind: Any, text: str, as_of: str) -> None:
        try:
            answer = signal_decode(kind, text, as_of_read(as_of, utc_now()))
        except SignalError as error:
            answer = signal_refused(kind, error)
            self.stderr.write(error.message)
        self.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
        if answer.get("valid") is False:
            sys.exit(1)

    def answer_lines(self, path: str | None, as_of: str) -> None:
        try:
            now = as_of_read(as_of, utc_now())
        except SignalError as error:
            raise CommandError(error.message) from error
        if path is None:
            self.copy(sys.stdin.buffer, now)
            return
        try:
            with Path(path).open("rb") as file:
                self.copy(file, now)
        except OSError as error:
            raise CommandError(f"The file {path} cannot be read: {error.strerror}.") from error

    def copy(self, stream: BinaryIO, now: Any) -> None:
        for line in lines_read(stream):
            self.stdout.write(line_answer(line, now).decode(), ending="")
