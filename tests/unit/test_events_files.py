"""Files, names and typed columns of the event store, without a database."""

import datetime as dt
import itertools
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.core.time import UTC
from cdp.events.files.layout import bucket_of, bucket_sql, buckets_for, compacted_key, hot_key, month_after, month_of
from cdp.events.files.parquet import events_schema, events_write, runs_split
from cdp.events.files.properties import CONVERTERS, _WrongType, properties_project
from cdp.events.files.relation import FilePart, relation_sql
from cdp.events.storage import LocalStorage, staged

MOMENT = dt.datetime(2026, 11, 23, 12, tzinfo=UTC).replace(tzinfo=None)
pa.array([1])  # imports what pyarrow imports late, before a test's time is taken
NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9).map(float),
)
VALUES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(), NUMBERS.map(str), st.lists(st.integers(), max_size=1))


def table_make(count: int, first: int = 1, **types: str) -> pa.Table:
    schema = events_schema(types)
    columns: dict[str, list[Any]] = {
        "event_no": list(range(first, first + count)),
        "source_no": [1] * count,
        "kind": ["track"] * count,
        "name": ["Product Viewed"] * count,
        "occurred_at": [MOMENT + dt.timedelta(seconds=n) for n in range(count)],
        "received_at": [MOMENT] * count,
        "identifier_no": [n % 7 for n in range(count)],
        "profile_no": [n % 5 for n in range(count)],
        "message_id": [f"m-{n}" for n in range(count)],
        "properties": ["{}"] * count,
    }
    return pa.table([columns.get(name, [None] * count) for name in schema.names], schema=schema)


@pytest.mark.parametrize(
    ("rows", "buckets"),
    [(0, 1), (1, 1), (65_536, 1), (131_071, 1), (131_072, 2), (262_144, 4), (1 << 19, 8), (1 << 20, 16), (10**9, 16)],
)
def test_buckets_grow_with_the_month(rows: int, buckets: int) -> None:
    assert buckets_for(rows) == buckets


@pytest.mark.parametrize("step", [1, 2, 3, 4, 16])
@pytest.mark.parametrize("buckets", [2, 4, 8, 16])
def test_numbers_given_out_in_steps_spread_over_the_buckets(step: int, buckets: int) -> None:
    numbers = np.arange(1, 10_000 * step, step, dtype=np.int64)
    sizes = np.bincount(bucket_of(numbers, buckets), minlength=buckets)
    assert sizes.min() > 0.9 * len(numbers) / buckets


def test_a_bucket_is_the_same_number_in_python_numpy_and_duckdb_and_nests() -> None:
    numbers = [0, 1, 2, 17, 2**31 - 1, 2**31, 2**40 + 3, 2**62]
    inside = bucket_of(np.array(numbers, np.int64), 16)
    for number, finest in zip(numbers, inside.tolist(), strict=True):
        assert bucket_of(number, 16) == finest
        assert [bucket_of(number, n) for n in (1, 2, 4, 8)] == [finest % n for n in (1, 2, 4, 8)]
        by_sql = duckdb.execute(
            f"SELECT {bucket_sql('n', 'b')} FROM (SELECT ?::BIGINT AS n, 16::BIGINT AS b)", [number]
        )
        assert by_sql.fetchone() == (finest,)


def test_keys_are_new_each_time_and_sort_by_day() -> None:
    day = dt.date(2026, 11, 23)
    assert hot_key(day, 7, 9) != hot_key(day, 7, 9)
    assert hot_key(day, 7, 9).startswith("hot/day=2026-11-23/000000000007-000000000009-")
    assert compacted_key(day, 3, 16).startswith("compacted/month=2026-11/bucket=03-of-16/")


def test_months_begin_and_follow() -> None:
    assert month_of(MOMENT) == dt.date(2026, 11, 1)
    assert month_after(dt.date(2026, 12, 1)) == dt.date(2027, 1, 1)
    assert month_after(dt.date(2026, 1, 1)) == dt.date(2026, 2, 1)


@given(st.lists(VALUES, max_size=6))
def test_a_number_means_the_same_alone_and_in_company(values: list[Any]) -> None:
    documents = [json.dumps({"n": value}) for value in values]
    together, bad = properties_project(documents, {"n": "number"})
    alone = [properties_project([document], {"n": "number"})[0]["p_n"][0].as_py() for document in documents]
    assert together["p_n"].to_pylist() == alone
    assert bad.get("n", 0) == sum(v is not None and a is None for v, a in zip(values, alone, strict=True))


