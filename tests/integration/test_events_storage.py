"""One suite for both kinds of storage; the bucket is served over HTTP by moto. And what only a bucket has: its cache."""

import datetime as dt
import fcntl
import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.conf import LazySettings
from moto.server import ThreadedMotoServer

from cdp.config import BASE_DIR
from cdp.core.errors import NeedsHumanError, RetryableError
from cdp.core.ids import IdentifierNo
from cdp.core.time import UTC
from cdp.events import services
from cdp.events.files.manifest import files_live
from cdp.events.storage import LocalStorage, Storage, staged
from cdp.events.storage_s3 import S3Credentials, S3Storage
from cdp.events.store import storage_from_url, store_open
from tests.events_samples import NOW, PlainStore, event_make, events_random, relation_read

FILE_BYTES = 1_000


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"events-{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"
    httpx.put(f"{endpoint}/{name}").raise_for_status()
    yield name


def s3_make(endpoint: str, bucket: str, cache: Path, **overrides: object) -> S3Storage:
    values: dict[str, object] = {"endpoint_url": endpoint, "access_key_id": "key", "secret_access_key": "secret"}
    credentials = S3Credentials(**values | overrides)  # type: ignore[arg-type]
    return S3Storage.from_url(f"s3://{bucket}/a/prefix", credentials, cache, cache_bytes=3 * FILE_BYTES)


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path / "store")
    endpoint, bucket = request.getfixturevalue("endpoint"), request.getfixturevalue("bucket")
    return s3_make(endpoint, bucket, tmp_path / "cache")


def put(storage: Storage, key: str, content: bytes) -> None:
    with staged(storage) as draft:
        draft.write_bytes(content)
        storage.put_file(draft, key)
        assert not draft.exists()


def test_what_was_put_is_read_listed_and_deleted(storage: Storage) -> None:
    put(storage, "hot/day=2026-11-23/a.parquet", b"first")
    put(storage, "compacted/month=2026-10/b.parquet", b"second one")
    assert storage.open_local("hot/day=2026-11-23/a.parquet").read_bytes() == b"first"
    (found,) = storage.list("compacted/")
    assert (found.key, found.bytes) == ("compacted/month=2026-10/b.parquet", 10)
    assert abs(found.modified_at - dt.datetime.now(UTC)) < dt.timedelta(minutes=1)
    with storage.pinned(["compacted/month=2026-10/b.parquet", "hot/day=2026-11-23/a.parquet"]) as paths:
        assert [Path(path).read_bytes() for path in paths] == [b"second one", b"first"]
    storage.delete("hot/day=2026-11-23/a.parquet")
    storage.delete("hot/day=2026-11-23/a.parquet")
    assert [*storage.list("hot/")] == []
    with pytest.raises(FileNotFoundError):
        storage.open_local("hot/day=2026-11-23/a.parquet")


def test_another_machine_reads_through_its_own_cache(endpoint: str, bucket: str, tmp_path: Path) -> None:
    put(s3_make(endpoint, bucket, tmp_path / "one"), "hot/a.parquet", b"x" * 20_000_000)
    other = s3_make(endpoint, bucket, tmp_path / "two")
    path = other.open_local("hot/a.parquet")
    assert path.is_relative_to(tmp_path / "two")
    assert path.read_bytes() == b"x" * 20_000_000
    assert [*other.staging.iterdir()] == []


def test_the_cache_forgets_the_least_recently_used_but_no_pinned_file(
    endpoint: str, bucket: str, tmp_path: Path
) -> None:
    storage = s3_make(endpoint, bucket, tmp_path / "cache")
    for name in "abc":
        put(storage, f"hot/{name}", name.encode() * FILE_BYTES)
        os.utime(tmp_path / "cache/objects/hot" / name, (ord(name), ord(name)))
    with storage.pinned(["hot/a", "hot/b"]) as paths:
        for name in "defg":
            put(storage, f"hot/{name}", name.encode() * FILE_BYTES)
        cached = sorted(path.name for path in (tmp_path / "cache/objects/hot").iterdir())
        assert len(cached) == 3
        assert "g" in cached
        assert [Path(path).read_bytes()[:1] for path in paths] == [b"a", b"b"]
    assert storage.open_local("hot/a").read_bytes() == b"a" * FILE_BYTES
    assert [*(tmp_path / "cache/pins").iterdir()] == []


