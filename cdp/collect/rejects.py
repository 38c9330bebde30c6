"""What was not taken is kept: field, code, reason, and the sample itself, encrypted."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from cdp.access.keys import keyring
from cdp.collect.models import Reject
from cdp.core.errors import Problem

SAMPLE_CONTEXT = b"cdp_reject.sample"
SAMPLE_BYTES = 32 * 1024
KEEP_DAYS = 30


@dataclass(frozen=True, slots=True)
class NewReject:
    """One refusal. ``line`` and ``run_no`` belong to files, ``message_id`` to calls."""

    source_no: int
    problem: Problem
    sample: bytes = b""
    message_id: str = ""
    run_no: int | None = None
    line: int | None = None


def rejects_record(rows: Iterable[NewReject], received_at: dt.datetime) -> int:
    """Store refusals in the caller's transaction; returns how many."""
    ring = keyring()
    made = Reject.objects.bulk_create(
        Reject(
            source_id=row.source_no,
            import_run_id=row.run_no,
            line=row.line,
            message_id=row.message_id.replace("\x00", "")[:200],
            field=row.problem.field.replace("\x00", "")[:120],
            code=row.problem.code[:40],
            reason=row.problem.message.replace("\x00", "")[:300],
            sample_encrypted=(
                ring.encrypt(row.sample[:SAMPLE_BYTES].decode("utf-8", "replace"), context=SAMPLE_CONTEXT)
                if row.sample
                else None
            ),
            received_at=received_at,
        )
        for row in rows
    )
    return len(made)


def reject_sample(reject: Reject) -> str:
    """The refused item or line as it came. Personal data: callers ask for permission and write an audit entry first."""
    sealed = reject.sample_encrypted
    return "" if sealed is None else keyring().decrypt(bytes(sealed), context=SAMPLE_CONTEXT)


def rejects_sweep(now: dt.datetime, *, keep_days: int = KEEP_DAYS) -> int:
    """Remove refusals older than ``keep_days``; returns how many."""
    removed, _ = Reject.objects.filter(received_at__lt=now - dt.timedelta(days=keep_days)).delete()
    return removed
