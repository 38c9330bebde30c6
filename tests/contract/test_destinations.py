"""One suite for every ad network: a new file in ``segments/destinations`` is picked up by itself and must pass all of it."""

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from segments.destinations.contract import (
    BatchOutcome,
    BatchRejectedError,
    BatchRequest,
    Destination,
    Member,
    NeedsHumanError,
    Operation,
    OutcomeUnknownError,
    Person,
    RetryableError,
    account_problems,
)
from segments.destinations.http import DestinationClient
from segments.destinations.registry import BadDestinationError, destination_from_module, destinations
from tests.sandbox_stage import SandboxTalk, sandbox_thread

DIGEST = re.compile(r"[0-9a-f]{64}")
NETWORK_OF = {slug: destination.sandbox.path for slug, destination in destinations().items()}


@pytest.fixture(params=list(destinations()))
def destination(request: pytest.FixtureRequest) -> Destination:
    return destinations()[request.param]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxTalk]:
    with sandbox_thread(tmp_path / "sandbox", record_path=tmp_path / "requests.jsonl") as talk:
        yield talk


@pytest.fixture
def client(destination: Destination, sandbox: SandboxTalk) -> Iterator[DestinationClient]:
    with DestinationClient(sandbox.account(destination), answer_seconds=0.5) as opened:
        yield opened


def people(count: int, start: int = 1) -> list[Person]:
    return [Person(n, emails=(f"person{n}@example.com",)) for n in range(start, start + count)]


def members_of(destination: Destination, persons: list[Person]) -> list[Member]:
    return [m for person in persons if (m := destination.member_build(person))]


def push(
    destination: Destination,
    client: DestinationClient,
    list_id: str,
    operation: Operation,
    members: list[Member],
    key: str = "k",
) -> BatchOutcome:
    rows = sum(destination.member_rows(m) for m in members)
    granted = frozenset({"advertising"}) if operation == "add" else frozenset[str]()
    return destination.batch_push(client, BatchRequest(key, operation, list_id, members, granted, 1, 1, True, rows))


def settled(destination: Destination, client: DestinationClient, outcome: BatchOutcome) -> BatchOutcome:
    """Poll to the end."""
    for _ in range(100):
        if outcome.state != "accepted":
            return outcome
        time.sleep(0.05)
        outcome = destination.batch_poll(client, outcome.request_ref)
    raise AssertionError("the batch was never processed")


def test_facts(destination: Destination) -> None:
    facts = destination.capabilities
    assert facts.max_batch_rows >= 1
    assert facts.minimum_size >= 0
    keys = [s.key for s in facts.settings]
    assert len(keys) == len(set(keys))
    for spec in facts.settings:
        assert spec.title[0].isupper()
        assert not spec.default or re.fullmatch(spec.pattern, spec.default)


def test_the_sandbox_account_is_complete(destination: Destination, sandbox: SandboxTalk) -> None:
    assert account_problems(destination, sandbox.account(destination)) == []


def test_an_empty_account_names_every_missing_field(destination: Destination, sandbox: SandboxTalk) -> None:
    empty = replace(sandbox.account(destination), settings={}, secrets={})
    fields = {problem.field for problem in account_problems(destination, empty)}
    assert fields == {f"settings.{s.key}" for s in destination.capabilities.settings if s.is_required} | {"secrets"}
    odd = replace(empty, settings={"colour": "vermilion"}, secrets={"pin": "1"})
    assert {"settings.colour", "secrets.pin"} <= {problem.field for problem in account_problems(destination, odd)}
    assert "vermilion" not in str(account_problems(destination, odd))


def test_a_member_holds_digests_only(destination: Destination) -> None:
    person = Person(
        7, ("jane.doe@example.com", "jane@work.example"), ("+442079460958",), "Jane", "Doe", "GB", "SW1A 1AA"
    )
    member = destination.member_build(person)
    assert member is not None
    assert member.profile_no == 7
    text = str(member.identifiers).lower()
    assert "jane" not in text
    assert "7946" not in text
    hashed = [value for identifier in member.identifiers for value in identifier[1:] if DIGEST.fullmatch(value)]
    assert hashlib.sha256(b"jane.doe@example.com").hexdigest() in hashed
    assert Member.from_stored(7, member.stored()) == member


