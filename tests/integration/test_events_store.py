"""The store answers like a dictionary would, whatever was flushed, compacted, folded, erased or swept in between."""

import dataclasses
import datetime as dt
import hashlib
import random

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from django.db import connection

from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.core.time import UTC
from cdp.events import services
from cdp.events.files.layout import bucket_of, month_of
from cdp.events.files.manifest import files_live
from cdp.events.models import ErasedIdentifier, EventFile, EventProperty, IdentifierOverlay
from cdp.events.reader import events_version
from cdp.events.records import NewEvent
from cdp.events.store import store_open
from tests.events_samples import NOW, PlainStore, event_make, events_random, numbers_read, relation_read

pytestmark = pytest.mark.django_db
LATER = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def two_properties() -> None:
    EventProperty.objects.exclude(key__in=["category", "quantity"]).delete()


@pytest.mark.parametrize("seed", range(4))
def test_any_history_reads_like_a_dictionary(seed: int) -> None:
    history_play(seed, steps=25)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 160))
def test_long_histories_read_like_a_dictionary(seed: int) -> None:
    history_play(seed, steps=80)


def history_play(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    plain, now = PlainStore(), NOW
    for _ in range(steps):
        now += dt.timedelta(seconds=rng.choice([1, 3600, 86_400, 86_400 * 9]))
        match rng.choice(["append"] * 4 + ["overlay", "erase", "flush", "flush", "compact", "all", "rewrite", "fold"]):
            case "append":
                rows = [
                    dataclasses.replace(row, profile_no=plain.overlay.get(row.identifier_no, row.profile_no))
                    for row in events_random(rng, rng.choice([1, 40, 300]), now=now)
                    if row.identifier_no not in plain.erased
                ]
                plain.append(services.events_append(rows), rows)
            case "overlay":
                moved = [IdentifierNo(number) for number in rng.sample(range(10, 410), rng.choice([1, 30]))]
                winner = ProfileNo(rng.randrange(1, 41))
                services.overlay_write(moved, winner)
                plain.overlay |= dict.fromkeys(moved, winner)
            case "erase":
                gone = [IdentifierNo(number) for number in rng.sample(range(10, 410), 2)]
                services.identifiers_erase(gone, now)
                plain.erased |= set(gone)
            case "flush":
                services.events_flush(now, rows_per_file=rng.choice([50, 500_000]))
            case "compact":
                services.store_compact(now)
            case "all":
                services.store_compact(now, only_closed=False)
            case "rewrite":
                services.store_rewrite_erased(now)
            case "fold":
                services.store_fold_overlay()
        services.store_sweep(dt.datetime.now(UTC) + LATER)
        services.partitions_upkeep(now)
        assert relation_read().to_pylist() == plain.answer()
    manifest_holds_true()


def manifest_holds_true() -> None:
    """Every live file is what its row says, is sorted, and lies alone in the storage."""
    storage = store_open().storage
    for file in EventFile.objects.filter(removed_at=None):
        path = storage.open_local(file.path)
        table = pq.read_table(path, partitioning=None)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
        assert (table.num_rows, path.stat().st_size) == (file.rows, file.bytes)
        assert pc.min_max(table["event_no"]).as_py() == {"min": file.min_event_no, "max": file.max_event_no}
        moments = pc.min_max(table["occurred_at"]).as_py()
        assert moments["min"].replace(tzinfo=UTC) == file.min_occurred_at
        assert moments["max"].replace(tzinfo=UTC) == file.max_occurred_at
        assert pc.min(table["received_at"]).as_py().replace(tzinfo=UTC) == file.min_received_at
        keys = ["event_no"]
        if file.kind == "compacted":
            assert month_of(file.min_occurred_at) == month_of(file.max_occurred_at) == file.month
            assert {bucket_of(number, file.buckets) for number in table["identifier_no"].to_pylist()} == {file.bucket}
            keys = ["profile_no", "occurred_at", "event_no"]
        assert table.equals(table.sort_by([(key, "ascending") for key in keys]))
    listed = set(EventFile.objects.values_list("path", flat=True))
    assert {file.key for prefix in ("hot/", "compacted/") for file in storage.list(prefix)} == listed


def compacted(*rows: NewEvent) -> list[int]:
    numbers = services.events_append(rows)
    services.events_flush(NOW)
    services.store_compact(NOW, only_closed=False)
    return numbers


def test_an_empty_store_has_the_columns_and_no_rows() -> None:
    table = relation_read()
    assert table.num_rows == 0
    assert [str(table.schema.field(name).type) for name in ("event_no", "occurred_at", "amount", "p_quantity")] == [
        "int64",
        "timestamp[us]",
        "decimal128(18, 4)",
        "decimal128(18, 4)",
    ]
    assert table.column_names[-3:] == ["p_category", "p_quantity", "properties"]


def test_the_tail_is_seen_before_any_flush_and_once_after_it() -> None:
    numbers = services.events_append([event_make(n) for n in range(1, 5)])
    before = events_version()
    assert numbers_read() == numbers
    result = services.events_flush(NOW)
    assert (result.files, result.rows, result.flushed_to) == (1, 4, numbers[-1])
    assert numbers_read() == numbers
    assert events_version() == before, "a flush changes no answer"


def test_a_second_flush_and_a_second_compaction_change_nothing() -> None:
    compacted(*[event_make(n) for n in range(1, 20)])
    before = list(EventFile.objects.order_by("file_no").values())
    assert services.events_flush(NOW).files == 0
    assert services.store_compact(NOW, only_closed=False).jobs == 0
    assert list(EventFile.objects.order_by("file_no").values()) == before


def test_wrongly_typed_values_are_null_and_counted() -> None:
    services.events_append(
        [
            event_make(1, properties=b'{"quantity":"three","category":["shoes"]}'),
            event_make(2, properties=b'{"quantity":"3","category":7}'),
            event_make(3, properties=b"not json"),
        ]
    )
    result = services.events_flush(NOW)
    assert result.bad_values == {"quantity": 1, "category": 1, "properties": 1}
    rows = relation_read("SELECT p_category, p_quantity::VARCHAR, properties FROM events ORDER BY event_no").to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (None, None, '{"quantity":"three","category":["shoes"]}'),
        ("7", "3.0000", '{"quantity":"3","category":7}'),
        (None, None, "not json"),
    ]


