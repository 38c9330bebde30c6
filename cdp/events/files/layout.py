"""Where an event file lies and which rows it may hold."""

import datetime as dt
import secrets

__all__ = ["MAX_BUCKETS", "PREFIXES", "buckets_for", "compacted_key", "hot_key", "month_after", "month_of"]

PREFIXES = ("hot/", "compacted/")
MAX_BUCKETS = 16
ROWS_PER_BUCKET = 65_536


def hot_key(day: dt.date, first_event_no: int, last_event_no: int) -> str:
    """A new key for one flush. Never the same twice, so that a leftover of a killed run is in nobody's way."""
    return f"hot/day={day:%Y-%m-%d}/{first_event_no:012}-{last_event_no:012}-{secrets.token_hex(4)}.parquet"


def compacted_key(month: dt.date, bucket: int, buckets: int) -> str:
    """A new key for one occurred month and one hash bucket."""
    return f"compacted/month={month:%Y-%m}/bucket={bucket:02}-of-{buckets:02}/{secrets.token_hex(8)}.parquet"


def buckets_for(rows: int) -> int:
    """How many hash buckets a month of ``rows`` is cut into: the power of two that keeps files near 64 Ki rows, ≤ 16.

    Bucket of a row: ``identifier_no % buckets``. See docs/decisions/0005-buckets-grow-with-the-month.md.
    """
    wanted = max(rows, 1) // ROWS_PER_BUCKET
    return min(MAX_BUCKETS, 1 << max(wanted.bit_length() - 1, 0))


def month_of(moment: dt.datetime | dt.date) -> dt.date:
    """First day of the month."""
    return dt.date(moment.year, moment.month, 1)


def month_after(month: dt.date) -> dt.date:
    """First day of the next month."""
    return dt.date(month.year + month.month // 12, month.month % 12 + 1, 1)
