"""Bulk rows between Python, numpy and PostgreSQL without a Python object per value.

Takes a psycopg cursor or Django's wrapper of one, knows no Django. Column and table names are ours and never come from outside.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

BIGINT = 20  # its object id in every PostgreSQL
_ARRAY_HEAD_BYTES = 20


def rows_copy(cursor: Any, table: str, columns: str, rows: Iterable[Sequence[object]]) -> None:
    """Append rows to ``table`` (``columns`` separated by commas) in the caller's transaction."""
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def numbers_text(numbers: npt.NDArray[np.int64]) -> str:
    """An array as PostgreSQL reads it (``{1,2,3}``), to be bound as ``%s::bigint[]``: five times faster than binding a list."""
    return "{" + ",".join(map(str, numbers.tolist())) + "}"


def numbers_read(
    cursor: Any, query: str, params: Sequence[object] | None = None, *, columns: int = 1
) -> npt.NDArray[np.int64]:
    """The result of a query whose columns are all ``bigint NOT NULL``, as an array ``(n_rows, columns)``, in its order.

    Runs beside ``cursor`` on its connection and transaction. The server sends each column as one array in binary, so that
    no row passes through Python.
    """
    names = [f"c{position}" for position in range(columns)]
    wanted = ", ".join(f"array_agg({name})" for name in names)
    with psycopg.Cursor(cursor.connection) as raw:
        raw.execute(f"SELECT {wanted} FROM ({query}) AS q ({', '.join(names)})".encode(), params, binary=True)  # noqa: S608 - the caller's own text
        result = raw.pgresult
        if result is None:
            raise ValueError("the query gave no result")
        return np.stack([_array_numbers(result.get_value(0, position)) for position in range(columns)], axis=1)


def _array_numbers(data: bytes | None) -> npt.NDArray[np.int64]:
    """The numbers of a ``bigint[]`` in PostgreSQL's binary form; None is the array of no rows."""
    if data is None:
        return np.empty(0, dtype=np.int64)
    dimensions, has_nulls, element = (int.from_bytes(data[at : at + 4], "big") for at in (0, 4, 8))
    if dimensions != 1 or has_nulls or element != BIGINT:
        raise ValueError("the query must give bigint columns without NULL only")
    body = np.frombuffer(data, dtype=np.dtype([("bytes", ">i4"), ("value", ">i8")]), offset=_ARRAY_HEAD_BYTES)
    return body["value"].astype(np.int64)
