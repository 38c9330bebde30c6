"""When counts: reading a window, and turning whole days of the workspace's time zone into UTC instants.

All time-zone arithmetic of the language happens here, before a rule is compiled; rules compare instants only.
"""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from segments.definition.limits import MAX_DAYS
from segments.definition.nodes import BetweenDaysAgo, Dates, Days, Ever, Last, Window
from segments.definition.reading import Reader, calendar_day, join

UTC = dt.UTC
ONE_DAY = dt.timedelta(days=1)
ONE_WEEK = dt.timedelta(days=7)
EARLIEST_OFFSET_YEAR = 1970


def window_parse(reader: Reader, item: object, path: str) -> Window | None:
    """A window, or None and problems in ``reader``."""
    if not isinstance(item, dict) or "type" not in item:
        reader.wrong(path, "wrong_type", 'Expected an object with "type".')
        return None
    match reader.choice(item["type"], join(path, "type"), ("ever", "last", "between_days_ago", "dates")):
        case "ever":
            return Ever() if reader.has_keys(item, path, ("type",)) else None
        case "last":
            return _last(reader, item, path)
        case "between_days_ago":
            return _between_days_ago(reader, item, path)
        case "dates":
            return _dates(reader, item, path)
        case _:
            return None


def _last(reader: Reader, item: dict[str, Any], path: str) -> Last | None:
    unit = "hours" if "hours" in item else "days"
    if not reader.has_keys(item, path, ("type", unit)):
        return None
    number = reader.whole(item[unit], join(path, unit), 1, MAX_DAYS)
    if number is None:
        return None
    return Last(hours=number) if unit == "hours" else Last(days=number)


def _between_days_ago(reader: Reader, item: dict[str, Any], path: str) -> BetweenDaysAgo | None:
    if not reader.has_keys(item, path, ("type", "start_days", "end_days")):
        return None
    start = reader.whole(item["start_days"], join(path, "start_days"), 1, MAX_DAYS)
    end = reader.whole(item["end_days"], join(path, "end_days"), 0, MAX_DAYS)
    if start is None or end is None:
        return None
    if start <= end:
        reader.wrong(join(path, "start_days"), "invalid_number", "start_days must lie further back than end_days.")
        return None
    return BetweenDaysAgo(start, end)


def _dates(reader: Reader, item: dict[str, Any], path: str) -> Dates | None:
    if not reader.has_keys(item, path, ("type",), ("from", "to")):
        return None
    sides: dict[str, dt.date] = {}
    for key in item.keys() & {"from", "to"}:
        day = calendar_day(item[key])
        if day is None:
            reader.wrong(join(path, key), "invalid_date", "Enter a day as YYYY-MM-DD, from 1970 to 2100.")
            return None
        sides[key] = day
    start, end = sides.get("from"), sides.get("to")
    if start is None and end is None:
        reader.wrong(path, "missing", 'Enter "from", "to" or both.')
        return None
    if start and end and start >= end:
        reader.wrong(join(path, "to"), "invalid_date", '"to" is the first day left out, so it lies after "from".')
        return None
    return Dates(start, end)


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The UTC instant at which ``day`` begins in ``zone``; where midnight is skipped, the first instant after it."""
    local = dt.datetime(day.year, day.month, day.day, tzinfo=zone)
    return local.astimezone(UTC)


def days_of(start: dt.date | None, end: dt.date | None, zone: ZoneInfo) -> Days:
    """The whole days [start, end) of ``zone``, as instants and as calendar days."""
    return Days(
        midnight(start, zone) if start else None,
        midnight(end, zone) if end else None,
        start,
        end,
    )


def last_days(days: int, as_of: dt.datetime, zone: ZoneInfo) -> Days:
    """From midnight ``days`` ago up to ``as_of``; today counts as a calendar day."""
    today = as_of.astimezone(zone).date()
    start = days_before(today, days)
    return Days(midnight(start, zone), as_of.astimezone(UTC), start, today + ONE_DAY)


def window_instants(window: Window, as_of: dt.datetime, zone: ZoneInfo) -> tuple[dt.datetime | None, dt.datetime]:
    """[start, end) of a window in UTC; the end is never after ``as_of``, so that the future does not count yet."""
    now = as_of.astimezone(UTC)
    today = as_of.astimezone(zone).date()
    match window:
        case Ever():
            return None, now
        case Last(days=days, hours=hours):
            if days is None:
                return now - dt.timedelta(hours=hours or 0), now
            return midnight(days_before(today, days), zone), now
        case BetweenDaysAgo(start_days=start_days, end_days=end_days):
            end = midnight(days_before(today, end_days), zone)
            return midnight(days_before(today, start_days), zone), end
        case Dates(start=start, end=end_day):
            end = midnight(end_day, zone) if end_day else now
            return midnight(start, zone) if start else None, min(end, now)


def days_before(day: dt.date, days: int) -> dt.date:
    """``days`` earlier, but not before the year 1900, which is as good as ever."""
    earliest = dt.date(1900, 1, 1)
    return day - dt.timedelta(days=days) if (day - earliest).days > days else earliest


def zone_offsets(
    zone: ZoneInfo, start_at: dt.datetime | None, end_at: dt.datetime
) -> tuple[tuple[dt.datetime | None, int], ...]:
    """Steps of the zone's offset over [start_at, end_at): (from this instant on, seconds east of UTC), oldest first.

    The first step has no instant. Changes before 1970 are left out, since no event is older.
    """
    first = start_at or dt.datetime(EARLIEST_OFFSET_YEAR, 1, 1, tzinfo=UTC)
    steps: list[tuple[dt.datetime | None, int]] = [(None, _offset(zone, first))]
    day = first
    while day < end_at:
        after = min(day + ONE_WEEK, end_at)
        if _offset(zone, after) != steps[-1][1]:
            steps.append((_change_between(zone, day, after), _offset(zone, after)))
        day = after
    return tuple(steps)


def _offset(zone: ZoneInfo, at: dt.datetime) -> int:
    delta = at.astimezone(zone).utcoffset()
    return int(delta.total_seconds()) if delta is not None else 0


def _change_between(zone: ZoneInfo, before: dt.datetime, after: dt.datetime) -> dt.datetime:
    """The first instant (to the second) in (before, after] with the offset that holds at ``after``."""
    low, high = int(before.timestamp()), int(after.timestamp())
    target = _offset(zone, after)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, dt.datetime.fromtimestamp(middle, UTC)) == target:
            high = middle
        else:
            low = middle
    return dt.datetime.fromtimestamp(high, UTC)
