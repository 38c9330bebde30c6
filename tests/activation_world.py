"""A small company for activation tests: people with addresses and consent, a segment with members, lists at the sandbox."""

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.db import transaction

from cdp.access.keys import keyring
from cdp.consent.models import ConsentState, Purpose
from cdp.consent.records import NewConsent
from cdp.consent.services import consents_record, destination_purposes_map
from cdp.core.time import utc_now
from cdp.identity.models import Identifier, IdentifierType
from cdp.identity.recording import VALUE_CONTEXT
from cdp.profiles.models import Profile
from segments.activation.bitmaps import bitmap_make, bitmap_pack
from segments.activation.models import AudienceTarget, SentEntry, SyncBatch
from segments.activation.policy import SendPolicy
from segments.activation.selectors import is_settled
from segments.activation.services import (
    Turn,
    audience_target_save,
    batches_poll,
    connection_save,
    target_run,
    wishes_collect,
)
from segments.audiences.addressing import audience_save
from segments.audiences.models import SegmentBitmap
from segments.definition.models import Segment, SegmentVersion
from segments.destinations.registry import destinations
from tests.sandbox_stage import SandboxTalk

SOURCE_NO = 1
FAST = SendPolicy(
    answer_seconds=0.4,
    settle_seconds=0.8,
    first_retry_seconds=0.05,
    longest_retry_seconds=0.2,
    first_poll_seconds=0.1,
    longest_poll_seconds=0.2,
)
SLUGS = {"google": "google_data_manager", "meta": "meta_custom_audiences"}

EVERYBODY: dict[str, object] = {"version": 1, "where": {"type": "all", "conditions": []}}


def email_of(number: int) -> str:
    return f"person{number}@example.com"


def digest_of(number: int) -> str:
    return hashlib.sha256(email_of(number).encode()).hexdigest()


def people_make(count: int, *, consent: bool = True, start: int = 1) -> list[int]:
    """``count`` people with an e-mail address each (``email_of`` their profile number) and consent to advertising."""
    ring, now = keyring(), utc_now()
    kind = IdentifierType.objects.get(key="email")
    profiles = Profile.objects.bulk_create(
        [Profile(profile_no=n, is_identified=True) for n in range(start, start + count)], batch_size=5_000
    )
    numbers = [p.profile_no for p in profiles]
    Identifier.objects.bulk_create(
        [
            Identifier(
                identifier_no=n,
                type=kind,
                blind_index=ring.blind_index("email", email_of(n)),
                value_encrypted=ring.encrypt(email_of(n), context=VALUE_CONTEXT),
                profile_no=n,
                source_no=SOURCE_NO,
            )
            for n in numbers
        ],
        batch_size=5_000,
    )
    if consent and count <= 500:
        consent_act(numbers, "granted", now - dt.timedelta(days=1))
    elif consent:
        purpose = Purpose.objects.get(key="advertising")
        earlier = now - dt.timedelta(days=1)
        ConsentState.objects.bulk_create(
            [ConsentState(profile_no=n, purpose=purpose, state="granted", since=earlier, record_no=0) for n in numbers],
            batch_size=5_000,
        )
    return numbers


def consent_withdraw(profile_no: int) -> None:
    """The person's own act, through the ledger; announces itself to the lists."""
    consent_act([profile_no], "withdrawn", utc_now())


def consent_act(numbers: Sequence[int], action: str, at: dt.datetime) -> None:
    with transaction.atomic():
        consents_record(
            [
                NewConsent(
                    identifier_no=number,
                    purpose="advertising",
                    action=action,
                    occurred_at=at,
                    received_at=at,
                    source_no=SOURCE_NO,
                    method="api",
                    idempotency_key=f"{action}-{number}-{time.monotonic_ns()}",
                )
                for number in numbers
            ]
        )


