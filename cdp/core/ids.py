"""Numbers and ids that tables share.

A ``*_no`` is a dense 64-bit number given out by PostgreSQL; a ``*_id`` is opaque and may be shown.
"""

import secrets
import time
import uuid
from typing import NewType

ProfileNo = NewType("ProfileNo", int)
IdentifierNo = NewType("IdentifierNo", int)
SourceNo = NewType("SourceNo", int)
EventNo = NewType("EventNo", int)


def uuid7() -> uuid.UUID:
    """A time-ordered UUID (RFC 9562 §5.7): 48 bits of Unix milliseconds, 74 random bits."""
    value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
