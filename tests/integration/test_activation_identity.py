"""Erased, merged, parted, suppressed: whatever happens to a person, the lists follow, and receipts prove it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdp.access.keys import keyring
from cdp.consent.services import suppression_add, suppression_lift
from cdp.core.time import utc_now
from cdp.identity.models import Identifier, IdentifierType, IdentityDecision
from cdp.identity.recording import VALUE_CONTEXT
from cdp.identity.services import merge_undo, profile_erase, profiles_merge
from cdp.profiles.models import Profile
from segments.activation.models import RemovalReceipt, SentEntry
from tests.activation_world import SOURCE_NO, Stage, consent_withdraw, digest_of, email_of, members_set, stage_make
from tests.sandbox_stage import SandboxTalk, sandbox_thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxTalk]:
    with sandbox_thread(tmp_path / "sandbox") as talk:
        yield talk


@pytest.fixture(params=["google", "meta"])
def stage(request: pytest.FixtureRequest, sandbox: SandboxTalk) -> Stage:
    return stage_make(sandbox, request.param, 12)


def digests(*numbers: int) -> list[str]:
    return sorted(digest_of(n) for n in numbers)


def test_an_erased_person_leaves_with_the_digests_that_were_sent(stage: Stage) -> None:
    stage.sync()
    profile_erase(3, "officer", utc_now())
    assert not Identifier.objects.filter(profile_no=3).exists()
    stage.drain()
    assert stage.listed == digests(*(n for n in stage.people if n != 3))
    assert not SentEntry.objects.filter(profile_no=3).exists()
    receipt = RemovalReceipt.objects.get()
    assert (receipt.profile_no, receipt.cause) == (3, "erased")
    assert receipt.confirmed_at is not None


def test_a_suppressed_person_leaves_and_comes_back_when_lifted(stage: Stage) -> None:
    stage.sync()
    suppression_add(5, "complaint", utc_now(), "officer")
    stage.drain()
    assert stage.listed == digests(*(n for n in stage.people if n != 5))
    assert RemovalReceipt.objects.get().cause == "suppressed"
    suppression_lift(5, utc_now(), "officer")
    stage.sync()
    assert stage.is_equal(stage.people)


def test_merge_and_undo(stage: Stage) -> None:
    """The survivor's entry holds the addresses of both; parted again, each stands alone."""
    stage.sync()
    profiles_merge(1, 2, "same person", "analyst", utc_now())
    members_set(stage.segment, [n for n in stage.people if n != 2])
    stage.sync()
    stage.sync()
    assert stage.listed == digests(*stage.people)
    assert not SentEntry.objects.filter(profile_no=2).exists()
    entry = SentEntry.objects.get(profile_no=1)
    assert {digest_of(1), digest_of(2)} <= {value for identifier in entry.members for value in identifier}

    decision = IdentityDecision.objects.get(kind="merged")
    merge_undo(decision.pk, "analyst", utc_now())
    stage.drain()
    assert stage.listed == digests(*(n for n in stage.people if n not in {1, 2}))
    members_set(stage.segment, stage.people)
    stage.sync()
    assert stage.is_equal(stage.people)


def test_a_merge_with_somebody_who_said_no_takes_both_off(stage: Stage) -> None:
    """The most restrictive holds for the person that both are now."""
    stage.sync()
    consent_withdraw(2)
    profiles_merge(1, 2, "same person", "analyst", utc_now())
    members_set(stage.segment, [n for n in stage.people if n != 2])
    stage.sync()
    stage.sync()
    assert not {digest_of(1), digest_of(2)} & set(stage.listed)


def test_a_merge_that_changes_nothing_here_sends_nothing(stage: Stage) -> None:
    """The other profile was a device without an address."""
    stage.sync()
    Profile.objects.create(profile_no=900)
    before = stage.sandbox.requests()
    profiles_merge(1, 900, "same device", "analyst", utc_now())
    stage.drain()
    assert stage.sandbox.requests() == before
    assert stage.is_equal(stage.people)


def test_two_spellings_of_one_mailbox_in_a_merge(sandbox: SandboxTalk) -> None:
    """Google sees one address where we hold two: taking the merged profile off must not lose the survivor."""
    stage = stage_make(sandbox, "google", 2)
    ring, kind = keyring(), IdentifierType.objects.get(key="email")
    for number, text in ((1, "jane.doe@gmail.com"), (2, "janedoe@gmail.com")):
        Identifier.objects.create(
            identifier_no=100 + number,
            type=kind,
            blind_index=ring.blind_index("email", text),
            value_encrypted=ring.encrypt(text, context=VALUE_CONTEXT),
            profile_no=number,
            source_no=SOURCE_NO,
        )
    stage.sync()
    profiles_merge(1, 2, "same person", "analyst", utc_now())
    members_set(stage.segment, [1])
    stage.sync()
    stage.sync()
    assert len(stage.listed) == 3
    assert email_of(1) not in str(SentEntry.objects.values_list("members"))
