"""Decisions of people as the API brings them: whose they are, and one act per purpose into the ledger."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.db import transaction

from cdp.consent.records import NewConsent
from cdp.consent.selectors import acts_known, purpose_ids
from cdp.consent.services import consents_append
from cdp.core.errors import Problem
from cdp.identity.records import Observation, Resolution
from cdp.identity.selectors import identifiers_by_profile
from cdp.identity.services import SYSTEM_SOURCE_NO, identifiers_resolve

__all__ = ["Decision", "Outcome", "decisions_record"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided for some purposes. ``is_personal``: for every identifier of the person, not one alone."""

    identifiers: Mapping[str, str]
    actions: Mapping[str, str]
    occurred_at: dt.datetime
    idempotency_key: str
    is_personal: bool = False
    method: str = "api"
    notice_version: str = ""
    locale: str = ""
    jurisdiction: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many acts were new and whose they are, or why the decision was refused."""

    recorded: int = 0
    profile_no: int | None = None
    problem: Problem | None = None
    acts: tuple[NewConsent, ...] = ()


def decisions_record(decisions: Sequence[Decision], now: dt.datetime) -> list[Outcome]:
    """Record each decision or say why not, in order; all in one transaction. Safe to repeat by ``idempotency_key``."""
    known = purpose_ids()
    problems = [_problem(decision, known) for decision in decisions]
    with transaction.atomic():
        asked = [decision for decision, problem in zip(decisions, problems, strict=True) if problem is None]
        resolved = iter(
            identifiers_resolve(
                [Observation(tuple(d.identifiers.items()), SYSTEM_SOURCE_NO, d.idempotency_key, now) for d in asked],
                now,
            )
        )
        done = acts_known(SYSTEM_SOURCE_NO, [decision.idempotency_key for decision in asked])
        outcomes = [
            Outcome(problem=problem) if problem is not None else _acts(decision, next(resolved), done, now)
            for decision, problem in zip(decisions, problems, strict=True)
        ]
        added = consents_append([act for outcome in outcomes for act in outcome.acts])
    return [
        replace(
            outcome, recorded=sum((act.source_no, act.idempotency_key, act.purpose) in added for act in outcome.acts)
        )
        for outcome in outcomes
    ]


def _problem(decision: Decision, purposes: Mapping[str, int]) -> Problem | None:
    for key, action in decision.actions.items():
        if key not in purposes:
            return Problem(
                f"purposes.{key[:40]}",
                "unknown_purpose",
                f"no purpose has this key; choose from {', '.join(purposes)}.",
            )
        if action == "confirmed" and not {"document", "form", "system"} & decision.evidence.keys():
            return Problem(
                "evidence", "proof", "a confirmation needs its proof: name the form, system or document in evidence."
            )
    return None


def _acts(decision: Decision, resolution: Resolution, done: set[tuple[str, str]], now: dt.datetime) -> Outcome:
    """One act per purpose that is not done, and per identifier of the person when the decision is personal.

    The act of the strongest identifier carries the key itself, so that a repetition is known even when the person has
    come to hold other identifiers since.
    """
    if resolution.profile_no is None or resolution.identifier_no is None:
        first = resolution.rejected[0]
        return Outcome(problem=Problem(f"identifiers.{first.field}", first.code, first.message))
    numbers = [int(resolution.identifier_no)]
    if decision.is_personal:
        held = identifiers_by_profile([resolution.profile_no])[resolution.profile_no]
        numbers += [int(number) for number in held if number != resolution.identifier_no]
    acts = tuple(
        NewConsent(
            identifier_no=number,
            purpose=purpose,
            action=action,
            occurred_at=decision.occurred_at,
            received_at=now,
            source_no=SYSTEM_SOURCE_NO,
            method=decision.method,
            idempotency_key=decision.idempotency_key + (f"#{number}" if position else ""),
            notice_version=decision.notice_version,
            locale=decision.locale,
            jurisdiction=decision.jurisdiction,
            evidence=decision.evidence,
        )
        for position, number in enumerate(numbers)
        for purpose, action in decision.actions.items()
        if (decision.idempotency_key, purpose) not in done
    )
    return Outcome(profile_no=resolution.profile_no, acts=acts)
