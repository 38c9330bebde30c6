"""``manage.py sync_audiences``: bring lists at the networks in line with their audiences, now."""

import datetime as dt
import time
from dataclasses import dataclass

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cdp.core.time import utc_now
from segments.activation.models import AudienceTarget, Sync, SyncOutcome
from segments.activation.selectors import is_settled, on_list_counts, targets_of
from segments.activation.services import batches_poll, target_run, wishes_collect

LONGEST_PAUSE_SECONDS = 5.0
COLUMNS = ("added", "removed", "refused", "held out", "no consent", "suppressed", "no identifier", "on list", "state")


@dataclass(slots=True)
class Line:
    """What one list's run came to."""

    target: AudienceTarget
    sync_no: int | None = None
    state: str = ""
    opt_outs_from: int = 0


class Command(BaseCommand):
    """Plans and sends a run for every list, opt-outs first; prints one line per list."""

    help = "Sync audiences to their ad networks: send additions and removals."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--audience", help="Key of one audience; all by default.")
        parser.add_argument("--wait", action="store_true", help="Stay until the networks have confirmed every batch.")
        parser.add_argument("--timeout", type=float, default=900.0, help="Give up waiting after this many seconds.")

    def handle(self, *args: object, **options: object) -> None:
        key = options["audience"]
        targets = targets_of(str(key) if key else None)
        if not targets:
            raise CommandError(
                "No audience has this key and a list." if key else "No audience has a list at a network yet."
            )
        deadline = utc_now() + dt.timedelta(seconds=float(str(options["timeout"])))
        wishes_collect(utc_now())
        lines = [self.run(Line(target), deadline) for target in targets]
        numbers = [target.pk for target in targets]
        if options["wait"]:
            self.wait(lines, numbers, deadline)
        self.print_table(lines, on_list_counts(numbers))
        if any(line.state in {"failed", "paused"} for line in lines):
            raise CommandError("Not every list could be brought in line; see the state and the run's reason.")

    def run(self, line: Line, deadline: dt.datetime) -> Line:
        """Turns until nothing is left to send, waiting as the network asks."""
        last = Sync.objects.order_by("-sync_no").values_list("sync_no", flat=True).first()
        line.opt_outs_from = last or 0
        plan: bool = True
        while True:
            turn = target_run(line.target.pk, clock=utc_now, plan=plan, deadline=deadline)
            if turn.sync_no is not None:
                line.sync_no, plan = turn.sync_no, False
            line.state = turn.state
            if turn.state in {"done", "paused"} or utc_now() >= deadline:
                return line
            batches_poll(utc_now(), target_no=line.target.pk)
            time.sleep(min(turn.wait_seconds or 0.2, LONGEST_PAUSE_SECONDS))

    def wait(self, lines: list[Line], numbers: list[int], deadline: dt.datetime) -> None:
        while not is_settled(numbers):
            if utc_now() >= deadline:
                raise CommandError("The networks have not confirmed everything in time; a worker goes on with it.")
            batches_poll(utc_now())
            for line in lines:
                if line.state != "paused":
                    line.state = target_run(line.target.pk, clock=utc_now, plan=False, deadline=deadline).state
            time.sleep(0.2)

    def print_table(self, lines: list[Line], on_list: dict[int, int]) -> None:
        rows: list[tuple[str, ...]] = [("audience → network", *COLUMNS)]
        for line in lines:
            sync = Sync.objects.filter(pk=line.sync_no).first() if line.sync_no else None
            counts = outcome_counts(line)
            reach = sync.reach if sync else {}
            cells = [
                counts.get("added", 0),
                counts.get("removed", 0),
                counts.get("refused", 0),
                *(int(reach.get(step, 0)) for step in ("held_out", "consent", "suppressed", "identifier")),
                on_list[line.target.pk],
            ]
            if sync and sync.state in {"failed", "stopped"}:
                line.state = sync.state
            state = sync.state if sync and line.state != "paused" else line.state
            rows.append(
                (f"{line.target.audience.key} → {line.target.connection.key}", *(f"{c:,}" for c in cells), state)
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            first, *middle, last = (
                cell.ljust(w) if i in {0, len(row) - 1} else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            self.stdout.write("  ".join([first, *middle, last]).rstrip())
        for line in lines:
            reason = (
                Sync.objects.filter(pk=line.sync_no).values_list("reason", flat=True).first() if line.sync_no else ""
            )
            if reason:
                self.stdout.write(f"{line.target.audience.key} → {line.target.connection.key}: {reason}")


def outcome_counts(line: Line) -> dict[str, int]:
    """Confirmed and refused rows of this run and of the opt-outs that went out with it."""
    found = SyncOutcome.objects.filter(sync__target=line.target, sync__sync_no__gt=line.opt_outs_from)
    counts: dict[str, int] = {}
    for outcome, code, count in found.values_list("outcome", "code", "count"):
        name = code if outcome == "accepted" else "refused" if outcome == "rejected" else "dropped"
        counts[name] = counts.get(name, 0) + count
    return counts
