"""Who of an audience may be delivered now? Members, less the holdout, less whoever lacks consent or is suppressed.

The waterfall is exact and its steps add up. Activation asks again in the moment of sending.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap64

from cdp.consent.gate import GateReason, consent_gate
from cdp.core.errors import NeedsHumanError
from segments.audiences.engine import Needs, engine_open
from segments.audiences.memberships import Numbers, bitmap_read, numbers_of
from segments.audiences.models import Audience, SegmentBitmap
from segments.definition.compile import definition_compile
from segments.definition.nodes import Sampled
from segments.definition.sampling import share_threshold

__all__ = ["Wanted", "audience_wanted", "held_out_find"]

HOLDOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """The people to deliver, and everybody who was taken off, by the first step that did it."""

    wanted: BitMap64
    members: BitMap64
    held_out: BitMap64
    no_consent: BitMap64
    suppressed: BitMap64
    segment_version: int

    def counts(self) -> dict[str, int]:
        """The waterfall: members − held_out − no_consent − suppressed = wanted."""
        return {
            "members": len(self.members),
            "held_out": len(self.held_out),
            "no_consent": len(self.no_consent),
            "suppressed": len(self.suppressed),
            "wanted": len(self.wanted),
        }


def audience_wanted(audience: Audience, destination_purposes: Sequence[str], now: dt.datetime) -> Wanted:
    """Apply the steps to the segment's last good members.

    Asks for the audience's own purposes and the destination's together. Raises NeedsHumanError when there is no purpose
    at all, or when the segment has never been counted: an unknown audience is not an empty one.
    """
    purposes = tuple(dict.fromkeys([*audience.purposes, *destination_purposes]))
    if not purposes:
        message = (
            f"The audience {audience.key} and its destination name no purpose. Choose what people must have granted."
        )
        raise NeedsHumanError(message, code="no_purpose")
    counted = SegmentBitmap.objects.filter(segment_no=audience.segment_id).only("version").first()
    if counted is None:
        message = f"The segment of the audience {audience.key} has not been counted yet. Wait for its first count."
        raise NeedsHumanError(message, code="not_counted")
    members = bitmap_read(audience.segment_id)
    held_out = held_out_find(audience.holdout_salt, audience.holdout_share) & members
    asked = numbers_of(members - held_out)
    reason = consent_gate(asked, purposes, now).reason
    allowed = asked[reason == GateReason.ALLOWED]
    suppressed = asked[reason == GateReason.SUPPRESSED]
    no_consent = asked[(reason != GateReason.ALLOWED) & (reason != GateReason.SUPPRESSED)]
    return Wanted(
        wanted=BitMap64(allowed),
        members=members,
        held_out=held_out,
        no_consent=BitMap64(no_consent),
        suppressed=BitMap64(suppressed),
        segment_version=counted.version,
    )


def held_out_find(salt: str, share: float) -> BitMap64:
    """Everybody, member or not, whom this salt and share hold out. The same people as ``sampling.is_sampled``."""
    if share <= 0:
        return BitMap64()
    with engine_open() as engine:
        tables = engine.tables(Needs())
        found = engine.arrays(
            definition_compile(Sampled(salt, share_threshold(share)), tables), seconds=HOLDOUT_SECONDS
        )
    numbers: Numbers = np.asarray(found["profile_no"], dtype=np.int64)
    return BitMap64(numbers)
