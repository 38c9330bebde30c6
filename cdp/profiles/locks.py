"""One writer of people at a time.

Resolving, traits, consent, merges and erasures of one transaction touch the same people in different orders; row locks
would deadlock, and a merge between two of the steps would lose what the other said. One advisory lock for all of them is
simple and costs nothing measurable, since a chunk of thousands is one transaction. Readers never wait.

Lock order everywhere: the ledger (``cdp.events.locks``), then this, then whatever rows.
"""

from django.db import connection

from cdp.events.locks import LOCK_SPACE, ledger_write_lock

__all__ = ["people_lock"]

PEOPLE_LOCK = 20


def people_lock() -> None:
    """Write people alone until the caller's transaction ends; takes the ledger's lock first. Free when held already.

    Raises RuntimeError outside a transaction, where the lock would protect nothing.
    """
    ledger_write_lock()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, PEOPLE_LOCK])
