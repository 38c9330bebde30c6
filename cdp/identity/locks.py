"""One resolver, merge or erasure at a time.

Lock order everywhere: the ledger (``cdp.events.locks``), then this, then identifiers, then profiles by ascending number.
"""

from django.db import connection

from cdp.events.locks import LOCK_SPACE

__all__ = ["identity_lock"]

IDENTITY_LOCK = 20


def identity_lock() -> None:
    """Hold identity alone until the caller's transaction ends. Raises RuntimeError outside a transaction."""
    if not connection.in_atomic_block:
        raise RuntimeError("identity_lock needs an open transaction")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, IDENTITY_LOCK])
