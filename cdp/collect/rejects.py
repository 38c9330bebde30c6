"""What was not taken is kept: field, code, reason, and the sample itself, encrypted."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from cdp.access.keys import keyring
from cdp.collect.bodies import around_unpack
from cdp.collect.glimpses import glimpse_raw
from cdp.collect.models import Reject
from cdp.core.errors import Problem

SAMPLE_CONTEXT = b"cdp_reject.sample"
AROUND_CONTEXT = b"cdp_reject.around"
SAMPLE_BYTES = 32 * 1024
MESSAGE_ID_CHARS = 200
KEEP_DAYS = 30


@dataclass(frozen=True, slots=True)
class NewReject:
    """One refusal. ``line`` and ``run_no`` belong to files; ``message_id`` and what follows ``line`` to calls.

    ``around`` is what the request said for all its calls. ``is_kept``: the rest of the call was taken. ``holds_key``:
    refused after it had been accepted, so its message id counts as seen.
    """

    source_no: int
    problem: Problem
    sample: bytes = b""
    message_id: str = ""
    run_no: int | None = None
    line: int | None = None
    around: bytes = b""
    is_kept: bool = False
    holds_key: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether what is kept suffices to send the call through the checks again."""
        if not self.sample or self.is_kept or self.run_no is not None or len(self.message_id) > MESSAGE_ID_CHARS:
            return False
        return len(self.sample) <= SAMPLE_BYTES and (self.holds_key or bool(self.around)) and _is_utf8(self.sample)


def _is_utf8(sample: bytes) -> bool:
    try:
        sample.decode()
    except UnicodeDecodeError:
        return False
    return True


def rejects_record(rows: Iterable[NewReject], received_at: dt.datetime) -> int:
    """Store refusals in the caller's transaction; returns how many."""
    return len(Reject.objects.bulk_create(_reject(row, received_at) for row in rows))


def _reject(row: NewReject, received_at: dt.datetime) -> Reject:
    seen = glimpse_raw(row.sample if row.run_no is None else b"")
    return Reject(
        source_id=row.source_no,
        import_run_id=row.run_no,
        line=row.line,
        message_id=row.message_id.replace("\x00", "")[:MESSAGE_ID_CHARS],
        field=row.problem.field.replace("\x00", "")[:120],
        code=row.problem.code[:40],
        reason=row.problem.message.replace("\x00", "")[:300],
        sample_encrypted=(
            keyring().encrypt(row.sample[:SAMPLE_BYTES].decode("utf-8", "replace"), context=SAMPLE_CONTEXT)
            if row.sample
            else None
        ),
        around_encrypted=(
            keyring().encrypt(row.around.decode(), context=AROUND_CONTEXT) if row.around and row.is_whole else None
        ),
        kind=seen.kind or (around_unpack(row.around, b"")[1] or "" if row.around else ""),
        name=seen.name,
        person=seen.person,
        is_kept=row.is_kept,
        is_whole=row.is_whole,
        holds_key=row.holds_key,
        received_at=received_at,
    )


def reject_sample(reject: Reject) -> str:
    """The refused item or line as it came. Personal data: callers ask for permission and write an audit entry first."""
    sealed = reject.sample_encrypted
    return "" if sealed is None else keyring().decrypt(bytes(sealed), context=SAMPLE_CONTEXT)


def reject_around(reject: Reject) -> bytes:
    """What the request of a refused call said for all its calls (``around_pack``). Personal data too."""
    sealed = reject.around_encrypted
    return b"" if sealed is None else keyring().decrypt(bytes(sealed), context=AROUND_CONTEXT).encode()


def rejects_sweep(now: dt.datetime, *, keep_days: int = KEEP_DAYS) -> int:
    """Remove refusals older than ``keep_days``; returns how many."""
    removed, _ = Reject.objects.filter(received_at__lt=now - dt.timedelta(days=keep_days)).delete()
    return removed
