"""Where an event file lies and which rows it may hold."""

import datetime as dt
import secrets

import numpy as np

__all__ = [
    "MAX_BUCKETS",
    "PREFIXES",
    "bucket_of",
    "bucket_sql",
    "buckets_for",
    "compacted_key",
    "hot_key",
    "month_after",
    "month_of",
]

PREFIXES = ("hot/", "compacted/")
MAX_BUCKETS = 16
ROWS_PER_BUCKET = 65_536

Longs = np.ndarray[tuple[int], np.dtype[np.int64]]
_MULTIPLIER, _LOW_31_BITS, _SHIFT = 2_654_435_761, 2**31 - 1, 27


def hot_key(day: dt.date, first_event_no: int, last_event_no: int) -> str:
    """A new key for one flush. Never the same twice, so that a leftover of a killed run is in nobody's way."""
    return f"hot/day={day:%Y-%m-%d}/{first_event_no:012}-{last_event_no:012}-{secrets.token_hex(4)}.parquet"


def compacted_key(month: dt.date, bucket: int, buckets: int) -> str:
    """A new key for one occurred month and one hash bucket."""
    return f"compacted/month={month:%Y-%m}/bucket={bucket:02}-of-{buckets:02}/{secrets.token_hex(8)}.parquet"


def buckets_for(rows: int) -> int:
    """How many hash buckets a month of ``rows`` is cut into: the power of two that keeps files near 64 Ki rows, ≤ 16.

    Bucket of a row: ``bucket_of`` its identifier. See docs/decisions/0005-buckets-grow-with-the-month.md.
    """
    wanted = max(rows, 1) // ROWS_PER_BUCKET
    return min(MAX_BUCKETS, 1 << max(wanted.bit_length() - 1, 0))


def bucket_of[Numbers: (int, Longs)](identifier_no: Numbers, buckets: int) -> Numbers:
    """The hash bucket of an identifier's rows, for one number or an array of int64. ``buckets`` is a power of two ≤ 16.

    Multiplicative (Knuth, TAOCP 3, 6.4): numbers given out in steps (people who bring two identifiers each) spread evenly.
    The bucket of fewer buckets is the finest bucket modulo their number. The product stays below 2^63.
    """
    return (((identifier_no & _LOW_31_BITS) * _MULTIPLIER) >> _SHIFT) & (buckets - 1)


def bucket_sql(identifier_no: str, buckets: str) -> str:
    """``bucket_of`` as DuckDB SQL over two columns."""
    return f"(((({identifier_no} & {_LOW_31_BITS}) * {_MULTIPLIER}) >> {_SHIFT}) & ({buckets} - 1))"


def month_of(moment: dt.datetime | dt.date) -> dt.date:
    """First day of the month."""
    return dt.date(moment.year, moment.month, 1)


def month_after(month: dt.date) -> dt.date:
    """First day of the next month."""
    return dt.date(month.year + month.month // 12, month.month % 12 + 1, 1)
