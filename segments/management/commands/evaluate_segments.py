"""``manage.py evaluate_segments``: count segments now, in order of what names what, and print sizes and changes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cdp.core.time import utc_now
from segments.audiences.evaluating import Evaluation
from segments.audiences.services import memberships_follow, segment_evaluate, segments_in_order, segments_seed_examples
from segments.definition.models import Segment


class Command(BaseCommand):
    """One line a segment. Ends with an error when one of them failed; the others are done all the same."""

    help = "Count segments now and write their members; a second run over the same data changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--key", action="append", help="Only this segment; repeatable. Default: all in use.")
        parser.add_argument("--examples", action="store_true", help="Save the example segments first.")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["examples"]:
            segments_seed_examples(now=utc_now())
        memberships_follow(utc_now())
        segments = segments_in_order()
        if keys := options["key"]:
            if unknown := set(keys) - {segment.key for segment in segments}:
                raise CommandError(f"No segment in use has the key {', '.join(sorted(unknown))}.")
            segments = [segment for segment in segments if segment.key in keys]
        if not segments:
            self.stdout.write("There are no segments yet. --examples saves seven to start from.")
        failed = 0
        for segment in segments:
            done = segment_evaluate(segment.segment_no, utc_now())
            failed += done.state == "failed"
            self.stdout.write(evaluation_line(segment, done))
        if failed:
            raise CommandError(f"{failed} of {len(segments)} segments failed; their last good members stay.")


def evaluation_line(segment: Segment, done: Evaluation) -> str:
    """``champions                 4,251 people    +4,251      −0    38 ms``"""
    if done.state != "ready":
        return f"{segment.key:<32} {done.state}: {done.error or 'a newer rule or another worker took over'}"
    return (
        f"{segment.key:<32} {done.size:>11,} people  {done.joined:>+10,}  {'−':>5}{done.left:,}  {done.took_ms:>6,} ms"
    )
