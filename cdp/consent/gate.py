"""May these people be used for these purposes at this moment? Closed unless every purpose is granted.

Asked in the preview, when the audience is built and again in the moment of sending. Whatever is not known, not found or
not answered is a refusal.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import structlog
from django.db import DatabaseError, connection, transaction

from cdp.consent.models import DestinationPurpose
from cdp.consent.selectors import purpose_ids, suppressed_profiles
from cdp.core.copying import numbers_read, numbers_text
from cdp.core.errors import NeedsHumanError

__all__ = ["GateReason", "GateResult", "consent_gate", "destination_purposes"]

log = structlog.get_logger(__name__)

# Fewer people than this are looked up by number; for more the states of the purpose are read in one pass.
LOOK_UP_BY_NUMBER = 20_000


class GateReason(IntEnum):
    """Why somebody may not be used; of several reasons the largest is told. Names are stable."""

    ALLOWED = 0
    CONSENT_UNKNOWN = 1
    CONSENT_PENDING = 2
    CONSENT_EXPIRED = 3
    CONSENT_DENIED = 4
    CONSENT_WITHDRAWN = 5
    SUPPRESSED = 6
    NOT_A_PROFILE = 7
    PURPOSE_UNKNOWN = 8
    ERROR = 9


@dataclass(frozen=True, slots=True)
class GateResult:
    """``allowed`` and ``reason`` (GateReason as uint8), each ``(n,)`` in the order asked."""

    allowed: npt.NDArray[np.bool_]
    reason: npt.NDArray[np.uint8]

    def counts(self) -> dict[str, int]:
        """{reason name in lower case: people}, without zeros."""
        codes, n = np.unique(self.reason, return_counts=True)
        return {GateReason(code).name.lower(): int(count) for code, count in zip(codes, n, strict=True)}


def destination_purposes(slug: str) -> tuple[str, ...]:
    """The purposes that must all be granted before a person may go to this destination.

    Raises NeedsHumanError when nobody has mapped it: an unmapped destination is unusable.
    """
    row = DestinationPurpose.objects.filter(destination=slug).first()
    if row is None or not row.purposes:
        raise NeedsHumanError(
            f"The destination {slug} has no purposes yet. Map it to the purposes that its people must have granted.",
            code="destination_unmapped",
        )
    return tuple(row.purposes)


def consent_gate(profile_nos: npt.NDArray[np.int64], purposes: Sequence[str], at: dt.datetime) -> GateResult:
    """Ask for many people at once. Allowed are living profiles with every purpose granted at ``at`` and nothing suppressed.

    No purpose at all allows nobody. A database error answers ``ERROR`` for everybody, it never lets anybody through.
    """
    asked = np.ascontiguousarray(profile_nos, dtype=np.int64)
    try:
        with transaction.atomic():
            reason = _reasons(asked, purposes, at)
    except DatabaseError as error:
        log.error("consent_gate_failed", profiles=len(asked), error=type(error).__name__)  # noqa: TRY400 - a traceback would show values
        reason = np.full(len(asked), GateReason.ERROR, dtype=np.uint8)
    return GateResult(reason == GateReason.ALLOWED, reason)


def _reasons(asked: npt.NDArray[np.int64], purposes: Sequence[str], at: dt.datetime) -> npt.NDArray[np.uint8]:
    reason = np.zeros(len(asked), dtype=np.uint8)
    if not len(asked):
        return reason
    ids = purpose_ids()
    if not purposes or any(key not in ids for key in purposes):
        reason[:] = GateReason.PURPOSE_UNKNOWN
        return reason
    for key in dict.fromkeys(purposes):
        np.maximum(reason, _purpose_reasons(asked, ids[key], at), out=reason)
    reason[np.isin(asked, suppressed_profiles(asked))] = GateReason.SUPPRESSED
    reason[~np.isin(asked, _living(asked))] = GateReason.NOT_A_PROFILE
    return reason


def _purpose_reasons(asked: npt.NDArray[np.int64], purpose_id: int, at: dt.datetime) -> npt.NDArray[np.uint8]:
    query = """
        SELECT profile_no, CASE
            WHEN state = 'granted' AND (expires_at IS NULL OR expires_at > %s) AND since <= %s THEN 0
            WHEN state = 'granted' AND since <= %s THEN 3
            WHEN state = 'expired' THEN 3 WHEN state = 'pending' THEN 2
            WHEN state = 'denied' THEN 4 WHEN state = 'withdrawn' THEN 5 ELSE 1 END::bigint
        FROM cdp_consentstate WHERE purpose_id = %s
    """
    params: list[object] = [at, at, at, purpose_id]
    if len(asked) < LOOK_UP_BY_NUMBER:
        query, params = query + " AND profile_no = ANY(%s::bigint[])", [*params, numbers_text(asked)]
    with connection.cursor() as cursor:
        rows = numbers_read(cursor, query, params, columns=2)
    return _looked_up(asked, rows[:, 0], rows[:, 1].astype(np.uint8), GateReason.CONSENT_UNKNOWN)


def _looked_up(
    asked: npt.NDArray[np.int64], keys: npt.NDArray[np.int64], values: npt.NDArray[np.uint8], missing: int
) -> npt.NDArray[np.uint8]:
    """The value of each asked key, ``missing`` where there is none."""
    out = np.full(len(asked), missing, dtype=np.uint8)
    if len(keys):
        order = np.argsort(keys)
        keys, values = keys[order], values[order]
        at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        found = keys[at] == asked
        out[found] = values[at[found]]
    return out


def _living(asked: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    query = "SELECT profile_no FROM cdp_profile WHERE erased_at IS NULL AND merged_into_no IS NULL"
    params: list[object] = []
    if len(asked) < LOOK_UP_BY_NUMBER:
        query, params = query + " AND profile_no = ANY(%s::bigint[])", [numbers_text(asked)]
    with connection.cursor() as cursor:
        return numbers_read(cursor, query, params)[:, 0]