def members_set(segment: Segment, numbers: Sequence[int], *, version: int = 1) -> None:
    """What an evaluation would have found."""
    bitmap = bitmap_make(numbers)
    SegmentBitmap.objects.update_or_create(
        segment_no=segment.segment_no, defaults={"version": version, "bitmap": bitmap_pack(bitmap), "size": len(bitmap)}
    )


@dataclass
class Stage:
    """One audience at one network of the sandbox."""

    sandbox: SandboxTalk
    network: str
    segment: Segment
    target: AudienceTarget
    author: User
    policy: SendPolicy = FAST
    people: list[int] = field(default_factory=list)
    clock: Callable[[], dt.datetime] = utc_now

    def run(self, *, plan: bool | None = True) -> Turn:
        """One turn."""
        return target_run(self.target.pk, clock=self.clock, plan=plan, policy=self.policy)

    def poll(self) -> int:
        return batches_poll(self.clock(), target_no=self.target.pk, policy=self.policy)

    def turns(self, count: int) -> None:
        """Turns with polls between them, whatever becomes of them."""
        for _ in range(count):
            self.run()
            self.poll()
            time.sleep(0.15)

    def drain(self, seconds: float = 20.0) -> None:
        """Turns and polls until nothing is open: what worker and beat do together."""
        deadline = time.monotonic() + seconds
        while True:
            wishes_collect(self.clock())
            turn = self.run(plan=False)
            self.poll()
            waiting = SentEntry.objects.filter(target_no=self.target.pk, wanted=False).exists()
            if turn.state in {"done", "paused"} and is_settled([self.target.pk]) and not waiting:
                return
            if time.monotonic() > deadline:
                states = list(SyncBatch.objects.values_list("batch_key", "state", "attempts", "error", "outcome"))
                raise AssertionError(f"not settled: {turn}, {states}")
            time.sleep(0.05)

    def drain_wishes(self) -> None:
        """Read what consent and identity announced; send nothing."""
        wishes_collect(self.clock())

    def sync(self) -> Turn:
        """A whole run to the network's last word."""
        turn = self.run()
        self.drain()
        return turn

    @property
    def listed(self) -> list[str]:
        """Digests on the list at the network."""
        self.target.refresh_from_db()
        return self.sandbox.digests(self.target.external_id) if self.target.external_id else []

    def is_equal(self, numbers: Sequence[int]) -> bool:
        """Whether exactly these people stand on the list, there and in our books."""
        entries = SentEntry.objects.filter(target_no=self.target.pk, wanted=True)
        books = set(entries.exclude(is_on_list=False).values_list("profile_no", flat=True))
        return self.listed == sorted(digest_of(n) for n in numbers) and books == set(numbers)


def stage_make(
    sandbox: SandboxTalk, network: str, people: int = 0, *, policy: SendPolicy = FAST, key: str = "loyal"
) -> Stage:
    """Connection, purposes, segment with ``people`` members, audience without holdout, and the list's target."""
    slug = SLUGS[network]
    destination = destinations()[slug]
    destination_purposes_map(slug, ["advertising"], "test")
    connection_save(
        f"{network}_test",
        f"{destination.title} test",
        slug,
        base_url=f"{sandbox.base_url}/{destination.sandbox.path}",
        settings=destination.sandbox.settings,
        secrets=destination.sandbox.secrets,
        is_sandbox=True,
        actor="test",
    )
    author, _ = User.objects.get_or_create(username="author")
    numbers = people_make(people) if people else []
    segment = Segment.objects.create(key=key, title=key.title(), state="ready")
    version = SegmentVersion.objects.create(
        segment=segment, version=1, definition=EVERYBODY, fingerprint="0" * 64, sentence="All", created_by=author
    )
    Segment.objects.filter(pk=segment.pk).update(current_version=version)
    members_set(segment, numbers)
    audience_save(key, key.title(), key, ["advertising"], holdout_share=0, actor="test")
    target = audience_target_save(key, f"{network}_test", actor="test")
    return Stage(sandbox, network, segment, target, author, policy, numbers)
