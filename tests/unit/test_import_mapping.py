"""What a file's columns and cells mean."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.collect.files.cells import amount_cell, count_cell, moment_cell
from cdp.collect.files.mapping import Kind, mapping_make, options_check
from cdp.collect.files.reading import Row
from cdp.collect.files.rows import RowReader
from cdp.collect.trait_columns import column_type
from cdp.core.errors import RejectedError
from cdp.core.time import UTC

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def named(kind: Kind, headings: str, options: dict[str, Any] | None = None) -> dict[str, str]:
    columns = headings.split(",")
    found = mapping_make(kind, columns, options)
    return {field: columns[position] for field, position in found.fields.items()}


@pytest.mark.parametrize(
    ("kind", "headings", "expected"),
    [
        (
            "orders",
            "customer_id,date,number_of_cds,dollar_value",
            {"user_id": "customer_id", "ordered_at": "date", "items": "number_of_cds", "amount": "dollar_value"},
        ),
        (
            "orders",
            "Order ID,Email Address,Order Date,Total,Currency,Qty,Status",
            {
                "order_id": "Order ID",
                "email": "Email Address",
                "ordered_at": "Order Date",
                "amount": "Total",
                "currency": "Currency",
                "items": "Qty",
                "status": "Status",
            },
        ),
        ("orders", "id,customer_id,created_at,price", {"order_id": "id", "user_id": "customer_id", "ordered_at": "created_at", "amount": "price"}),
        ("profiles", "id,email,mobile,createdAt", {"user_id": "id", "email": "email", "phone": "mobile", "signed_up_at": "createdAt"}),
        ("consents", "customerId,purpose,status,timestamp", {"user_id": "customerId", "purpose": "purpose", "action": "status", "occurred_at": "timestamp"}),
        (
            "events",
            "type,userId,messageId,event,timestamp,properties",
            {
                "type": "type",
                "user_id": "userId",
                "message_id": "messageId",
                "event": "event",
                "occurred_at": "timestamp",
                "properties": "properties",
            },
        ),
    ],
)  # fmt: skip
def test_columns_are_understood_by_their_headings(kind: Kind, headings: str, expected: dict[str, str]) -> None:
    assert named(kind, headings) == expected


def test_a_field_of_its_own_name_beats_a_synonym() -> None:
    assert named("orders", "total,amount,user_id,date")["amount"] == "amount"


def test_the_rest_becomes_traits_or_properties() -> None:
    assert mapping_make("profiles", ["email", "First Name", "plan", ""]).traits == {"first_name": 1, "plan": 2}
    assert mapping_make("orders", ["email", "date", "amount", "Store Nr"]).properties == {"store_nr": 3}


def test_a_mapping_file_decides() -> None:
    options = {
        "columns": {
            "Kundennr": "user_id",
            "Datum": "ordered_at",
            "Netto": "amount",
            "amount": None,
            "Filiale": "property.store",
        }
    }
    found = mapping_make("orders", ["Kundennr", "Datum", "Netto", "amount", "Filiale"], options)
    assert found.fields == {"user_id": 0, "ordered_at": 1, "amount": 2}
    assert found.properties == {"store": 4}
    assert found.lines(["Kundennr", "Datum", "Netto", "amount", "Filiale"])[3] == "amount → left out"


@pytest.mark.parametrize(
    ("kind", "headings", "options", "sentence"),
    [
        (
            "orders",
            "customer_id,amount",
            None,
            "orders need a column for ordered_at. The file has: customer_id, amount",
        ),
        ("orders", "date,amount", None, "an identifier"),
        ("consents", "email", None, "purpose and for action and for occurred_at"),
        ("orders", "a,b", {"columns": {"c": "amount"}}, "columns that the file lacks: c"),
        ("orders", "a,b", {"columns": {"a": "colour"}}, "'colour' is no field of orders"),
        ("orders", "a,b", {"columns": {"a": "amount", "b": "amount"}}, "Two columns are mapped to amount"),
    ],
)
def test_headers_that_do_not_suffice(kind: Kind, headings: str, options: dict[str, Any] | None, sentence: str) -> None:
    with pytest.raises(RejectedError, match=sentence):
        named(kind, headings, options)


@pytest.mark.parametrize(
    "raw", [[], {"colums": {}}, {"columns": []}, {"columns": {"a": 3}}, {"decimal_comma": "yes"}, {"delimiter": ";;"}]
)
def test_mapping_files_that_are_refused(raw: object) -> None:
    with pytest.raises(RejectedError):
        options_check(raw)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("19970101", "1997-01-01T00:00:00+00:00"),
        ("1997-01-01", "1997-01-01T00:00:00+00:00"),
        ("2026-11-23T13:00:00+02:00", "2026-11-23T11:00:00+00:00"),
        ("1764000000", "2025-11-24T16:00:00+00:00"),
        ("1764000000000", "2025-11-24T16:00:00+00:00"),
        (dt.date(2026, 1, 2), "2026-01-02T00:00:00+00:00"),
        (dt.datetime(2026, 1, 2, 3), "2026-01-02T03:00:00+00:00"),  # noqa: DTZ001 - files hold such
    ],
)
def test_dates(text: object, expected: str) -> None:
    assert moment_cell(text, "ordered_at").isoformat() == expected


@pytest.mark.parametrize("text", ["", None, "03/04/2026", "04.03.2026", "soon", "1864-01-01", "99999999", True])
def test_dates_that_are_refused(text: object) -> None:
    with pytest.raises(RejectedError):
        moment_cell(text, "ordered_at")


def test_a_date_format_of_the_mapping() -> None:
    assert moment_cell("04.03.2026", "at", "%d.%m.%Y").date() == dt.date(2026, 3, 4)
    with pytest.raises(RejectedError, match="%d"):
        moment_cell("2026-03-04", "at", "%d.%m.%Y")


@pytest.mark.parametrize(
    ("text", "comma", "expected"),
    [
        ("12.30", False, "12.3"),
        ("1,234,567.89", False, "1234567.89"),
        ("$ 12", False, "12"),
        (12.5, False, "12.5"),
        (7, False, "7"),
        ("12,30", True, "12.3"),
        ("1.234,50 €", True, "1234.5"),
        ("1234,5", True, "1234.5"),
        ("0", False, "0"),
        ("1e3", False, "1000"),
    ],
)
def test_amounts(text: object, comma: bool, expected: str) -> None:
    assert amount_cell(text, "amount", decimal_comma=comma) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "12,30", "-5", "abc", "nan", "inf", "1e99", "1.2.3", True, None, "１２"])
def test_amounts_that_are_refused(text: object) -> None:
    with pytest.raises(RejectedError):
        amount_cell(text, "amount")


def test_counts() -> None:
    assert (count_cell("3", "items"), count_cell("", "items"), count_cell(2.0, "items")) == (3, None, 2)
    for text in ("-1", "1.5", "many", "9999999999"):
        with pytest.raises(RejectedError):
            count_cell(text, "items")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2.5", ""], "number"),
        (["01234", "99999"], "text"),
        (["true", "FALSE"], "boolean"),
        (["2026-01-01", "2026-01-02T10:00:00Z"], "date"),
        (["1", "x"], "text"),
        (["", None], "text"),
        ([True, False], "boolean"),
        ([["a"], ["b"]], "text_list"),
    ],
)
def test_type_of_a_trait_column(cells: list[object], expected: str) -> None:
    assert column_type(cells) == expected


def reader(kind: Kind, headings: str) -> RowReader:
    return RowReader(mapping_make(kind, headings.split(",")), NOW, NOW, "USD", frozenset({"advertising"}))


def test_equal_rows_get_numbers_that_hold_over_a_restart() -> None:
    row = [Row(n, ["c1", "2026-01-01", "5"]) for n in range(2, 6)]
    whole = reader("orders", "customer_id,date,amount")
    ids = [whole.read(each).messages[0].message_id for each in row]
    assert len(set(ids)) == 4
    assert whole.read(row[3]).messages[0].message_id == ids[3]
    resumed = reader("orders", "customer_id,date,amount")
    for each in row[:2]:
        resumed.skip(each)
    assert [resumed.read(each).messages[0].message_id for each in row[2:]] == ids[2:]


def test_an_order_with_status_says_two_things() -> None:
    entry = reader("orders", "order_id,email,date,amount,status,updated_at").read(
        Row(2, ["o1", "a@example.com", "2026-01-01", "5", "Canceled", "2026-01-03"])
    )
    assert [(m.name, m.message_id, m.timestamp.day) for m in entry.messages] == [
        ("Order Completed", "order-o1", 1),
        ("Order Cancelled", "order-o1-cancelled", 3),
    ]
    assert entry.messages[0].context == {"traits": {"email": "a@example.com"}}


@pytest.mark.parametrize(
    ("kind", "headings", "cells", "field"),
    [
        ("orders", "email,date,amount,currency", ["", "2026-01-01", "5", "EUR"], "email"),
        ("orders", "email,date,amount,currency", ["a@b.co", "x", "5", "EUR"], "ordered_at"),
        ("orders", "email,date,amount,currency", ["a@b.co", "2026-01-01", "", "EUR"], "amount"),
        ("orders", "email,date,amount,currency", ["a@b.co", "2026-01-01", "5", "Euro"], "currency"),
        ("orders", "email,date,amount,status", ["a@b.co", "2026-01-01", "5", "lost"], "status"),
        ("orders", "email,date,amount,status", ["a@b.co\x00", "2026-01-01", "5", ""], ""),
        ("consents", "email,purpose,action,date", ["a@b.co", "fun", "yes", "2026-01-01"], "purpose"),
        ("consents", "email,purpose,action,date", ["a@b.co", "advertising", "perhaps", "2026-01-01"], "action"),
        ("consents", "email,purpose,action,date", ["a@b.co", "advertising", "yes", "2027-01-01"], "occurred_at"),
        ("events", "email,event,date", ["a@b.co", "", "2026-01-01"], "event"),
    ],
)
def test_rows_that_are_refused(kind: Kind, headings: str, cells: list[object], field: str) -> None:
    with pytest.raises(RejectedError) as caught:
        reader(kind, headings).read(Row(2, cells))
    assert caught.value.field == field


cells = st.none() | st.text(max_size=12) | st.integers() | st.floats() | st.booleans()


@given(st.sampled_from(["profiles", "orders", "events", "consents"]), st.lists(cells, min_size=8, max_size=8))
def test_any_row_is_read_or_refused(kind: Kind, row: list[object]) -> None:
    headings = {
        "profiles": "user_id,email,phone,updated_at,created_at,plan,score,x",
        "orders": "order_id,user_id,email,ordered_at,amount,currency,quantity,status",
        "events": "message_id,user_id,anonymous_id,type,event,occurred_at,colour,size",
        "consents": "user_id,purpose,action,occurred_at,method,notice_version,locale,country",
    }
    try:
        reader(kind, headings[kind]).read(Row(2, row))
    except RejectedError as error:
        assert error.message
