"""One resolver, merge or erasure at a time.

Lock order everywhere: the ledger (``cdp.events.locks``), then this, then identifiers, then profiles by ascending number.
"""

from django.db import connection

from cdp.events.locks import LOCK_SPACE

__all__ = ["identity_lock", "identity_lock_try"]

IDENTITY_LOCK = 20


def identity_lock() -> None:
    """Hold identity alone until the caller's transaction ends. Raises RuntimeError outside a transaction."""
    _transaction_demand()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, IDENTITY_LOCK])


def identity_lock_try() -> bool:
    """As ``identity_lock`` when nobody holds it; otherwise False at once."""
    _transaction_demand()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK_SPACE, IDENTITY_LOCK])
        return bool(cursor.fetchone()[0])


def _transaction_demand() -> None:
    if not connection.in_atomic_block:
        raise RuntimeError("the identity lock needs an open transaction")
