"""When did it really happen, if the sender's clock is wrong?

The sender stamps the event (``timestamp``) and the request (``sentAt``) with the same clock, so their distance is true even
when the clock is not: occurred = received - (sentAt - timestamp). Segment and RudderStack do the same.
"""

import datetime as dt

from cdp.core.errors import RejectedError
from cdp.core.time import UTC, parse_timestamp

FUTURE_LIMIT = dt.timedelta(hours=24)
OLDEST = dt.datetime(1970, 1, 1, tzinfo=UTC)
SECONDS_LIMIT = 100_000_000_000  # larger epoch numbers are milliseconds: as seconds they would lie beyond the year 5000


def moment_parse(value: object) -> dt.datetime:
    """ISO 8601 text, or seconds or milliseconds since 1970, to aware UTC. Raises ValueError."""
    match value:
        case bool():
            raise ValueError("a truth value is no time")
        case int() | float():
            seconds = value / 1000 if abs(value) >= SECONDS_LIMIT else value
            try:
                moment = dt.datetime.fromtimestamp(seconds, UTC)
            except (OverflowError, OSError) as error:
                raise ValueError("the number lies outside the years 1970 to 2100") from error
            if not 1970 <= moment.year <= 2100:
                raise ValueError("the number lies outside the years 1970 to 2100")
            return moment
        case str():
            try:
                return parse_timestamp(value[:64])
            except OverflowError as error:
                raise ValueError("the time lies outside the years 1970 to 2100") from error
        case _:
            raise ValueError("a time is an ISO 8601 text or a number")


def moment_or_none(value: object) -> dt.datetime | None:
    """``value`` as a moment, None when it is none: ``sentAt`` only helps, so a broken one costs nothing."""
    try:
        return None if value is None else moment_parse(value)
    except ValueError:
        return None


def occurred_at_resolve(timestamp: object, sent_at: dt.datetime | None, received_at: dt.datetime) -> dt.datetime:
    """The corrected moment; without a ``timestamp`` it is the receipt. More than 24 h ahead of the receipt is the receipt.

    Raises RejectedError for a timestamp that is none, or that lands before 1970.
    """
    if timestamp is None or timestamp == "":
        return received_at
    try:
        stated = moment_parse(timestamp)
    except ValueError as error:
        raise RejectedError(
            "timestamp must be ISO 8601, like 2026-11-23T18:30:00Z, between the years 1970 and 2100.",
            code="timestamp",
            field="timestamp",
        ) from error
    occurred = stated if sent_at is None else received_at - (sent_at - stated)
    if occurred < OLDEST:
        raise RejectedError(
            "timestamp and sentAt are too far apart; send both from one clock.", code="timestamp", field="timestamp"
        )
    return received_at if occurred > received_at + FUTURE_LIMIT else occurred