def test_nobody_without_an_identifier(destination: Destination) -> None:
    assert destination.member_build(Person(1)) is None
    assert destination.member_build(Person(1, emails=("no address",), phones=("12",))) is None
    assert (
        destination.member_build(Person(1, given_name="Jane", family_name="Doe", region_code="GB", postal_code="1"))
        is None
    )


def test_one_person_is_one_member_whatever_they_hold(destination: Destination) -> None:
    """Identifiers of two people are never mixed, and nobody exceeds a batch alone."""
    many = Person(1, tuple(f"a{n}@example.com" for n in range(40)), tuple(f"+4420794609{n:02}" for n in range(40)))
    member = destination.member_build(many)
    assert member is not None
    assert 1 <= destination.member_rows(member) <= destination.capabilities.max_batch_rows


def test_a_list_is_made_once(destination: Destination, client: DestinationClient, sandbox: SandboxTalk) -> None:
    first = destination.audience_ensure(client, "lapsed@acc", "Lapsed")
    assert destination.audience_ensure(client, "lapsed@acc", "Lapsed") == first
    assert destination.audience_ensure(client, "loyal@acc", "Loyal") != first
    assert len(sandbox.lists()) == 2


def test_add_and_remove(destination: Destination, client: DestinationClient, sandbox: SandboxTalk) -> None:
    list_id = destination.audience_ensure(client, "a@b", "A")
    members = members_of(destination, people(50))
    outcome = settled(destination, client, push(destination, client, list_id, "add", members))
    assert (outcome.state, outcome.rejected) == ("processed", 0)
    assert sandbox.lists()[0]["members"] == 50
    assert sandbox.digests(list_id) == sorted(
        hashlib.sha256(f"person{n}@example.com".encode()).hexdigest() for n in range(1, 51)
    )
    settled(destination, client, push(destination, client, list_id, "remove", members[:20]))
    assert sandbox.lists()[0]["members"] == 30
    again = settled(destination, client, push(destination, client, list_id, "remove", members[:20]))
    assert again.state == "processed"
    assert sandbox.lists()[0]["members"] == 30


def test_an_unanswered_batch_sent_again_changes_nothing(
    destination: Destination, client: DestinationClient, sandbox: SandboxTalk
) -> None:
    list_id = destination.audience_ensure(client, "a@b", "A")
    members = members_of(destination, people(10))
    sandbox.fault(NETWORK_OF[destination.slug], "timeout_after_apply", seconds=0.7)
    with pytest.raises(OutcomeUnknownError):
        push(destination, client, list_id, "add", members)
    settled(destination, client, push(destination, client, list_id, "add", members))
    assert sandbox.lists()[0]["members"] == 10


def test_asked_to_wait(destination: Destination, client: DestinationClient, sandbox: SandboxTalk) -> None:
    list_id = destination.audience_ensure(client, "a@b", "A")
    sandbox.fault(NETWORK_OF[destination.slug], "429", retry_after=7)
    with pytest.raises(RetryableError) as caught:
        push(destination, client, list_id, "add", members_of(destination, people(3)))
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert caught.value.retry_after_seconds == 7
    assert sandbox.lists()[0]["members"] == 0


def test_a_failure_has_an_unknown_outcome(
    destination: Destination, client: DestinationClient, sandbox: SandboxTalk
) -> None:
    list_id = destination.audience_ensure(client, "a@b", "A")
    for kind in ("500", "drop"):
        sandbox.fault(NETWORK_OF[destination.slug], kind)
        with pytest.raises(OutcomeUnknownError):
            push(destination, client, list_id, "add", members_of(destination, people(3)))


def test_a_bad_token_needs_a_person(destination: Destination, client: DestinationClient, sandbox: SandboxTalk) -> None:
    list_id = destination.audience_ensure(client, "a@b", "A")
    sandbox.fault(NETWORK_OF[destination.slug], "auth")
    with pytest.raises(NeedsHumanError) as caught:
        push(destination, client, list_id, "add", members_of(destination, people(3)))
    assert caught.value.code == "auth"
    assert "sandbox-token" not in caught.value.message


def test_a_list_that_is_gone_needs_a_person_or_splits(destination: Destination, client: DestinationClient) -> None:
    with pytest.raises((NeedsHumanError, BatchRejectedError)):
        push(destination, client, "4711", "add", members_of(destination, people(3)))


