"""Single cells: dates, amounts, counts, as people and exports write them. What could mean two things is refused."""

import datetime as dt
import re
from decimal import Decimal

from cdp.collect.order_facts import AMOUNT_LIMIT, CENT_PARTS
from cdp.collect.times import moment_parse
from cdp.core.errors import RejectedError
from cdp.core.time import UTC

_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_THOUSANDS_COMMA = re.compile(r"[+-]?\d{1,3}([.\u00a0 ]\d{3})+(,\d+)?", re.ASCII)
_PLAIN = re.compile(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d{1,3})?", re.ASCII)
_EPOCH = re.compile(r"\d{10}|\d{13}", re.ASCII)
_CURRENCY_SIGNS = "$€£¥ \u00a0"


def text_cell(value: object) -> str:
    """A cell as trimmed text; nothing is the empty text."""
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case dt.datetime() | dt.date():
            return value.isoformat()
        case _:
            return str(value).strip()


def moment_cell(value: object, field: str, date_format: str = "") -> dt.datetime:
    """A date or time as aware UTC; without an offset it is UTC. Raises RejectedError for one that could be two days."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=UTC)
    text = text_cell(value)
    if not text:
        raise RejectedError(f"{field} is empty.", code="required", field=field)
    try:
        if date_format:
            moment = dt.datetime.strptime(text, date_format)  # noqa: DTZ007 - made aware on the next line
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment_parse(int(text) if _EPOCH.fullmatch(text) else text)
    except (ValueError, OverflowError) as error:
        hint = (
            f"like {date_format}"
            if date_format
            else 'ISO 8601, like 2026-11-23 or 2026-11-23T18:30:00Z, or set "date_format" in --mapping'
        )
        raise RejectedError(f"{field} must be a date: {hint}.", code="timestamp", field=field) from error


def amount_cell(value: object, field: str, *, decimal_comma: bool = False) -> Decimal:
    """A non-negative amount with four decimals. Raises RejectedError; ``12,30`` only counts where the mapping says so."""
    if isinstance(value, bool):
        raise RejectedError(f"{field} must be an amount.", code="amount", field=field)
    text = text_cell(value).strip(_CURRENCY_SIGNS)
    if not text:
        raise RejectedError(f"{field} is empty.", code="required", field=field)
    if decimal_comma:
        text = re.sub(r"[.\u00a0 ]", "", text) if _THOUSANDS_COMMA.fullmatch(text) else text
        text = text.replace(",", ".")
    elif _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    if not _PLAIN.fullmatch(text):
        hint = ' If the comma parts the decimals, set "decimal_comma" in --mapping.' if "," in text else ""
        raise RejectedError(f"{field} must be an amount, like 12.30.{hint}", code="amount", field=field)
    amount = Decimal(text)
    if not 0 <= amount < AMOUNT_LIMIT:
        raise RejectedError(
            f"{field} must be 0 or more and below 10^14; name refunds by status.", code="amount", field=field
        )
    return amount.quantize(CENT_PARTS)


def count_cell(value: object, field: str) -> int | None:
    """A whole number of 0 or more; an empty cell is None."""
    text = text_cell(value)
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise RejectedError(f"{field} must be a whole number.", code="number", field=field)
    return int(text)


def plain_cell(value: object) -> object:
    """A cell as a trait or property: numbers, truth values and objects as they are, text trimmed, empty is None."""
    if value is None or isinstance(value, bool | int | dict | list):
        return value
    if isinstance(value, float):
        return value if value == value else None  # NaN is how tables write "nothing"
    return text_cell(value) or None
