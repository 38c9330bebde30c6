"""Bulk rows between Python, numpy and PostgreSQL through COPY: the only way that is fast at every size.

Takes a psycopg cursor (or Django's wrapper of one), knows no Django. Column and table names are ours and never come from outside.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_BINARY_SIGNATURE_BYTES = 11


def rows_copy(cursor: Any, table: str, columns: str, rows: Iterable[Sequence[object]]) -> None:
    """Append rows to ``table`` (``columns`` separated by commas) in the caller's transaction."""
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def numbers_read(
    cursor: Any, query: str, params: Sequence[object] | None = None, *, columns: int = 1
) -> npt.NDArray[np.int64]:
    """The result of a query whose columns are all ``bigint NOT NULL``, as an array ``(n_rows, columns)``.

    Binary COPY: every row is a 2-byte field count and per field a 4-byte length and 8 bytes, so numpy reads it without a loop.
    """
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)".encode(), params) as copy:
        data = b"".join(copy)
    if not data:
        return np.empty((0, columns), dtype=np.int64)
    extension_bytes = int.from_bytes(data[_BINARY_SIGNATURE_BYTES + 4 : _BINARY_SIGNATURE_BYTES + 8], "big")
    start = _BINARY_SIGNATURE_BYTES + 8 + extension_bytes
    row = np.dtype(
        [("fields", ">i2"), *[item for i in range(columns) for item in ((f"l{i}", ">i4"), (f"v{i}", ">i8"))]]
    )
    n_rows, rest = divmod(len(data) - start - 2, row.itemsize)
    if rest:
        raise ValueError("the query must give bigint columns without NULL only")
    body = np.frombuffer(data, dtype=row, count=n_rows, offset=start)
    if n_rows and not all((body[f"l{i}"] == 8).all() for i in range(columns)):
        raise ValueError("the query must give bigint columns without NULL only")
    out = np.empty((n_rows, columns), dtype=np.int64)
    for i in range(columns):
        out[:, i] = body[f"v{i}"]
    return out
