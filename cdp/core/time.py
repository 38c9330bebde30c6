"""Time: aware, UTC, and read from the clock only at the edges."""

import datetime as dt

UTC = dt.UTC


def utc_now() -> dt.datetime:
    """The present, aware UTC. Called by edges only; everything below takes ``as_of``."""
    return dt.datetime.now(UTC)


def parse_timestamp(text: str) -> dt.datetime:
    """ISO 8601 to aware UTC; a time without an offset is read as UTC.

    Raises ValueError when the text is no timestamp or lies outside the years 1970 to 2100.
    """
    value = dt.datetime.fromisoformat(text.strip())
    value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if not 1970 <= value.year <= 2100:
        raise ValueError(f"the year {value.year} lies outside 1970 to 2100")
    return value
