"""The manifest: which files make up the store, and the only three ways in which that changes."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from cdp.events.files.parquet import FileFacts
from cdp.events.models import EventFile, EventProperty, StoreMark

__all__ = [
    "FLUSHED",
    "OVERLAY",
    "NewFile",
    "RewriteResult",
    "files_add",
    "files_live",
    "files_swap",
    "mark_read",
    "mark_write",
    "property_types_read",
]

FLUSHED = "flushed"
OVERLAY = "overlay"


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that lies on the storage and waits for its row. ``day`` for hot files, the other three for compacted ones."""

    path: str
    facts: FileFacts
    overlay_seq: int
    erased_seq: int
    property_types: dict[str, str]
    day: dt.date | None = None
    month: dt.date | None = None
    bucket: int | None = None
    buckets: int | None = None

    def row(self) -> EventFile:
        """The manifest row, unsaved."""
        return EventFile(
            path=self.path,
            kind="hot" if self.month is None else "compacted",
            day=self.day,
            month=self.month,
            bucket=self.bucket,
            buckets=self.buckets,
            rows=self.facts.rows,
            bytes=self.facts.bytes,
            sha256=self.facts.sha256,
            min_event_no=self.facts.min_event_no,
            max_event_no=self.facts.max_event_no,
            min_occurred_at=self.facts.min_occurred_at,
            max_occurred_at=self.facts.max_occurred_at,
            min_received_at=self.facts.min_received_at,
            overlay_seq=self.overlay_seq,
            erased_seq=self.erased_seq,
            property_types=self.property_types,
        )


@dataclass(frozen=True, slots=True)
class RewriteResult:
    """Files that were rewritten, files that only needed a note, and corrections that no file needs any more."""

    rewritten: int = 0
    noted: int = 0
    settled: int = 0


def property_types_read() -> dict[str, str]:
    """Declared properties and their types."""
    return dict(EventProperty.objects.order_by("key").values_list("key", "value_type"))


def mark_read(name: str = FLUSHED) -> int:
    """Value of a mark; 0 before its first write."""
    return StoreMark.objects.filter(name=name).values_list("value", flat=True).first() or 0


def mark_write(name: str, before: int, after: int) -> bool:
    """Move a mark from ``before`` to ``after``. False when another process has moved it: undo what belongs to it."""
    StoreMark.objects.bulk_create([StoreMark(name=name, value=0)], ignore_conflicts=True)
    return bool(StoreMark.objects.filter(name=name, value=before).update(value=after))


def files_live() -> list[EventFile]:
    """Every file that readers see now, oldest first."""
    return list(EventFile.objects.filter(removed_at=None).order_by("file_no"))


def files_add(files: Iterable[NewFile]) -> None:
    """Make files visible, in the caller's transaction."""
    EventFile.objects.bulk_create([file.row() for file in files])


def files_swap(old_file_nos: Sequence[int], new: Iterable[NewFile]) -> bool:
    """Replace files by others with the same rows, at once for every reader.

    False, and nothing changed, when one of the old ones is no longer live: another process was faster.
    The removal carries the database's clock, which the sweeper's grace counts from.
    """
    numbers = sorted(set(old_file_nos))
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT file_no FROM cdp_eventfile WHERE file_no = ANY(%s) AND removed_at IS NULL ORDER BY 1 FOR UPDATE",
                [numbers],
            )
            if [row[0] for row in cursor] != numbers:
                return False
            cursor.execute("UPDATE cdp_eventfile SET removed_at = clock_timestamp() WHERE file_no = ANY(%s)", [numbers])
        files_add(new)
    return True
