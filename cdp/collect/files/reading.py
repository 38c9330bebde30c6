"""A CSV, JSONL or Parquet file as one stream of numbered rows.

Nothing is read whole: memory does not grow with the file. The encoding and the delimiter are found by looking at the
beginning; UTF-8 (with or without BOM) is expected, Latin-1 is taken where the bytes are no UTF-8.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import msgspec

from cdp.core.errors import RejectedError

LOOK_BYTES = 64 * 1024
LOOK_ROWS = 200
MAX_LINE_CHARS = 1_000_000
MAX_COLUMNS = 500
PARQUET_ROWS = 5_000
DELIMITERS = ",;\t|"

type Cells = Sequence[object]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it stands on (1 is the first line of the file), its cells in column order, or why it has none."""

    line: int
    cells: Cells
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """An opened file: its headings and a way to stream its rows from the beginning.

    ``remarks`` are what a person should know: a guessed encoding, for example.
    """

    format: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    remarks: tuple[str, ...] = ()
    rows_total: int | None = None


def file_digest(path: Path) -> str:
    """SHA-256 of the content: what makes two files the same file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table_open(path: Path, *, delimiter: str | None = None) -> Table:
    """Find out what ``path`` is. Raises RejectedError with one clear sentence when it cannot be used."""
    if not path.exists():
        raise RejectedError(f"There is no file {path}.", code="file", field="path")
    if not path.is_file():
        raise RejectedError(f"{path} is not a file.", code="file", field="path")
    with path.open("rb") as file:
        head = file.read(LOOK_BYTES)
    if not head.strip():
        raise RejectedError(f"{path.name} is empty.", code="file", field="path")
    if head.startswith(b"PAR1"):
        return _parquet(path)
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"%PDF")) or b"\x00\x00" in head:
        raise RejectedError(
            f"{path.name} is not CSV, JSON lines or Parquet; export it as one of these, unpacked.",
            code="file",
            field="path",
        )
    encoding, remarks = _encoding(path)
    text = head.decode(encoding, "ignore").lstrip("\ufeff").lstrip()
    if text.startswith("{"):
        return _json_lines(path, encoding, remarks)
    if text.startswith("["):
        raise RejectedError(
            f"{path.name} is one JSON array; write one object a line (JSON lines) instead.", code="file", field="path"
        )
    return _csv(path, encoding, remarks, delimiter)


def _encoding(path: Path) -> tuple[str, tuple[str, ...]]:
    """UTF-8 if the whole file is, UTF-16 if it says so, else Latin-1: one pass over the bytes, a block at a time."""
    with path.open("rb") as file:
        is_wide = file.read(2) in {b"\xff\xfe", b"\xfe\xff"}
    try:
        with path.open(encoding="utf-16" if is_wide else "utf-8") as text:
            while text.read(1 << 20):
                pass
    except UnicodeError as error:
        if is_wide:
            raise RejectedError(f"{path.name} begins like UTF-16 and is not.", code="encoding", field="path") from error
        return "latin-1", ("the bytes are not UTF-8, so they were read as Latin-1: check names with accents",)
    return ("utf-16", ("read as UTF-16",)) if is_wide else ("utf-8-sig", ())


def _headings(names: Sequence[str], path: Path) -> tuple[str, ...]:
    columns = tuple(name.strip() for name in names)
    if len(columns) > MAX_COLUMNS:
        raise RejectedError(f"{path.name} has more than {MAX_COLUMNS} columns.", code="header", field="header")
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise RejectedError(
            f"{path.name} names these columns twice: {', '.join(twice)}.", code="header", field="header"
        )
    return columns


def delimiter_find(text: str) -> str:
    """The delimiter of a CSV's beginning: the one that parts its first lines alike; white space where there is none."""
    lines = [line for line in text.splitlines()[:20] if line.strip()] or [text]
    counts = {d: [line.count(d) for line in lines] for d in DELIMITERS}
    regular = {d: c for d, c in counts.items() if c[0]}
    if not regular:
        return " " if len(lines[0].split()) > 1 else ","
    return max(regular, key=lambda d: (min(regular[d]) == max(regular[d]), regular[d][0]))


