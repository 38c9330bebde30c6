"""One test on one column as an Ibis expression. Values are literals in the type that compares exactly with the column."""

from decimal import Decimal
from functools import reduce
from operator import and_, or_
from typing import Any, assert_never

import ibis
from ibis.expr import datatypes as dt

from segments.definition.nodes import Days, Value, ValueTest

# Ibis has no type stubs: a table, a column and a truth value are Any to mypy.
type Table = Any
type Column = Any
type Truth = Any

FEW_VALUES = 50


def value_truth(test: ValueTest, column: Column, times: Column | None = None) -> Truth:
    """``test`` on ``column``. With ``times``, values are multiplied by it first (an average without a division)."""
    truth = _positive_truth(test, column, times)
    return ~truth if test.is_negated else truth


def _positive_truth(test: ValueTest, column: Column, times: Column | None) -> Truth:
    value = test.value
    if isinstance(value, Days):
        return _days_truth(value, column)

    def literal(item: Value) -> Column:
        constant = _literal(item, column)
        return constant if times is None else constant * times

    items = value if isinstance(value, tuple) else ()
    match test.kind:
        case "is_set":
            return column.notnull()
        case "is_missing":
            return column.isnull()
        case "equals":
            return column == literal(value)
        case "in":
            return _is_in(column, items)
        case "greater_than":
            return column > literal(value)
        case "at_least":
            return column >= literal(value)
        case "less_than":
            return column < literal(value)
        case "at_most":
            return column <= literal(value)
        case "between":
            return (column >= literal(items[0])) & (column <= literal(items[1]))
        case "contains":
            return column.contains(ibis.literal(value))
        case "starts_with":
            return column.startswith(ibis.literal(value))
        case "ends_with":
            return column.endswith(ibis.literal(value))
        case "matches":
            return column.re_search(ibis.literal(value))
        case "contains_any":
            return reduce(or_, [column.contains(ibis.literal(item)) for item in items])
        case "contains_all":
            return reduce(and_, [column.contains(ibis.literal(item)) for item in items])
        case "in_days":
            raise TypeError("in_days carries Days")
        case _:
            assert_never(test.kind)


def _is_in(column: Column, items: tuple[Any, ...]) -> Truth:
    """A few values as constants; many as one constant list that is joined, since each constant costs time to compile."""
    if len(items) <= FEW_VALUES:
        return column.isin([_literal(item, column) for item in items])
    kind = column.type()
    if kind.is_decimal():
        places = max(kind.scale or 0, *(-int(Decimal(str(item)).as_tuple().exponent) for item in items))
        kind, items = dt.Decimal(38, places), tuple(Decimal(str(item)) for item in items)
    elif kind.is_numeric():
        kind, items = dt.float64, tuple(float(item) for item in items)
    values = ibis.literal(items, type=dt.Array(kind)).unnest().name("value").as_table()
    return column.isin(values.value)


def _literal(value: Value, column: Column) -> Column:
    """A constant in the type that compares exactly with ``column``: decimals stay decimals."""
    kind = column.type()
    if not kind.is_decimal():
        return ibis.literal(value)
    number = Decimal(str(value))
    places = max(kind.scale or 0, -int(number.as_tuple().exponent))
    return ibis.literal(number, type=dt.Decimal(38 if places > (kind.scale or 0) else kind.precision, places))


def _days_truth(days: Days, column: Column) -> Truth:
    """Inside the half-open days: calendar days for a date, instants for a timestamp."""
    start, end = (
        (days.start_day, days.end_day) if column.type().is_date() else (naive(days.start_at), naive(days.end_at))
    )
    bounds = [column >= ibis.literal(start)] if start is not None else []
    if end is not None:
        bounds.append(column < ibis.literal(end))
    return reduce(and_, bounds)


def naive(at: Any) -> Any:
    """The views hold UTC without a zone."""
    return at.replace(tzinfo=None) if at is not None else None