@given(NUMBERS)
def test_numbers_are_rounded_at_the_fourth_decimal(value: float) -> None:
    column, _ = properties_project([json.dumps({"n": value})], {"n": "number"})
    found = column["p_n"][0].as_py()
    if abs(value) >= 10**14:
        assert found is None
    else:
        assert (
            abs(found - Decimal(value))
            <= Decimal("0.0001") * Decimal("0.5000001") + abs(Decimal(value)) * Decimal(2) ** -52
        )


@given(st.lists(VALUES, max_size=6), st.sampled_from(["text", "boolean", "date", "number"]))
def test_typed_columns_follow_their_rule_value_by_value(values: list[Any], kind: str) -> None:
    def expected(value: Any) -> Any:
        try:
            return None if value is None else CONVERTERS[kind](value)
        except (_WrongType, ValueError, ArithmeticError):
            return None

    values = [json.loads(json.dumps(value)) for value in values]
    columns, _ = properties_project([json.dumps({"k": value}) for value in values], {"k": kind})
    assert columns["p_k"].to_pylist() == [expected(value) for value in values]


@pytest.mark.parametrize(
    ("kind", "document", "value"),
    [
        ("text", '{"k":"a\\u0000b"}', "a\x00b"),
        ("text", '{"k":12}', "12"),
        ("text", '{"k":true}', "true"),
        ("text", '{"k":"\\ud800"}', None),
        ("text", '{"k":["x"]}', None),
        ("number", '{"k":"12.50"}', Decimal("12.5000")),
        ("number", '{"k":0.00005}', Decimal("0.0000")),
        ("number", '{"k":true}', None),
        ("number", '{"k":"1_000"}', None),
        ("number", '{"k":"1e-999999999"}', Decimal("0.0000")),
        ("number", '{"k":14411518807587}', Decimal("14411518807587.0000")),
        ("number", '{"k":14411518807587.0}', Decimal("14411518807587.0000")),
        ("number", '{"k":1e400}', None),
        ("number", '{"k":"Infinity"}', None),
        ("number", '{"k":123456789012345678901234567890}', None),
        ("boolean", '{"k":1}', None),
        ("boolean", '{"k":false}', False),
        ("date", '{"k":"2026-02-28"}', dt.date(2026, 2, 28)),
        ("date", '{"k":"2026-02-28T23:30:00-02:00"}', dt.date(2026, 3, 1)),
        ("date", '{"k":"soon"}', None),
        ("date", '{"k":20260228}', None),
    ],
)
def test_values_at_the_edge(kind: str, document: str, value: Any) -> None:
    columns, bad = properties_project([document], {"k": kind})
    assert columns["p_k"].to_pylist() == [value]
    assert bad == ({} if value is not None else {"k": 1})


@pytest.mark.parametrize("document", ["", "[]", "nope", '{"k":', "[" * 5_000])
def test_what_is_no_object_is_counted_as_such(document: str) -> None:
    columns, bad = properties_project([document, '{"k":1}'], {"k": "number"})
    assert columns["p_k"].to_pylist() == [None, Decimal(1)]
    assert bad == {"properties": 1}


