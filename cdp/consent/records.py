"""The row that other slices hand to the consent ledger."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["NewConsent"]


@dataclass(frozen=True, slots=True)
class NewConsent:
    """One act of one identifier about one purpose (its key).

    ``idempotency_key`` is unique per source and purpose: the same key again has no effect.
    """

    identifier_no: int
    purpose: str
    action: str
    occurred_at: dt.datetime
    received_at: dt.datetime
    source_no: int
    method: str
    idempotency_key: str
    notice_version: str = ""
    locale: str = ""
    jurisdiction: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)