def test_refused_rows_are_counted(destination: Destination, client: DestinationClient, sandbox: SandboxTalk) -> None:
    list_id = destination.audience_ensure(client, "a@b", "A")
    sandbox.fault(NETWORK_OF[destination.slug], "partial", count=4)
    outcome = settled(
        destination, client, push(destination, client, list_id, "add", members_of(destination, people(10)))
    )
    assert (outcome.state, outcome.rejected) == ("processed", 4)
    assert all(r.code for r in outcome.rejections)
    assert sandbox.lists()[0]["members"] == 6


def test_a_bad_row_fails_or_is_named(destination: Destination, client: DestinationClient, sandbox: SandboxTalk) -> None:
    """What is not a digest never lands on a list."""
    list_id = destination.audience_ensure(client, "a@b", "A")
    good = members_of(destination, people(3))
    bad = Member(99, tuple((name, "jane@example.com") for name, *_ in good[0].identifiers))
    try:
        outcome = settled(destination, client, push(destination, client, list_id, "add", [*good, bad]))
        assert outcome.rejected == 1
    except BatchRejectedError as error:
        assert error.positions in {(3,), ()}
        assert "jane" not in str(error)


def test_a_batch_that_holds_one_bad_person_is_refused_whole(
    destination: Destination, client: DestinationClient, sandbox: SandboxTalk
) -> None:
    list_id = destination.audience_ensure(client, "a@b", "A")
    members = members_of(destination, people(8))
    sandbox.fault(NETWORK_OF[destination.slug], "reject_digest", digest=members[5].identifiers[0][1], times=-1)
    with pytest.raises(BatchRejectedError):
        push(destination, client, list_id, "add", members)
    settled(destination, client, push(destination, client, list_id, "add", members[:5]))
    assert sandbox.lists()[0]["members"] == 5


def test_the_largest_batch(destination: Destination, client: DestinationClient, sandbox: SandboxTalk) -> None:
    list_id = destination.audience_ensure(client, "a@b", "A")
    limit = destination.capabilities.max_batch_rows
    with DestinationClient(client.account, answer_seconds=10) as patient:
        settled(
            destination, patient, push(destination, patient, list_id, "add", members_of(destination, people(limit)))
        )
        assert sandbox.lists()[0]["members"] == limit
        with pytest.raises(BatchRejectedError):
            push(destination, patient, list_id, "add", members_of(destination, people(limit + 1)))


def test_nothing_readable_leaves(
    destination: Destination, client: DestinationClient, sandbox: SandboxTalk, tmp_path: Path
) -> None:
    list_id = destination.audience_ensure(client, "a@b", "A")
    person = Person(1, ("Jane.Doe@gmail.com",), ("+442079460958",), "Jane", "Doe", "GB", "SW1A")
    members = members_of(destination, [person])
    for operation in ("add", "remove"):
        settled(destination, client, push(destination, client, list_id, operation, members))
    recorded = (tmp_path / "requests.jsonl").read_text(encoding="utf-8").lower()
    for plain in ("jane", "gmail", "7946"):
        assert plain not in recorded
    assert not [
        line for line in recorded.splitlines() if "access_token=" in line or DIGEST.search(line.split('"headers"')[0])
    ]


def test_no_network_at_all(destination: Destination, sandbox: SandboxTalk) -> None:
    nowhere = replace(sandbox.account(destination), base_url="http://127.0.0.1:1")
    with DestinationClient(nowhere, answer_seconds=0.5) as client, pytest.raises(RetryableError) as caught:
        push(destination, client, "1", "add", members_of(destination, people(1)))
    assert not isinstance(caught.value, OutcomeUnknownError)


def test_a_module_that_breaks_the_contract_is_refused() -> None:
    module = ModuleType("segments.destinations.myspace")
    module.DESTINATION = SimpleNamespace(slug="myspace")  # type: ignore[attr-defined]
    with pytest.raises(BadDestinationError, match=r"myspace: DESTINATION lacks .*batch_push"):
        destination_from_module(module)
    original = next(iter(destinations().values()))
    module.DESTINATION = original  # type: ignore[attr-defined]
    with pytest.raises(BadDestinationError, match="its slug must be the file's name"):
        destination_from_module(module)
