"""What would the next run do? Counted as the planner counts, with nothing written and nothing sent."""

import datetime as dt
from dataclasses import dataclass

from segments.activation.bitmaps import bitmap_numbers
from segments.activation.connections import target_purposes
from segments.activation.entries import entries_read
from segments.activation.models import AudienceTarget
from segments.activation.planning import people_with_identifier, reach_counts
from segments.activation.policy import plan_judge
from segments.audiences.services import audience_wanted
from segments.destinations.registry import destination_find


@dataclass(frozen=True, slots=True)
class DryRun:
    """Numbers of a run that was not made. ``stop`` says why it would stop before sending, empty when it would not."""

    at: dt.datetime
    reach: dict[str, int]
    to_add: int
    to_remove: int
    on_list: int
    stop: str
    warnings: tuple[str, ...]


def target_dry_run(target: AudienceTarget, now: dt.datetime) -> DryRun:
    """Count a run as of ``now``. Raises NeedsHumanError when the destination is not mapped or the segment not counted."""
    wanted = audience_wanted(target.audience, target_purposes(target), now)
    destination = destination_find(target.connection.destination)
    sent = entries_read(target.target_no)
    candidates = wanted.wanted - sent.wanted - sent.refused - sent.leaving
    add = people_with_identifier(bitmap_numbers(candidates), destination.capabilities.identifier_types)
    remove = sent.wanted - wanted.wanted
    verdict = plan_judge(
        on_list=len(sent.wanted),
        removals=len(remove),
        wanted=len(wanted.wanted),
        max_removal_share=target.max_removal_share,
        minimum_size=destination.capabilities.minimum_size,
        network=destination.title,
    )
    reach = reach_counts(wanted, len(candidates) - len(add))
    return DryRun(now, reach, len(add), len(remove), len(sent.wanted), verdict.stop, verdict.warnings)