def test_a_property_declared_later_reaches_the_whole_history() -> None:
    compacted(event_make(1, properties=b'{"colour":"red"}'))
    EventProperty.objects.create(key="colour", value_type="text", title="Colour")
    assert relation_read("SELECT p_colour FROM events")["p_colour"].to_pylist() == [None]
    version = events_version()
    assert services.store_project_properties().rewritten == 1
    assert relation_read("SELECT p_colour FROM events")["p_colour"].to_pylist() == ["red"]
    assert events_version() != version
    assert services.store_project_properties().rewritten == 0


def test_open_months_stay_hot_and_closed_ones_move() -> None:
    services.events_append(
        [
            event_make(1, occurred_at=NOW),
            event_make(2, occurred_at=dt.datetime(2026, 10, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
            event_make(3, occurred_at=dt.datetime(2026, 11, 1, tzinfo=UTC)),
        ]
    )
    services.events_flush(NOW)
    services.store_compact(NOW)
    assert [(f.kind, f.month, f.rows) for f in files_live()] == [
        ("hot", None, 2),
        ("compacted", dt.date(2026, 10, 1), 1),
    ]


def test_late_events_form_layers_and_layers_are_merged() -> None:
    old = dt.datetime(2026, 9, 15, tzinfo=UTC)
    kept = []
    for flush in range(9):
        kept += services.events_append([event_make(flush * 10 + n, occurred_at=old) for n in range(3)])
        services.events_flush(NOW)
        services.store_compact(NOW)
    assert [f.rows for f in files_live()] == [27]
    assert numbers_read() == kept


def test_small_hot_files_of_the_open_month_are_merged() -> None:
    numbers = []
    for flush in range(20):
        numbers += services.events_append([event_make(flush)])
        services.events_flush(NOW)
    services.store_compact(NOW, eager=False)
    assert len(files_live()) == 1
    assert numbers_read() == numbers


def test_a_tick_leaves_todays_few_late_events_alone() -> None:
    services.events_append([event_make(1, occurred_at=NOW - dt.timedelta(days=60))])
    services.events_flush(NOW)
    assert services.store_compact(NOW, eager=False).jobs == 0
    assert services.store_compact(NOW + LATER, eager=False).jobs == 1


def test_erased_people_are_gone_at_once_and_from_the_files_after_the_rewrite() -> None:
    numbers = compacted(*[event_make(n, identifier_no=n % 5 + 1) for n in range(10)])
    tail = services.events_append([event_make(20, identifier_no=3), event_make(21, identifier_no=4)])
    before = events_version()
    services.identifiers_erase([IdentifierNo(3)], NOW)
    kept = [number for n, number in enumerate(numbers) if n % 5 + 1 != 3] + tail[1:]
    assert numbers_read() == kept
    assert events_version() != before
    assert not services.identifiers_erased([3])
    assert services.store_rewrite_erased(NOW).rewritten == 1
    assert numbers_read() == kept
    assert not services.identifiers_erased([3]), "the replaced file is still there"
    services.store_sweep(dt.datetime.now(UTC) + LATER)
    assert services.identifiers_erased([3])
    assert ErasedIdentifier.objects.get().rewritten_at == NOW
    storage = store_open().storage
    for file in files_live():
        assert 3 not in pq.read_table(storage.open_local(file.path), partitioning=None)["identifier_no"].to_pylist()
    manifest_holds_true()


def test_an_event_that_comes_after_the_erasure_is_never_seen() -> None:
    services.identifiers_erase([IdentifierNo(3)], NOW)
    services.events_append([event_make(1, identifier_no=3)])
    assert numbers_read() == []
    assert services.events_flush(NOW).rows == 0
    assert numbers_read() == []


def test_erasing_touches_only_files_that_hold_the_person() -> None:
    compacted(event_make(1, identifier_no=1))
    compacted(event_make(2, identifier_no=2, occurred_at=NOW - dt.timedelta(days=90)))
    services.identifiers_erase([IdentifierNo(2)], NOW)
    result = services.store_rewrite_erased(NOW)
    assert (result.rewritten, result.noted, result.settled) == (1, 1, 1)
    assert services.store_rewrite_erased(NOW) == type(result)()


def test_re_identified_events_belong_to_the_new_profile_then_and_after_folding() -> None:
    compacted(event_make(1, identifier_no=1, profile_no=11), event_make(2, identifier_no=2, profile_no=12))
    services.events_append([event_make(3, identifier_no=1, profile_no=11)])
    services.overlay_write([IdentifierNo(1)], ProfileNo(12))
    question = "SELECT profile_no FROM events ORDER BY event_no"
    assert relation_read(question)["profile_no"].to_pylist() == [12, 12, 12]
    services.events_flush(NOW)
    services.store_fold_overlay()
    assert IdentifierOverlay.objects.count() == 0
    assert relation_read(question)["profile_no"].to_pylist() == [12, 12, 12]
    services.overlay_write([IdentifierNo(1)], ProfileNo(11))
    assert relation_read(question)["profile_no"].to_pylist() == [11, 12, 11]
    manifest_holds_true()


def test_the_overlay_is_kept_while_the_tail_needs_it() -> None:
    services.events_append([event_make(1, identifier_no=1, profile_no=11)])
    services.overlay_write([IdentifierNo(1)], ProfileNo(12))
    services.store_fold_overlay()
    assert IdentifierOverlay.objects.count() == 1
    assert relation_read("SELECT profile_no FROM events")["profile_no"].to_pylist() == [12]


def test_limits_leave_out_whole_files_only() -> None:
    compacted(event_make(1, occurred_at=NOW), event_make(2, occurred_at=NOW - dt.timedelta(days=90)))
    count = "SELECT count(*) AS n FROM events"
    assert relation_read(count)["n"].to_pylist() == [2]
    assert relation_read(count, occurred_from=NOW)["n"].to_pylist() == [1]
    assert relation_read(count, occurred_to=NOW)["n"].to_pylist() == [1]


def test_old_partitions_go_only_when_files_hold_them() -> None:
    services.events_append([event_make(1, received_at=NOW - dt.timedelta(days=40))])
    day = (NOW - dt.timedelta(days=40)).date()
    assert services.partitions_upkeep(NOW).kept_unflushed == (day,)
    services.events_flush(NOW)
    assert services.partitions_upkeep(NOW).dropped == (day,)
    assert len(numbers_read()) == 1


def test_the_sweep_keeps_what_a_reader_may_hold_and_young_leftovers() -> None:
    compacted(*[event_make(n) for n in range(3)])
    storage = store_open().storage
    leftover = storage.staging / "draft.tmp"
    leftover.write_bytes(b"half")
    storage.put_file(leftover, "hot/day=2026-11-23/leftover.parquet")
    present = dt.datetime.now(UTC)
    assert services.store_sweep(present) == services.store_sweep(present)
    assert EventFile.objects.exclude(removed_at=None).count() == 1
    result = services.store_sweep(present + LATER)
    assert (result.replaced, result.unlisted) == (1, 1)
    manifest_holds_true()


def test_a_sequence_that_was_not_restored_hides_no_event() -> None:
    first = services.events_append([event_make(1)])
    services.events_flush(NOW)
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('cdp_event_no_seq', 1, false)")
    services.events_flush(NOW)
    second = services.events_append([event_make(2)])
    assert second > first
    assert numbers_read() == first + second
