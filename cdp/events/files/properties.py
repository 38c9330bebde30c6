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
import numpy as np
import pyarrow as pa

from cdp.core.time import parse_timestamp

__all__ = ["ARROW_TYPES", "properties_project", "property_column"]

ARROW_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "number": pa.decimal128(18, 4),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}
UNITS = 10_000
NUMBER_LIMIT = 10**14
NUMBER_LIMIT_UNITS = NUMBER_LIMIT * UNITS
EXACT_LIMIT = 2**53 // UNITS  # below it a double times UNITS still has every unit
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
    by_key = zip(*map(msgspec.structs.astuple, rows), strict=True) if rows else iter([()] * len(keys))
    for key, values in zip(keys, by_key, strict=True):
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


def _column(values: Sequence[Any], value_type: str) -> tuple[pa.Array, int]:
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


def _numbers(values: Sequence[Any]) -> pa.Array:
    """Numbers without a look at each: whatever is no plain number of moderate size raises and gets that look."""
    if any(type(value) is bool for value in values):
        raise pa.ArrowInvalid("a boolean is no number")
    numbers = pa.array(values, pa.float64())
    plain = numbers.fill_null(0.0).to_numpy(zero_copy_only=False)
    if not (np.abs(plain) < EXACT_LIMIT).all():
        raise pa.ArrowInvalid("needs more digits than a double has")
    units = np.rint(plain * UNITS)
    halves = np.empty((len(values), 2), np.int64)  # a 128-bit decimal: low and high half
    halves[:, 0] = units
    halves[:, 1] = halves[:, 0] >> 63
    validity = numbers.is_valid().buffers()[1] if numbers.null_count else None
    return pa.Array.from_buffers(ARROW_TYPES["number"], len(values), [validity, pa.py_buffer(halves)])


def _text(value: Any) -> str:
    if isinstance(value, str):
        value.encode()  # lone surrogates have no UTF-8 form: ValueError
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise _WrongType


def _number(value: Any) -> Decimal:
    if isinstance(value, float) and abs(value) < EXACT_LIMIT:
        units = Decimal(round(value * UNITS))  # half to even on the double, as in _numbers
    elif isinstance(value, int | float | str) and not isinstance(value, bool):
        number = _decimal(value) if isinstance(value, str) else Decimal(value)
        if not number.is_finite() or abs(number) >= NUMBER_LIMIT:
            raise _WrongType
        units = (number * UNITS).to_integral_value(ROUND_HALF_EVEN)
    else:
        raise _WrongType
    if abs(units) >= NUMBER_LIMIT_UNITS:
        raise _WrongType
    return units.scaleb(-4)


def _decimal(text: str) -> Decimal:
    """Digits as people write them; Decimal alone would also take "1_000" and digits of other scripts."""
    if not text.isascii() or "_" in text:
        raise _WrongType
    return Decimal(text.strip())


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongType
    return value


def _date(value: Any) -> dt.date:
    if not isinstance(value, str):
        raise _WrongType
    return parse_timestamp(value).date()


CONVERTERS: dict[str, Callable[[Any], Any]] = {"text": _text, "number": _number, "boolean": _boolean, "date": _date}
