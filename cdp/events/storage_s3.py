"""Event files in a bucket of an S3-compatible store, read through a cache of bounded size on this machine.

Files never change, so a cached one is right for ever. A reader pins what it reads by hard links of its own: eviction then
takes away the cache's name for a file, not the file. A pin folder holds a lock that ends with its process, which is how
those of killed readers are told from living ones.
"""

import datetime as dt
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from cdp.core.errors import NeedsHumanError, RetryableError
from cdp.events.storage import StoredFile

__all__ = ["S3Credentials", "S3Storage"]

DOWNLOADS_AT_ONCE = 8
DOWNLOAD_CHUNK_BYTES = 4 << 20
LOCK_NAME = "lock"


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """How to reach the bucket. Without keys the machine's own identity is used (instance role, environment)."""

    endpoint_url: str = ""
    region: str = "us-east-1"
    access_key_id: str = ""
    secret_access_key: str = ""

    def connect(self, bucket: str, prefix: str) -> S3Store:
        """A client of the bucket; path-style addresses and plain HTTP only towards an endpoint that is named."""
        options: dict[str, Any] = {"region": self.region}
        if self.endpoint_url:
            options |= {"endpoint": self.endpoint_url, "virtual_hosted_style_request": False}
        if self.access_key_id:
            options |= {"access_key_id": self.access_key_id, "secret_access_key": self.secret_access_key}
        return S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "allow_http": self.endpoint_url.startswith("http://"),
                "connect_timeout": dt.timedelta(seconds=5),
                "timeout": dt.timedelta(minutes=5),
            },
            retry_config={"max_retries": 4, "retry_timeout": dt.timedelta(seconds=60)},
            **options,
        )


@dataclass(frozen=True, slots=True)
class S3Storage:
    """A bucket, below a prefix. ``cache`` is a folder of this machine that its processes share."""

    bucket: S3Store
    cache: Path
    cache_bytes: int

    @classmethod
    def from_url(cls, url: str, credentials: S3Credentials, cache: Path, cache_bytes: int) -> "S3Storage":
        """``s3://bucket/prefix``."""
        parts = urlsplit(url)
        return cls(credentials.connect(parts.netloc, unquote(parts.path).strip("/")), cache, cache_bytes)

    @property
    def staging(self) -> Path:
        return _folder(self.cache / "staging")

    def put_file(self, local_path: Path, key: str) -> None:
        with _named_errors(key):
            obstore.put(self.bucket, key, local_path)
        self._keep(local_path, key)

    def open_local(self, key: str) -> Path:
        path = self._cached(key)
        try:
            os.utime(path)  # recently used: evicted last
        except FileNotFoundError:
            self._download(key)
        return path

    @contextmanager
    def pinned(self, keys: Sequence[str]) -> Iterator[list[str]]:
        with self._pin_folder() as folder, ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as downloads:
            paths = downloads.map(lambda n: self._pin(keys[n], folder / f"{n}.parquet"), range(len(keys)))
            yield [str(path) for path in paths]

    def delete(self, key: str) -> None:
        with _named_errors(key):
            try:
                obstore.delete(self.bucket, key)
            except NotFoundError:
                return
        self._cached(key).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[StoredFile]:
        with _named_errors(prefix):
            for chunk in obstore.list(self.bucket, prefix):
                for found in chunk:
                    yield StoredFile(found["path"], found["size"], found["last_modified"])

    def _cached(self, key: str) -> Path:
        return self.cache / "objects" / key

    @contextmanager
    def _pin_folder(self) -> Iterator[Path]:
        """A locked folder of this reader. Made again if a sweep took it between its making and its locking."""
        folder = _folder(self.cache / "pins" / secrets.token_hex(8))
        with (folder / LOCK_NAME).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if (folder / LOCK_NAME).exists():
                try:
                    yield folder
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
                return
        with self._pin_folder() as again:
            yield again

    def _pin(self, key: str, pin: Path) -> Path:
        while True:
            path = self.open_local(key)
            try:
                os.link(path, pin)
            except FileNotFoundError:
                continue  # evicted in between
            return pin

    def _download(self, key: str) -> None:
        draft = self.staging / f"{secrets.token_hex(8)}.tmp"
        try:
            with _named_errors(key), draft.open("wb") as file:
                found = obstore.get(self.bucket, key)
                for chunk in found.stream(DOWNLOAD_CHUNK_BYTES):
                    file.write(chunk)
                size = found.meta["size"]
            if draft.stat().st_size != size:
                raise RetryableError(f"{key}: the download ended early")
            self._keep(draft, key)
        finally:
            draft.unlink(missing_ok=True)

    def _keep(self, local_path: Path, key: str) -> None:
        path = self._cached(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        local_path.replace(path)
        self._evict(path)

    def _evict(self, newest: Path) -> None:
        """Forget the least recently used files beyond the limit, and the pins of readers that were killed."""
        files = sorted((facts.st_mtime, facts.st_size, path) for path, facts in _files(self.cache / "objects"))
        excess = sum(size for _, size, _ in files) - self.cache_bytes
        for _, size, path in files:
            if excess <= 0:
                break
            if path != newest:
                path.unlink(missing_ok=True)
                excess -= size
        for folder in (self.cache / "pins").glob("*"):
            _pins_release(folder)


@contextmanager
def _named_errors(key: str) -> Iterator[None]:
    try:
        yield
    except NotFoundError as error:
        raise FileNotFoundError(key) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise NeedsHumanError(
            "the event store's bucket refuses access: check CDP_S3_ACCESS_KEY_ID, CDP_S3_SECRET_ACCESS_KEY and the"
            " bucket's policy",
            code="storage_access",
        ) from error
    except BaseError as error:
        raise RetryableError(f"the event store's bucket did not answer for {key}") from error


def _pins_release(folder: Path) -> None:
    try:
        with (folder / LOCK_NAME).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except (BlockingIOError, FileNotFoundError):
        return  # in use, or just being made or removed


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.rglob("*"):
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            yield path, facts


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
