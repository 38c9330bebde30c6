"""What happened to identifiers after their events were written: re-identified (overlay) or erased (tombstone).

Files are never edited for it. A correction concerns a file while its number is above what the file has taken in, and,
for a compacted file, if the identifier falls into its bucket.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa

from cdp.events.files.layout import MAX_BUCKETS, bucket_of
from cdp.events.files.relation import FilePart
from cdp.events.models import EventFile
from cdp.events.store import EventStore, engine_connect

__all__ = ["Corrections", "corrections_read", "file_parts", "files_note", "files_touched"]


@dataclass(frozen=True, slots=True)
class Corrections:
    """``overlay`` (identifier_no, profile_no, seq) and ``erased`` (identifier_no, seq), one row an identifier."""

    overlay: pa.Table
    erased: pa.Table


def corrections_read(cursor: psycopg.Cursor[Any], files: Iterable[EventFile]) -> Corrections:
    """Every correction that at least one of ``files`` has not taken in."""
    taken_in = [(file.overlay_seq, file.erased_seq) for file in files]
    oldest_overlay = min((overlay for overlay, _ in taken_in), default=None)
    oldest_erased = min((erased for _, erased in taken_in), default=None)
    cursor.execute(
        "SELECT identifier_no, profile_no, seq FROM cdp_identifieroverlay WHERE seq > %s", [oldest_overlay], binary=True
    )
    overlay = _table(cursor.fetchall(), ["identifier_no", "profile_no", "seq"])
    cursor.execute("SELECT identifier_no, seq FROM cdp_erasedidentifier WHERE seq > %s", [oldest_erased], binary=True)
    return Corrections(overlay, _table(cursor.fetchall(), ["identifier_no", "seq"]))


def _newest_by_bucket(corrections: pa.Table) -> list[int]:
    """Highest number of ``corrections`` in each of the 16 finest buckets; 0 where there is none."""
    newest = np.zeros(MAX_BUCKETS, np.int64)
    buckets = bucket_of(corrections["identifier_no"].to_numpy(), MAX_BUCKETS)
    np.maximum.at(newest, buckets, corrections["seq"].to_numpy())
    return [int(number) for number in newest]


def _is_concerned(newest: Sequence[int], file: EventFile, taken_in: int) -> bool:
    """Whether a correction above ``taken_in`` may touch ``file``; ``newest`` by ``_newest_by_bucket``."""
    first, step = (file.bucket or 0, file.buckets) if file.buckets else (0, 1)  # 16 is a multiple of every step
    return any(number > taken_in for number in newest[first::step])


def _file_part(file: EventFile, path: str, newest_overlay: Sequence[int], newest_erased: Sequence[int]) -> FilePart:
    """How to read ``file``: with the overlay and the tombstones only where they may concern it."""
    return FilePart(
        path,
        tuple(sorted(file.property_types.items())),
        _is_concerned(newest_overlay, file, file.overlay_seq),
        _is_concerned(newest_erased, file, file.erased_seq),
    )


def file_parts(files: Sequence[EventFile], paths: Sequence[str], corrections: Corrections) -> list[FilePart]:
    """How to read each of ``files``, which lie at ``paths``."""
    overlay, erased = _newest_by_bucket(corrections.overlay), _newest_by_bucket(corrections.erased)
    return [_file_part(file, path, overlay, erased) for file, path in zip(files, paths, strict=True)]


def files_touched(
    store: EventStore, files: Sequence[EventFile], corrections: pa.Table, taken_in: str, *, change: str
) -> list[EventFile]:
    """Those of ``files`` with a row that one of ``corrections`` changes, by the SQL condition ``change`` over both.

    ``taken_in`` names the manifest field that says how far a file is. Reads a column or two, of candidates only. A file
    that has taken a correction in holds no row that it would change, so one join answers for all files.
    """
    newest = _newest_by_bucket(corrections)
    candidates = [file for file in files if _is_concerned(newest, file, getattr(file, taken_in))]
    if not candidates:
        return []
    with store.storage.pinned([file.path for file in candidates]) as paths, engine_connect(store) as duck:
        duck.register("corrected", corrections)
        hit = duck.execute(
            "SELECT DISTINCT filename FROM read_parquet(?, hive_partitioning = false, filename = true) f "  # noqa: S608
            f"JOIN corrected c ON c.identifier_no = f.identifier_no WHERE {change}",
            [paths],
        ).fetchall()
        names = {name for (name,) in hit}
        return [file for file, path in zip(candidates, paths, strict=True) if path in names]


def files_note(files: Sequence[EventFile], **taken_in: int) -> None:
    """Note in the manifest that live ``files`` have nothing to take in up to a number."""
    EventFile.objects.filter(file_no__in=[file.file_no for file in files], removed_at=None).update(**taken_in)


def _table(rows: list[Any], names: list[str]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([pa.array(column, pa.int64()) for column in columns], names=names)