def _csv(path: Path, encoding: str, remarks: tuple[str, ...], delimiter: str | None) -> Table:
    with path.open(encoding=encoding, newline="") as file:
        head = file.read(LOOK_BYTES).lstrip("\ufeff")
    if not head.strip():
        raise RejectedError(f"{path.name} is empty.", code="file", field="path")
    parted_by = delimiter or delimiter_find(head)
    options: dict[str, Any] = {"delimiter": parted_by, "skipinitialspace": parted_by == " ", "strict": True}
    try:
        names = next(csv.reader(io.StringIO(head, newline=""), **options))
    except (csv.Error, StopIteration) as error:
        raise RejectedError(
            f"{path.name}: the first line cannot be read as headings.", code="header", field="header"
        ) from error
    while names and not names[-1].strip():
        names.pop()
    if not any(any(c.isalpha() for c in name) for name in names):
        raise RejectedError(
            f"{path.name} has no header line: its first line must name the columns.", code="header", field="header"
        )
    columns = _headings(names, path)
    return Table("csv", columns, lambda: _csv_rows(path, encoding, options, len(columns)), remarks)


def _csv_rows(path: Path, encoding: str, options: dict[str, Any], width: int) -> Iterator[Row]:
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(_bounded(file), **options)
        is_heading = True
        before = 0
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(before + 1, (), f"the line cannot be read as CSV ({error})")
                before = reader.line_num
                continue
            line, before = before + 1, reader.line_num
            if not cells or (len(cells) == 1 and not cells[0].strip()):
                continue
            if is_heading:
                is_heading = False
            elif len(cells) == width or (len(cells) > width and not any(c.strip() for c in cells[width:])):
                yield Row(line, cells)
            else:
                yield Row(line, cells, f"the line has {len(cells)} cells, the header has {width}")


def _bounded(file: TextIO) -> Iterator[str]:
    """Lines of bounded length: a file without line ends must not be read whole."""
    while line := file.readline(MAX_LINE_CHARS):
        yield line


def _json_lines(path: Path, encoding: str, remarks: tuple[str, ...]) -> Table:
    names: dict[str, None] = {}
    for number, (_, value) in enumerate(_json_values(path, encoding)):
        if isinstance(value, dict):
            names |= dict.fromkeys(map(str, value))
        if number >= LOOK_ROWS:
            break
    if not names:
        raise RejectedError(f"{path.name}: no line is a JSON object.", code="header", field="header")
    columns = _headings(list(names), path)
    return Table("jsonl", columns, lambda: _json_rows(path, encoding, columns), remarks)


def _json_values(path: Path, encoding: str) -> Iterator[tuple[int, object]]:
    """(line, value or the fault as a string) of every line that is not blank."""
    decode = msgspec.json.Decoder().decode
    with path.open(encoding=encoding) as file:
        for line, text in enumerate(_bounded(file), start=1):
            if not text.strip():
                continue
            try:
                yield line, decode(text)
            except (msgspec.DecodeError, ValueError, RecursionError):
                yield line, "the line is not a JSON object"


def _json_rows(path: Path, encoding: str, columns: tuple[str, ...]) -> Iterator[Row]:
    for line, value in _json_values(path, encoding):
        if isinstance(value, dict):
            yield Row(line, [value.get(name) for name in columns])
        else:
            yield Row(line, (), value if isinstance(value, str) else "the line is not a JSON object")


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = _headings(file.schema_arrow.names, path)
            total = file.metadata.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise RejectedError(f"{path.name} begins like Parquet and is broken.", code="file", field="path") from error
    return Table("parquet", columns, lambda: _parquet_rows(path), rows_total=total)


def _parquet_rows(path: Path) -> Iterator[Row]:
    """``line`` counts the header as line 1, as if the file were a CSV."""
    import pyarrow.parquet as pq

    line = 2
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=PARQUET_ROWS):
            columns = [column.to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                yield Row(line, cells)
                line += 1


def cells_text(row: Row) -> str:
    """A row as text, for the file of rejects."""
    return json.dumps(list(row.cells), ensure_ascii=False, default=str)
