"""When to stop before sending, and how long to wait before trying again. Plain rules, no database, no clock."""

import random
from dataclasses import dataclass

__all__ = ["SANDBOX_POLICY", "SendPolicy", "Verdict", "plan_judge", "retry_seconds"]


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """Times of one connection, in seconds."""

    answer_seconds: float = 60.0
    settle_seconds: float = 300.0
    """How long a request without an answer may still be applied."""
    first_retry_seconds: float = 2.0
    longest_retry_seconds: float = 900.0
    first_poll_seconds: float = 5.0
    longest_poll_seconds: float = 600.0
    batch_people: int = 10_000
    """People in one request, at most what the network takes."""
    most_splits: int = 64
    """Splits of one run after which the network is taken to refuse everything."""


SANDBOX_POLICY = SendPolicy(
    answer_seconds=20.0, settle_seconds=30.0, first_retry_seconds=0.5, longest_retry_seconds=30.0, first_poll_seconds=0.6,
    longest_poll_seconds=10.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """``stop``: the sentence why nothing is sent, empty when all is well. ``warnings`` stop nothing."""

    stop: str
    warnings: tuple[str, ...]


def plan_judge(
    *, on_list: int, removals: int, wanted: int, max_removal_share: float, minimum_size: int, network: str
) -> Verdict:
    """Judge a plan before any call. ``removals`` leaves opt-outs aside: those are never held.

    A plan stops when it would empty a list that holds people, or remove a larger share of it than allowed.
    """
    warnings = []
    if 0 < wanted < minimum_size:
        warnings.append(f"{wanted:,} people is below {network}'s minimum of {minimum_size:,}; ads may not run.")
    if not wanted and on_list and removals:
        return Verdict(f"Nobody qualifies any more: all {on_list:,} people would be removed.", tuple(warnings))
    if on_list and removals > max_removal_share * on_list:
        share, limit = removals / on_list, max_removal_share
        return Verdict(
            f"Would remove {share:.1%} of the list ({removals:,} of {on_list:,} people); the limit is {limit:.0%}.",
            tuple(warnings),
        )
    return Verdict("", tuple(warnings))


def retry_seconds(
    policy: SendPolicy, attempts: int, asked_seconds: float | None, *, seed: str, first: float | None = None
) -> float:
    """Exponential from the first retry, half of it jittered; never sooner than the network asked for. ``attempts`` from 1."""
    base = policy.first_retry_seconds if first is None else first
    wait = min(base * 2.0 ** min(attempts - 1, 20), policy.longest_retry_seconds)
    jittered = wait * (0.5 + random.Random(f"{seed}:{attempts}").random() / 2)  # noqa: S311 - spreads load, guards nothing
    return max(jittered, asked_seconds or 0.0)
