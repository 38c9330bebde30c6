"""Who belongs to a stable random share: holdouts and sample rows.

The first 8 bytes of SHA-256 of ``salt:profile_id``, read as a big-endian unsigned number, lie below ``share × 2**64``.
Engines compare the hex digest as text with ``threshold_hex``: hex digits sort like the numbers they write.
"""

import hashlib
import math
import uuid

WHOLE = 2**64
ABOVE_ALL_DIGESTS = "g"


def share_threshold(share: float) -> int:
    """The bound for a share: exact, since scaling a float by a power of two loses nothing."""
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    return math.ceil(share * WHOLE)


def threshold_hex(threshold: int) -> str:
    """The bound as text that every smaller digest sorts below; 2**64 itself becomes ``g``, above every digest."""
    return ABOVE_ALL_DIGESTS if threshold >= WHOLE else f"{threshold:016x}"


def is_sampled(salt: str, profile_id: uuid.UUID | str, threshold: int) -> bool:
    """Whether this person belongs to the share."""
    digest = hashlib.sha256(f"{salt}:{profile_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < threshold