READER = """
import sys, pathlib
from cdp.events.storage_s3 import S3Credentials, S3Storage
endpoint, bucket, cache = sys.argv[1:]
credentials = S3Credentials(endpoint, access_key_id="key", secret_access_key="secret")
with S3Storage.from_url(f"s3://{bucket}/a/prefix", credentials, pathlib.Path(cache), 1).pinned(["hot/a"]):
    print("pinned", flush=True)
    sys.stdin.read()
"""


def test_pins_of_a_killed_reader_are_released(endpoint: str, bucket: str, tmp_path: Path) -> None:
    storage = s3_make(endpoint, bucket, tmp_path / "cache")
    put(storage, "hot/a", b"a")
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, endpoint, bucket, str(tmp_path / "cache")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=BASE_DIR,
    )
    with reader:
        assert reader.stdout
        assert reader.stdout.readline() == b"pinned\n"
        put(storage, "hot/b", b"b")
        (pins,) = (tmp_path / "cache/pins").iterdir()
        reader.kill()
        reader.wait()
    put(storage, "hot/c", b"c")
    assert not pins.exists()


def test_a_pin_folder_that_a_sweep_took_is_made_again(
    endpoint: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = s3_make(endpoint, bucket, tmp_path / "cache")
    put(storage, "hot/a", b"a")
    taken: list[Path] = []
    real = fcntl.flock

    def flock_late(handle: object, operation: int) -> None:
        if not taken:
            (folder,) = (tmp_path / "cache/pins").iterdir()
            taken.append(folder)
            (folder / "lock").unlink()
            folder.rmdir()
        real(handle, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", flock_late)
    with storage.pinned(["hot/a"]) as paths:
        assert Path(paths[0]).read_bytes() == b"a"
        assert Path(paths[0]).parent != taken[0]


def test_a_bucket_that_is_not_there_names_the_key_to_try_again(endpoint: str, tmp_path: Path) -> None:
    storage = s3_make(endpoint, "nowhere", tmp_path / "cache")
    with pytest.raises((FileNotFoundError, RetryableError)):
        put(storage, "hot/a", b"a")
    assert [*storage.staging.iterdir()] == []


def test_an_address_of_another_kind_names_the_setting() -> None:
    with pytest.raises(NeedsHumanError, match="CDP_EVENT_STORAGE_URL"):
        storage_from_url("ftp://somewhere")


@pytest.mark.django_db
def test_the_whole_store_lives_in_a_bucket(endpoint: str, bucket: str, settings: LazySettings) -> None:
    settings.CDP_EVENT_STORAGE_URL = f"s3://{bucket}/events"
    settings.CONFIG = settings.CONFIG.model_copy(
        update={"cdp_s3_endpoint_url": endpoint, "cdp_s3_access_key_id": "k", "cdp_s3_secret_access_key": "s"}
    )
    plain = PlainStore()
    for seed in range(3):
        rows = events_random(random.Random(seed), 200)
        plain.append(services.events_append(rows), rows)
        services.events_flush(NOW)
    services.store_compact(NOW)
    gone = next(iter(plain.rows.values())).identifier_no
    services.identifiers_erase([IdentifierNo(gone)], NOW)
    plain.erased.add(gone)
    services.store_rewrite_erased(NOW)
    services.store_sweep(dt.datetime.now(UTC) + dt.timedelta(days=1))
    columns = ", ".join(name for name in plain.answer()[0])
    assert relation_read(f"SELECT {columns} FROM events ORDER BY event_no").to_pylist() == plain.answer()
    storage = store_open().storage
    assert isinstance(storage, S3Storage)
    assert {file.key for prefix in ("hot/", "compacted/") for file in storage.list(prefix)} == {
        file.path for file in files_live()
    }


@pytest.mark.django_db
def test_a_file_lost_from_the_storage_is_an_error_not_a_smaller_count(own_files: Path) -> None:
    services.events_append([event_make(1)])
    services.events_flush(NOW)
    (file,) = files_live()
    (own_files / "events" / file.path).unlink()
    with pytest.raises(Exception, match="parquet"):
        relation_read()
