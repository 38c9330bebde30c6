"""Files as people make them: encodings, delimiters, broken lines, wrong kinds."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp.collect.files.reading import Row, delimiter_find, table_open
from cdp.collect.files.refusals import Refusal, formula_safe, refusals_append
from cdp.core.errors import Problem, RejectedError


def write(folder: Path, text: str | bytes, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(path: Path) -> list[Row]:
    return list(table_open(path).rows())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, delimiter.join("abc") + "\r\n" + delimiter.join(["1", '"x,;|\ty"', "3"]) + "\r\n")
    assert table_open(path).columns == ("a", "b", "c")
    assert rows(path) == [Row(2, ["1", "x,;|\ty", "3"])]


def test_decimal_commas_do_not_hide_the_semicolon() -> None:
    assert delimiter_find("a;b\n1,5;2,5\n3,5;4\n") == ";"


def test_columns_parted_by_blanks(tmp_path: Path) -> None:
    path = write(tmp_path, " customer_id  date number\n 00001 19970101  1  \n 00002 19970112   12\n")
    assert table_open(path).columns == ("customer_id", "date", "number")
    assert [tuple(row.cells)[:3] for row in rows(path)] == [("00001", "19970101", "1"), ("00002", "19970112", "12")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "name,city\nZoë,Köln\n".encode(encoding))
    table = table_open(path)
    assert table.columns == ("name", "city")
    assert rows(path) == [Row(2, ["Zoë", "Köln"])]
    assert bool(table.remarks) == (encoding in {"utf-16", "latin-1"})


def test_line_numbers_hold_over_quoted_line_ends_and_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path, 'a,b\n1,"two\nlines"\n\n3,4\n')
    assert [(row.line, row.cells) for row in rows(path)] == [(2, ["1", "two\nlines"]), (5, ["3", "4"])]


def test_a_broken_line_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path, 'a,b\n1,2\n3\n4,5,6\n7,8,\n"9"x,0\n11,12\n')
    found = rows(path)
    assert [(row.line, bool(row.fault)) for row in found] == [
        (2, False),
        (3, True),
        (4, True),
        (5, False),
        (6, True),
        (7, False),
    ]
    assert "1 cells, the header has 2" in found[1].fault


def test_json_lines(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1, "b": {"c": 2}}\n\nnonsense\n[1]\n{"b": null, "z": 3}\n', "calls.jsonl")
    assert table_open(path).columns == ("a", "b", "z")
    assert [(row.line, row.cells, bool(row.fault)) for row in rows(path)] == [
        (1, [1, {"c": 2}, None], False),
        (3, (), True),
        (4, (), True),
        (5, [None, None, 3], False),
    ]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    pq.write_table(pa.table({"id": ["a", None], "at": [moment, moment], "n": [1.5, 2.0]}), path)
    table = table_open(path)
    assert (table.columns, table.rows_total) == (("id", "at", "n"), 2)
    assert [(row.line, row.cells) for row in table.rows()] == [(2, ("a", moment, 1.5)), (3, (None, moment, 2.0))]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"  \n ", "is empty"),
        (b"1,2,3\n4,5,6\n", "no header line"),
        (b"a,b,a\n1,2,3\n", "twice: a"),
        (b"PK\x03\x04....", "not CSV, JSON lines or Parquet"),
        (b"PAR1 and then nothing", "begins like Parquet"),
        (b'[{"a": 1}]', "one JSON array"),
        (b"{broken\n", "no line is a JSON object"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(RejectedError, match=sentence):
        table_open(write(tmp_path, content))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match="There is no file"):
        table_open(tmp_path / "nothing.csv")
    with pytest.raises(RejectedError, match="is not a file"):
        table_open(tmp_path)


@settings(max_examples=150)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(content)
    try:
        found = rows(path)
    except RejectedError:
        return
    assert [row.line for row in found] == sorted({row.line for row in found})


@pytest.mark.parametrize("text", ["=1+1", "+49 30", "-5", "@x", "\tx", "\r", "|x", "%x", "＝1", "\x00="])
def test_cells_that_spreadsheets_would_run(text: str) -> None:
    assert formula_safe(text) == "'" + text


def test_rejects_file_keeps_what_was_committed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rejects.csv"
    problem = Problem("amount", "amount", "=bad")
    assert refusals_append(path, 0, []) == 0
    first = refusals_append(path, 0, [Refusal(2, problem, '["=x"]')])
    refusals_append(path, first, [Refusal(3, problem, "lost in a kill")])
    end = refusals_append(path, first, [Refusal(3, problem, "[1]", is_kept=True)])
    assert path.stat().st_size == end
    assert path.read_text().splitlines() == [
        "line,field,code,reason,raw,taken",
        '2,amount,amount,\'=bad,"[""=x""]",no',
        "3,amount,amount,'=bad,[1],partly",
    ]
