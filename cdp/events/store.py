"""The event store as configured: where files lie and how much one maintenance run may use."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
from django.conf import settings

from cdp.core.errors import NeedsHumanError
from cdp.events.storage import LocalStorage, Storage
from cdp.events.storage_s3 import S3Credentials, S3Storage

__all__ = ["EventStore", "engine_connect", "storage_from_url", "store_open"]


@dataclass(frozen=True, slots=True)
class EventStore:
    """Settings that flush, compaction and erasure share."""

    storage: Storage
    memory_limit: str
    threads: int
    recent_days: int


def store_open() -> EventStore:
    """The store that the settings name."""
    config = settings.CONFIG
    return EventStore(
        storage=storage_from_url(settings.CDP_EVENT_STORAGE_URL),
        memory_limit=config.cdp_duckdb_memory_limit,
        threads=config.cdp_duckdb_threads,
        recent_days=config.cdp_event_recent_days,
    )


def storage_from_url(url: str) -> Storage:
    """Storage behind ``file:///folder`` or ``s3://bucket/prefix``. Raises NeedsHumanError for anything else."""
    if url.startswith("file://"):
        return LocalStorage.from_url(url)
    if url.startswith("s3://"):
        config = settings.CONFIG
        credentials = S3Credentials(
            config.cdp_s3_endpoint_url,
            config.cdp_s3_region,
            config.cdp_s3_access_key_id,
            config.cdp_s3_secret_access_key,
        )
        return _s3_storage(url, credentials, settings.DATA_DIR / "event-cache", config.cdp_s3_cache_bytes, os.getpid())
    raise NeedsHumanError(
        f"CDP_EVENT_STORAGE_URL: write file:///folder or s3://bucket/prefix, not {url.partition(':')[0]}:"
    )


@lru_cache(maxsize=4)
def _s3_storage(url: str, credentials: S3Credentials, cache: Path, cache_bytes: int, _process: int) -> S3Storage:
    """One client a process: its threads do not survive a fork."""
    return S3Storage.from_url(url, credentials, cache, cache_bytes)


def engine_connect(store: EventStore) -> Any:
    """A DuckDB connection in memory with the store's limits; spills below the staging folder, never online."""
    return duckdb.connect(
        ":memory:",
        config={
            "memory_limit": store.memory_limit,
            "threads": store.threads,
            "temp_directory": str(Path(store.storage.staging) / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
