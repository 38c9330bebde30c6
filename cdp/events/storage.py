"""Where event files lie: a folder, or a bucket of an S3-compatible store, behind one small interface.

A key is visible only when its content is whole and durable. Keys are never written twice.
"""

import datetime as dt
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from cdp.core.time import UTC

__all__ = ["LocalStorage", "Storage", "StoredFile", "fsync_folder", "staged"]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One stored object; ``modified_at`` is the storage's own clock."""

    key: str
    bytes: int
    modified_at: dt.datetime


class Storage(Protocol):
    """Immutable files by key."""

    @property
    def staging(self) -> Path:
        """A local folder to write files in before ``put_file``; whatever old lies there is swept."""
        ...

    def put_file(self, local_path: Path, key: str) -> None:
        """Make ``local_path`` durable and visible as ``key``; the local file is gone afterwards."""
        ...

    def open_local(self, key: str) -> Path:
        """A local path with the content. Raises FileNotFoundError. May be evicted later: see ``pinned``."""
        ...

    def pinned(self, keys: Sequence[str]) -> AbstractContextManager[list[str]]:
        """Local paths of ``keys``, in order, that stay readable inside the block."""
        ...

    def delete(self, key: str) -> None:
        """Remove ``key``; nothing happens when there is none."""
        ...

    def list(self, prefix: str) -> Iterator[StoredFile]:
        """All stored files whose key starts with ``prefix``, in no order."""
        ...


@dataclass(frozen=True, slots=True)
class LocalStorage:
    """A folder of this machine, or one that all machines mount."""

    root: Path

    @classmethod
    def from_url(cls, url: str) -> "LocalStorage":
        """``file:///folder``."""
        return cls(Path(unquote(urlsplit(url).path)))

    @property
    def staging(self) -> Path:
        folder = self.root / "staging"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def put_file(self, local_path: Path, key: str) -> None:
        target = self.root / key
        _folders_make(target.parent, self.root)
        with local_path.open("rb") as file:
            os.fsync(file.fileno())
        local_path.replace(target)
        fsync_folder(target.parent)

    def open_local(self, key: str) -> Path:
        path = self.root / key
        if not path.exists():
            raise FileNotFoundError(key)
        return path

    @contextmanager
    def pinned(self, keys: Sequence[str]) -> Iterator[list[str]]:
        yield [str(self.root / key) for key in keys]

    def delete(self, key: str) -> None:
        (self.root / key).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[StoredFile]:
        folder = self.root / prefix
        for path in folder.rglob("*") if folder.is_dir() else ():
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue  # removed by another process meanwhile
            if path.is_file():
                yield StoredFile(
                    path.relative_to(self.root).as_posix(),
                    facts.st_size,
                    dt.datetime.fromtimestamp(facts.st_mtime, UTC),
                )


@contextmanager
def staged(storage: Storage) -> Iterator[Path]:
    """A new local path for a file in the making; what is left there at the end of the block is removed."""
    path = storage.staging / f"{secrets.token_hex(8)}.tmp"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _folders_make(folder: Path, root: Path) -> None:
    if folder.is_dir():
        return
    if folder != root:
        _folders_make(folder.parent, root)
    folder.mkdir(parents=True, exist_ok=True)
    fsync_folder(folder.parent)
