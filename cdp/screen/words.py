"""Numbers, times and ids as people read them: 23,570 · 5.2 % · $120 · ×0.86 · −484 · 3 min 38. Nothing known is –."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

NOTHING = "–"
NARROW = "\u00a0"  # a number and its unit stay on one line
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
Number = int | float | Decimal


def number(value: Number | None, digits: int = 0) -> str:
    """23,570 or 0.27; – when nothing is known."""
    if value is None:
        return NOTHING
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−")


def share(value: Number | None, digits: int = 1) -> str:
    """A share of one as a percentage: 0.052 → 5.2 %."""
    return NOTHING if value is None else f"{number(float(value) * 100, digits)}{NARROW}%"


def money(value: Number | None, currency: str, digits: int = 0) -> str:
    """$120, −$3.50, CHF 120."""
    if value is None:
        return NOTHING
    sign = "−" if value < 0 else ""
    symbol = SYMBOLS.get(currency, currency + NARROW)
    size: Number = -value if value < 0 else value
    return f"{sign}{symbol}{number(size, digits)}"


def signed(value: Number | None) -> str:
    """+312, −484, 0."""
    if value is None:
        return NOTHING
    return f"+{number(value)}" if value > 0 else number(value)


def factor(value: Number | None, digits: int = 2) -> str:
    """×0.86."""
    return NOTHING if value is None else f"×{number(value, digits)}"


def duration(seconds: Number | None) -> str:
    """0.8 s, 38 s, 3 min 38, 3 h 12, 5 days."""
    if seconds is None:
        return NOTHING
    seconds = max(float(seconds), 0.0)
    if seconds < 10:
        return f"{seconds:.1f}{NARROW}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}{NARROW}s"
    if whole < 3_600:
        return f"{whole // 60}{NARROW}min{NARROW}{whole % 60:02d}"
    if whole < 2 * 86_400:
        return f"{whole // 3_600}{NARROW}h{NARROW}{whole % 3_600 // 60:02d}"
    return f"{whole // 86_400}{NARROW}days"


def ago(moment: dt.datetime | None, now: dt.datetime) -> str:
    """just now, 14 min ago, 3 h ago, 5 days ago."""
    if moment is None:
        return "never"
    seconds = int((now - moment).total_seconds())
    if seconds < 0:
        return f"in {duration(-seconds)}"
    if seconds < 45:
        return "just now"
    if seconds < 3_600:
        return f"{max(seconds // 60, 1)} min ago"
    if seconds < 86_400:
        return f"{seconds // 3_600} h ago"
    days = seconds // 86_400
    return f"{days} {'day' if days == 1 else 'days'} ago"


def day(moment: dt.datetime | dt.date | None, today: dt.date) -> str:
    """today, 14 Oct, 3 Oct 2025. ``moment`` already stands in the workspace's time zone."""
    if moment is None:
        return NOTHING
    date = moment.date() if isinstance(moment, dt.datetime) else moment
    if date == today:
        return "today"
    text = f"{date.day} {date:%b}"
    return text if date.year == today.year else f"{text} {date.year}"


def short_id(profile_id: UUID | str) -> str:
    """p_2b71…d8: from the random end of the id, since its head is a time."""
    digits = UUID(str(profile_id)).hex
    return f"p_{digits[-8:-4]}…{digits[-2:]}"


def counted(value: int, one: str, many: str) -> str:
    """1 person, 5 people."""
    return f"{number(value)} {one if value == 1 else many}"
