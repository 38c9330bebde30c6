"""Which columns rules may read: declared properties, taken out of each event's JSON into typed columns.

One implementation serves the files and the tail, so that a rule means the same on both. A value of the wrong type
becomes NULL and is counted, never guessed:

==========  =================  =========================================================================
declared    column             taken from
==========  =================  =========================================================================
text        VARCHAR            a string; a number or boolean as its JSON text (ids are often sent as numbers)
number      DECIMAL(18, 4)     a number or a string that is one, rounded half to even at the fourth decimal
boolean     BOOLEAN            true or false
date        DATE               an ISO 8601 date, or a timestamp's UTC day
==========  =================  =========================================================================

Numbers are decimals, since sums of doubles depend on the order of the rows.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

import msgspec
import pyarrow as pa

from cdp.core.time import parse_timestamp

__all__ = ["ARROW_TYPES", "properties_project", "property_column"]

ARROW_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "number": pa.decimal128(18, 4),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}
FOURTH_DECIMAL = Decimal("0.0001")
NUMBER_LIMIT = Decimal(10) ** 14
UNREADABLE = "properties"


class _WrongType(Exception):
    """The value cannot stand in a column of the declared type."""


def property_column(key: str) -> str:
    """Name of the typed column of a declared property."""
    return f"p_{key}"


def properties_project(
    documents: Sequence[str], property_types: Mapping[str, str]
) -> tuple[dict[str, pa.Array], dict[str, int]]:
    """Typed columns of JSON objects, by column name, and how many values had the wrong type, by property key.

    Documents that are no JSON object give NULL everywhere and count under ``properties``.
    """
    keys = sorted(property_types)
    bad: dict[str, int] = {}
    rows = _decode(documents, keys, bad)
    columns = {}
    for position, key in enumerate(keys):
        values = [getattr(row, f"f{position}") for row in rows]
        columns[property_column(key)], wrong = _column(values, property_types[key])
        if wrong:
            bad[key] = wrong
    return columns, bad


def _decode(documents: Sequence[str], keys: Sequence[str], bad: dict[str, int]) -> list[Any]:
    declared = msgspec.defstruct(
        "Declared", [(f"f{n}", Any, msgspec.field(default=None, name=key)) for n, key in enumerate(keys)], gc=False
    )
    decode = msgspec.json.Decoder(declared).decode
    rows = []
    for document in documents:
        try:
            rows.append(decode(document))
        except (msgspec.DecodeError, UnicodeEncodeError):
            rows.append(_decode_leniently(document, keys, declared, bad))
    return rows


def _decode_leniently(document: str, keys: Sequence[str], declared: Any, bad: dict[str, int]) -> Any:
    """For numbers beyond 64-bit floats and lone surrogates, which are valid JSON but refused by the fast decoder."""
    try:
        values = json.loads(document)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        bad[UNREADABLE] = bad.get(UNREADABLE, 0) + 1
        return declared()
    return declared(*(values.get(key) for key in keys))


def _column(values: list[Any], value_type: str) -> tuple[pa.Array, int]:
    arrow_type = ARROW_TYPES[value_type]
    try:
        if value_type == "number":
            return _numbers(values), 0
        if value_type != "date":
            return pa.array(values, arrow_type), 0
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeEncodeError, OverflowError):
        pass  # some value needs a closer look
    convert, wrong, converted = CONVERTERS[value_type], 0, []
    for value in values:
        try:
            converted.append(None if value is None else convert(value))
        except (_WrongType, ValueError, InvalidOperation):
            converted.append(None)
            wrong += 1
    return pa.array(converted, arrow_type), wrong


def _numbers(values: list[Any]) -> pa.Array:
    if any(type(value) is float or type(value) is bool for value in values):
        raise pa.ArrowInvalid("needs rounding or refusal value by value")
    return pa.array(values, pa.int64()).cast(pa.decimal128(22, 4)).cast(ARROW_TYPES["number"])


def _text(value: Any) -> str:
    if isinstance(value, str):
        value.encode()  # lone surrogates have no UTF-8 form: ValueError
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise _WrongType


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _WrongType
    number = Decimal(value if isinstance(value, int) else str(value).strip())
    if not number.is_finite() or abs(number) >= NUMBER_LIMIT:
        raise _WrongType
    number = number.quantize(FOURTH_DECIMAL, ROUND_HALF_EVEN)
    if abs(number) >= NUMBER_LIMIT:
        raise _WrongType
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongType
    return value


def _date(value: Any) -> dt.date:
    if not isinstance(value, str):
        raise _WrongType
    return parse_timestamp(value).date()


CONVERTERS: dict[str, Callable[[Any], Any]] = {"text": _text, "number": _number, "boolean": _boolean, "date": _date}
