"""What every ad network's file must be able to do, and in which words it answers.

A destination turns people into members (normalised and hashed to the network's own rules), makes the list, adds and removes
members in batches, and says what became of a batch. What went wrong is one of three families (``cdp.core.errors``): wait and
repeat, these rows are wrong, or a person must act.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from cdp.core.errors import NeedsHumanError, Problem, RejectedError, RetryableError

if TYPE_CHECKING:
    from segments.destinations.http import DestinationClient

__all__ = [
    "Account",
    "BatchOutcome",
    "BatchRejectedError",
    "BatchRequest",
    "Capabilities",
    "Destination",
    "Member",
    "NeedsHumanError",
    "OutcomeUnknownError",
    "Person",
    "Rejection",
    "RetryableError",
    "SandboxAccount",
    "SecretSpec",
    "SettingSpec",
]

Operation = Literal["add", "remove"]
IDENTIFIER_TYPES = ("email", "phone")


class OutcomeUnknownError(RetryableError):
    """The request got no clear answer: it may have been applied, or may still be. Send the same batch again."""


class BatchRejectedError(RejectedError):
    """The network refused the whole batch. ``positions`` are the rows it named; without any, split the batch to find them."""

    def __init__(self, message: str, *, code: str, positions: Sequence[int] = ()) -> None:
        super().__init__(message, code=code)
        self.positions = tuple(positions)


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One option of a connection. ``pattern`` must match the whole text; ``default`` is used where nothing is entered.

    ``is_purpose``: its value is a purpose whose consent the network is told; nobody is added without it.
    """

    key: str
    title: str
    pattern: str = r".+"
    is_required: bool = False
    default: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    is_purpose: bool = False


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """One secret of a connection: stored encrypted, never shown again."""

    key: str
    title: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class SandboxAccount:
    """An account at the local sandbox, for the demo and the contract suite: path below its address, options, secrets."""

    path: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the network takes and how it answers, for the contract suite, the planner and the screens."""

    identifier_types: tuple[str, ...]
    """Our identifier types that it can use, strongest first; one of them is enough."""
    hashed_fields: tuple[str, ...]
    plain_fields: tuple[str, ...]
    max_batch_rows: int
    answers_later: bool
    """True: a batch is accepted first and its fate is polled."""
    minimum_size: int
    max_age_days: int | None
    consent_fields: tuple[str, ...]
    settings: tuple[SettingSpec, ...]
    secrets: tuple[SecretSpec, ...]
    secrets_needed: tuple[tuple[str, ...], ...]
    """Sets of secrets of which one must be complete."""


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """One person as our side knows them: canonical e-mail addresses and E.164 phones, names and place only where asked for."""

    profile_no: int
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    given_name: str = ""
    family_name: str = ""
    region_code: str = ""
    postal_code: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One person as the network gets to see them: tuples of a field's name and its value or values, as sent."""

    profile_no: int
    identifiers: tuple[tuple[str, ...], ...] = field(repr=False)

    def stored(self) -> list[list[str]]:
        """What the sent entry keeps, so that a removal sends the very same digests."""
        return [list(identifier) for identifier in self.identifiers]

    @classmethod
    def from_stored(cls, profile_no: int, stored: Sequence[Sequence[str]]) -> "Member":
        return cls(profile_no, tuple(tuple(identifier) for identifier in stored))


@dataclass(frozen=True, slots=True)
class Account:
    """A connection's address, options (defaults filled in) and secrets."""

    base_url: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One batch: who, which way, and the numbers that let a network and a log tell batches apart."""

    batch_key: str
    operation: Operation
    external_id: str
    members: Sequence[Member] = field(repr=False)
    granted: frozenset[str]
    """Purposes that the gate found granted for every member of this batch, just now. Empty for removals."""
    session_no: int
    batch_seq: int
    is_last: bool
    total_rows: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """Rows that were refused. ``positions`` (from 0) when the network names them, else only the count is known."""

    code: str
    count: int
    positions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """``accepted``: taken, fate to be polled by ``request_ref``. ``processed``: done but for the rejections. ``failed``: none of it."""

    state: Literal["accepted", "processed", "failed"]
    request_ref: str = ""
    received: int = 0
    rejections: tuple[Rejection, ...] = ()
    code: str = ""
    """Why it failed."""

    @property
    def rejected(self) -> int:
        return sum(r.count for r in self.rejections)


@runtime_checkable
class Destination(Protocol):
    """An ad network. Every call may raise RetryableError, OutcomeUnknownError or NeedsHumanError."""

    @property
    def slug(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def default_base_url(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def sandbox(self) -> SandboxAccount: ...

    def account_check(self, account: Account) -> list[Problem]:
        """What is wrong with the options and secrets, beyond what their specs say."""
        ...

    def member_build(self, person: Person) -> Member | None:
        """Normalise and hash; None when the person has nothing that the network can use."""
        ...

    def member_rows(self, member: Member) -> int:
        """How many of ``max_batch_rows`` this member takes."""
        ...

    def audience_ensure(self, client: "DestinationClient", key: str, title: str) -> str:
        """The id of the list that carries ``key``; made when there is none. Safe to repeat."""
        ...

    def batch_push(self, client: "DestinationClient", batch: BatchRequest) -> BatchOutcome:
        """Add or remove the members. Raises BatchRejectedError when none of it was taken because of some rows."""
        ...

    def batch_poll(self, client: "DestinationClient", request_ref: str) -> BatchOutcome:
        """What became of an accepted batch; ``accepted`` again while it is under way."""
        ...


def account_problems(destination: Destination, account: Account) -> list[Problem]:
    """Everything that is missing or misspelt in an account, each with field and fix. Values are not repeated."""
    problems = []
    known = {spec.key for spec in destination.capabilities.settings}
    for key in account.settings:
        if key not in known:
            allowed = ", ".join(sorted(known))
            problems.append(
                Problem(f"settings.{key}", "unknown", f"{destination.title} has no option {key}. It has {allowed}.")
            )
    for spec in destination.capabilities.settings:
        value = account.settings.get(spec.key, "")
        if not value:
            if spec.is_required:
                problems.append(Problem(f"settings.{spec.key}", "required", f"Enter {spec.title}. {spec.help}".strip()))
        elif spec.choices and value not in spec.choices:
            problems.append(Problem(f"settings.{spec.key}", "choice", f"Choose one of {', '.join(spec.choices)}."))
        elif not re.fullmatch(spec.pattern, value):
            problems.append(
                Problem(f"settings.{spec.key}", "format", f"{spec.title}: {spec.help or 'look at the spelling.'}")
            )
    secrets = {spec.key for spec in destination.capabilities.secrets}
    for key in account.secrets:
        if key not in secrets:
            problems.append(Problem(f"secrets.{key}", "unknown", f"{destination.title} has no secret {key}."))
    needed = destination.capabilities.secrets_needed
    if needed and not any(all(account.secrets.get(key) for key in keys) for keys in needed):
        ways = " or ".join(" with ".join(keys) for keys in needed)
        problems.append(Problem("secrets", "required", f"Enter {ways}."))
    return [*problems, *destination.account_check(account)]


def settings_filled(destination: Destination, settings: Mapping[str, str]) -> dict[str, str]:
    """The options with their defaults."""
    return {spec.key: spec.default for spec in destination.capabilities.settings if spec.default} | dict(settings)
