"""What holds now? The rules that turn consent acts into one state, without a clock and without a database.

Source: reference/privacy.md §2. In short: acts are ordered by when they occurred, never by when they arrived; on a tie
the refusal wins; a veto (objection, restriction) stands above everything until it is lifted by a later act; pending is
not granted; of a person's identifiers the most restrictive answer holds. An expired grant is no refusal: it says that
nobody has asked lately, and yields to a grant in force under another identifier.

The state does not depend on the present: a timer writes ``expired`` into the ledger, and the gate compares
``expires_at`` with its own moment besides.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_CLOCK_LEAD: Final = dt.timedelta(minutes=5)
VETOES: Final = frozenset({"objected", "restricted"})

# What an action makes of the state, and which of two acts at the same moment counts (the larger).
STATE_OF_ACTION: Final = {
    "granted": "granted",
    "confirmed": "granted",
    "pending": "pending",
    "expired": "expired",
    "denied": "denied",
    "withdrawn": "withdrawn",
}
_TIE_RANK: Final = {"granted": 0, "confirmed": 1, "pending": 2, "expired": 3, "denied": 4, "withdrawn": 5}
# Which of a person's identifiers speaks: the larger.
_PERSON_RANK: Final = {"expired": 0, "granted": 1, "pending": 2, "denied": 3, "withdrawn": 4}
_NEVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Act:
    """One ledger record, as far as the rules read it."""

    record_no: int
    action: str
    occurred_at: dt.datetime
    received_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What holds for one identifier and purpose, since when, and the record that decided."""

    state: str
    since: dt.datetime
    record_no: int


@dataclass(frozen=True, slots=True)
class PersonState:
    """What holds for one person and purpose. ``expires_at`` is set for grants that expire."""

    state: str
    since: dt.datetime
    expires_at: dt.datetime | None
    record_no: int
    is_conflict: bool


def effective_at(act: Act) -> dt.datetime:
    """When the act counts: when it occurred, or when it was received if its clock runs ahead by more than 5 minutes."""
    return act.received_at if act.occurred_at > act.received_at + MAX_CLOCK_LEAD else act.occurred_at


def identifier_answer(acts: Iterable[Act]) -> Answer | None:
    """The answer of one identifier for one purpose; None when nothing was ever said. The order of ``acts`` is irrelevant."""
    base: Act | None = None
    vetoes: list[Act] = []
    lifted_at: dt.datetime | None = None
    for act in acts:
        if act.action in VETOES:
            vetoes.append(act)
        elif act.action == "lifted":
            lifted_at = effective_at(act) if lifted_at is None else max(lifted_at, effective_at(act))
        elif base is None or _order(act) > _order(base):
            base = act
    in_force = [act for act in vetoes if lifted_at is None or effective_at(act) >= lifted_at]
    if in_force:
        first = min(in_force, key=lambda act: (effective_at(act), act.record_no))
        return Answer("denied", effective_at(first), first.record_no)
    if base is None:
        return None
    return Answer(STATE_OF_ACTION[base.action], effective_at(base), base.record_no)


def _order(act: Act) -> tuple[dt.datetime, int, int]:
    return effective_at(act), _TIE_RANK[act.action], -act.record_no


def person_state(answers: Iterable[Answer], expires_after_days: int | None) -> PersonState | None:
    """One state out of the answers of a person's identifiers; None without any. Their order is irrelevant."""
    known = list(answers)
    if not known:
        return None
    decisive = max(known, key=lambda a: (_PERSON_RANK[a.state], a.since, -a.record_no))
    expires_at = None
    if decisive.state == "granted" and expires_after_days is not None:
        expires_at = _plus_days(decisive.since, expires_after_days)
    return PersonState(
        state=decisive.state,
        since=decisive.since,
        expires_at=expires_at,
        record_no=decisive.record_no,
        is_conflict=decisive.state not in {"granted", "expired"} and any(a.state == "granted" for a in known),
    )


def _plus_days(moment: dt.datetime, days: int) -> dt.datetime:
    return moment + dt.timedelta(days=days) if days < (_NEVER - moment).days else _NEVER