@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_a_file_holds_its_rows_and_its_facts(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    path = tmp_path_factory.mktemp("files") / "x.parquet"
    firsts = list(itertools.accumulate(sizes, initial=1))
    tables = [table_make(size, first) for size, first in zip(sizes, firsts, strict=False)]
    facts = events_write(path, tables, events_schema({}))
    assert pq.read_table(path, partitioning=None).equals(pa.concat_tables(tables))
    assert (facts.rows, facts.bytes) == (sum(sizes), path.stat().st_size)
    assert (facts.min_event_no, facts.max_event_no) == (1, sum(sizes))
    assert facts.min_occurred_at == MOMENT.replace(tzinfo=UTC)
    assert facts.max_occurred_at == MOMENT.replace(tzinfo=UTC) + dt.timedelta(seconds=max(sizes) - 1)


def test_row_groups_are_of_one_size_and_types_are_open(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    events_write(
        path, (table_make(50_000, n * 50_000 + 1, price="number") for n in range(6)), events_schema({"price": "number"})
    )
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [131_072, 131_072, 37_856]
    types = {column.name: (column.physical_type, str(column.logical_type)) for column in file.schema}
    assert types["amount"][0] == types["p_price"][0] == "INT64"
    assert "isAdjustedToUTC=false" in types["occurred_at"][1]
    assert math.isclose(file.metadata.row_group(0).column(0).statistics.max, 131_072)


@given(st.lists(st.lists(st.integers(0, 3), max_size=5), max_size=6))
def test_a_stream_is_cut_where_the_slot_changes(chunks: list[list[int]]) -> None:
    flat = sorted(value for chunk in chunks for value in chunk)
    values = iter(flat)
    tables = [
        pa.table({"slot": pa.array([next(values) for _ in chunk], pa.int64()), "n": pa.array(range(len(chunk)))})
        for chunk in chunks
    ]
    cut = [(slot, row) for slot, part in runs_split(tables, "slot") for row in part["n"].to_pylist()]
    assert cut == [(slot, n) for table in tables for slot, n in zip(*table.to_pydict().values(), strict=True)]
    assert all("slot" not in part.column_names for _, part in runs_split(tables, "slot"))


def relation_answer(files: list[FilePart], types: dict[str, str], **tables: pa.Table) -> list[tuple[Any, ...]]:
    with duckdb.connect() as duck:
        for name, table in tables.items():
            duck.register(name, table)
        sql = relation_sql(files, types, "overlay", "erased", "tail" if "tail" in tables else None)
        return duck.sql(f"SELECT event_no, profile_no, p_k FROM ({sql}) ORDER BY 1").fetchall()


def test_files_of_different_age_read_as_one(tmp_path: Path) -> None:
    old, other, new = (str(tmp_path / name) for name in ("it's old.parquet", "other.parquet", "new.parquet"))
    events_write(Path(old), [table_make(2, 1)], events_schema({}))
    events_write(Path(other), [table_make(2, 3, k="text")], events_schema({"k": "text"}))
    events_write(Path(new), [table_make(2, 5, k="number")], events_schema({"k": "number"}))
    parts = [
        FilePart(old, (), needs_overlay=True, needs_erasure=False),
        FilePart(other, (("k", "text"),), needs_overlay=False, needs_erasure=True),
        FilePart(new, (("k", "number"),), needs_overlay=False, needs_erasure=False),
    ]
    answer = relation_answer(
        parts,
        {"k": "number"},
        overlay=pa.table({"identifier_no": [0, 1], "profile_no": [70, 71]}),
        erased=pa.table({"identifier_no": [1]}),
        tail=table_make(1, 7, k="number"),
    )
    assert answer == [(1, 70, None), (2, 71, None), (3, 0, None), (5, 0, None), (6, 1, None), (7, 0, None)]


def test_no_files_and_no_tail_give_the_columns() -> None:
    with duckdb.connect() as duck:
        sql = relation_sql([], {"k": "date"}, "overlay", "erased", None)
        described = dict(row[:2] for row in duck.sql(f"DESCRIBE {sql}").fetchall())
    assert list(described) == events_schema({"k": "date"}).names
    assert (described["event_no"], described["amount"], described["p_k"]) == ("BIGINT", "DECIMAL(18,4)", "DATE")


def test_a_local_file_is_visible_only_when_whole(tmp_path: Path) -> None:
    storage = LocalStorage.from_url((tmp_path / "a store").as_uri())
    with staged(storage) as draft:
        draft.write_bytes(b"whole")
        assert [*storage.list("hot/")] == []
        storage.put_file(draft, "hot/x/y.parquet")
    assert storage.open_local("hot/x/y.parquet").read_bytes() == b"whole"
    assert [(file.key, file.bytes) for file in storage.list("hot/")] == [("hot/x/y.parquet", 5)]
    assert [*storage.staging.iterdir()] == []
    storage.delete("hot/x/y.parquet")
    storage.delete("hot/x/y.parquet")
    with pytest.raises(FileNotFoundError):
        storage.open_local("hot/x/y.parquet")


def test_a_draft_that_failed_leaves_nothing(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with pytest.raises(RuntimeError), staged(storage) as draft:
        draft.write_bytes(b"half")
        raise RuntimeError
    assert [*storage.staging.iterdir()] == []
