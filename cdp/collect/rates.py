"""How fast one source may send: a token bucket that all web processes share, in one statement."""

import math

from django.db import connection

BURST_SECONDS = 2.0

# A source that has any token left may spend more than it has, so that a large batch is never refused for its size alone.
_TAKE = """
INSERT INTO cdp_ratebucket AS b (source_no, tokens, refilled_at)
VALUES (%(source_no)s, %(burst)s - %(calls)s, clock_timestamp())
ON CONFLICT (source_no) DO UPDATE SET
    tokens = least(%(burst)s, b.tokens + %(rate)s * extract(epoch FROM clock_timestamp() - b.refilled_at)) - %(calls)s,
    refilled_at = clock_timestamp()
WHERE b.tokens + %(rate)s * extract(epoch FROM clock_timestamp() - b.refilled_at) > 0
RETURNING tokens
"""
_WAIT = """
SELECT (1 - tokens) / %(rate)s - extract(epoch FROM clock_timestamp() - refilled_at)
FROM cdp_ratebucket WHERE source_no = %(source_no)s
"""


def calls_allow(source_no: int, calls: int, rate_per_second: int) -> int:
    """0 when ``calls`` may go on (and are taken off), else the seconds to wait. Atomic over all processes."""
    binds = {
        "source_no": source_no,
        "calls": calls,
        "rate": float(rate_per_second),
        "burst": rate_per_second * BURST_SECONDS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, binds)
        if cursor.fetchone():
            return 0
        cursor.execute(_WAIT, binds)
        row = cursor.fetchone()
    return max(1, math.ceil(row[0])) if row else 1
