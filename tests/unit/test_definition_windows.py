"""Whole days begin at midnight of the workspace's zone; clock changes, skipped midnights and the year 1970 included."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from segments.definition.nodes import BetweenDaysAgo, Dates, Ever, Last, Window
from segments.definition.windows import last_days, midnight, window_instants, zone_offsets

UTC = dt.UTC
PARIS, SAO_PAULO = ZoneInfo("Europe/Paris"), ZoneInfo("America/Sao_Paulo")
AS_OF = dt.datetime(2026, 3, 30, 10, 15, tzinfo=UTC)  # the day after the clock went forward in Paris


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        (Ever(), None, AS_OF),
        (Last(hours=1), utc(2026, 3, 30, 9, 15), AS_OF),
        (Last(days=1), utc(2026, 3, 28, 23), AS_OF),  # 29 March began at 23:00 UTC and had 23 hours
        (Last(days=2), utc(2026, 3, 27, 23), AS_OF),
        (BetweenDaysAgo(2, 1), utc(2026, 3, 27, 23), utc(2026, 3, 28, 23)),
        (BetweenDaysAgo(1, 0), utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),
        (Dates(dt.date(2026, 1, 1), dt.date(2026, 2, 1)), utc(2025, 12, 31, 23), utc(2026, 1, 31, 23)),
        (
            Dates(dt.date(2026, 1, 1), dt.date(2027, 1, 1)),
            utc(2025, 12, 31, 23),
            AS_OF,
        ),  # the future does not count yet
        (Dates(None, dt.date(2026, 2, 1)), None, utc(2026, 1, 31, 23)),
        (Last(days=36_500), midnight(dt.date(1926, 4, 24), PARIS), AS_OF),
    ],
)
def test_windows(window: Window, start: dt.datetime | None, end: dt.datetime) -> None:
    assert window_instants(window, AS_OF, PARIS) == (start, end)


def test_a_skipped_midnight_begins_an_hour_later() -> None:
    assert midnight(dt.date(2018, 11, 4), SAO_PAULO) == utc(2018, 11, 4, 3)
    assert midnight(dt.date(2018, 11, 3), SAO_PAULO) == utc(2018, 11, 3, 3)
    assert midnight(dt.date(2018, 11, 5), SAO_PAULO) == utc(2018, 11, 5, 2)


def test_days_at_the_beginning_of_time() -> None:
    assert last_days(36_500, utc(1975, 1, 1), PARIS).start_day == dt.date(1900, 1, 1)


@pytest.mark.parametrize(
    "zone", [PARIS, SAO_PAULO, ZoneInfo("Asia/Kathmandu"), ZoneInfo("UTC"), ZoneInfo("Australia/Lord_Howe")]
)
def test_offsets_say_what_the_zone_says(zone: ZoneInfo) -> None:
    steps = zone_offsets(zone, utc(2015, 1, 1), utc(2021, 1, 1))
    at = utc(2015, 1, 1)
    while at < utc(2021, 1, 1):
        offset = [seconds for since, seconds in steps if since is None or since <= at][-1]
        assert dt.timedelta(seconds=offset) == at.astimezone(zone).utcoffset()
        at += dt.timedelta(minutes=30)


def test_offsets_of_ever_start_in_1970() -> None:
    assert zone_offsets(ZoneInfo("UTC"), None, AS_OF) == ((None, 0),)
    assert len(zone_offsets(PARIS, None, AS_OF)) > 90
