"""What the engine sees of people is what the tables say, at every moment and after every kind of refresh."""

import datetime as dt
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection, transaction

from cdp.consent.models import Purpose
from cdp.consent.tasks import consents_expire as expire_tick
from cdp.core.errors import RejectedError, RetryableError
from cdp.events.store import store_open
from cdp.identity.services import profile_erase, profiles_merge
from cdp.profiles import computing, upkeep, view
from cdp.profiles.models import ComputedTraits, ProfileSnapshot, Trait
from cdp.profiles.reader import computed_groups, profiles_register, profiles_version
from cdp.profiles.services import computed_traits_write, profiles_upkeep, traits_declare
from cdp.profiles.snapshot import profiles_snapshot_refresh, snapshots_sweep
from cdp.profiles.tasks import profiles_upkeep as upkeep_tick
from cdp.profiles.trait_values import TraitSpec
from tests.integration.people import DAY, HOUR, NOW, consent, profile_of, resolve, rows, say

pytestmark = pytest.mark.django_db


@pytest.fixture
def duck() -> Iterator[Any]:
    with duckdb.connect(":memory:") as connection:
        yield connection


def seen(duck: Any, columns: str = "*", **options: Any) -> list[tuple[Any, ...]]:
    with profiles_register(duck, **options):
        return list(duck.sql(f"SELECT {columns} FROM profiles ORDER BY profile_no").fetchall())


def some_people() -> None:
    resolve("u1 e1", "a1", "u2", "u3")
    say("u1", first_name='Ann "A", \\ \n', country="FR", age=33, birthday="1990-02-03", plan=None)
    consent("u1", "granted"), consent("a1", "denied")


def test_typed_columns(duck: Any) -> None:
    some_people()
    columns = "profile_no, is_identified, t_first_name, t_country, t_age, t_birthday, t_plan, c_advertising, c_analytics, i_email, i_phone"
    first, second, *_ = seen(duck, columns)
    assert first == (
        *(
            profile_of("u1"),
            True,
            'Ann "A", \\ \n',
            "FR",
            33.0,
            dt.datetime.fromisoformat("1990-02-03"),
            None,
            "granted",
            None,
        ),
        *(True, False),
    )
    assert second[1:] == (False, None, None, None, None, None, "denied", None, False, False)


def test_every_change_is_seen_at_once(duck: Any) -> None:
    some_people()
    assert len(seen(duck)) == 4
    say("u2", country="DE")
    resolve("u9")
    consent("u1", "withdrawn", at=NOW + HOUR)
    profiles_merge(profile_of("u1") or 0, profile_of("a1") or 0, "x", "ann", NOW)
    profile_erase(profile_of("u3") or 0, "ann", NOW)
    assert ProfileSnapshot.objects.count() == 1
    found = seen(duck, "profile_no, t_country, c_advertising, i_anonymous_id")
    assert found == [
        (profile_of("u1"), "FR", "withdrawn", True),
        (profile_of("u2"), "DE", None, False),
        (profile_of("u9"), None, None, False),
    ]


def test_refresh_by_changes_and_from_scratch_are_equal(duck: Any) -> None:
    some_people()
    profiles_snapshot_refresh(NOW)
    say("u2", country="DE", first_name="Bo")
    profile_erase(profile_of("u3") or 0, "ann", NOW)
    laid_over = seen(duck)
    profiles_snapshot_refresh(NOW)
    by_changes = seen(duck)
    profiles_snapshot_refresh(NOW, is_full=True)
    assert laid_over == by_changes == seen(duck)
    assert ProfileSnapshot.objects.filter(removed_at=None).count() == 1


def test_a_new_column_renews_the_snapshot(duck: Any) -> None:
    some_people()
    say("u1", shoe_size=44, points="12", tags=["b", "a"])
    assert "t_shoe_size" not in duckdb_columns(duck)
    version = profiles_version()
    traits_declare(
        [
            TraitSpec("shoe_size", "Shoe size", "number"),
            TraitSpec("points", "Points", "number", unit="currency"),
            TraitSpec("tags", "Tags", "text_list"),
        ]
    )
    Purpose.objects.create(key="sms", title="SMS")
    assert profiles_version() != version
    assert seen(duck, "t_shoe_size, t_points, t_tags, c_sms")[0] == (44.0, Decimal("12.0000"), ["a", "b"], None)
    assert duckdb_columns(duck)["t_points"] == "DECIMAL(18,4)"


def duckdb_columns(duck: Any) -> dict[str, str]:
    with profiles_register(duck) as registered:
        described = {name: kind for name, kind, *_ in duck.sql("DESCRIBE profiles").fetchall()}
        assert described == registered.columns
    return described


def test_a_value_that_does_not_fit_is_null_in_its_column_and_kept_on_the_profile(duck: Any) -> None:
    some_people()
    Trait.objects.filter(key="country").update(value_type="number")
    assert seen(duck, "t_country")[0] == (None,)
    assert rows("SELECT traits->>'country' FROM cdp_profile WHERE profile_no = %s", profile_of("u1")) == [("FR",)]


def test_the_version_tells_every_change_and_nothing_else(duck: Any) -> None:
    some_people()
    profiles_register(duck).close()
    versions = [profiles_version()]
    assert profiles_version() == versions[0]
    for change in (
        lambda: say("u2", country="DE"),
        lambda: consent("u2", "granted"),
        lambda: resolve("u2 a7"),
        lambda: resolve("a8"),
        lambda: profiles_merge(profile_of("u1") or 0, profile_of("a1") or 0, "x", "ann", NOW),
        lambda: profile_erase(profile_of("u2") or 0, "ann", NOW),
        lambda: computed_traits_write("rfm", table(u1=5), NOW, 1, NOW),
    ):
        change()
        versions.append(profiles_version())
    assert len(set(versions)) == len(versions)
    with profiles_register(duck) as registered:
        assert registered.version == versions[-1]


def test_many_changes_are_folded_first(duck: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    some_people()
    seen(duck)
    monkeypatch.setattr(view, "MAX_CHANGES", 2)
    resolve("u5", "u6", "u7")
    assert len(seen(duck)) == 7
    assert ProfileSnapshot.objects.count() == 2


def table(**values: int) -> pa.Table:
    return pa.table(
        {
            "profile_no": pa.array([profile_of(name) for name in values], pa.int64()),
            "r": pa.array(list(values.values()), pa.int8()),
            "amount_total": pa.array([Decimal(value) for value in values.values()], pa.decimal128(18, 4)),
            "name": [f'cell "{value}" \\ \t\n' for value in values.values()],
        }
    )


def test_computed_groups_are_replaced_as_a_whole(duck: Any) -> None:
    some_people()
    assert computed_traits_write("rfm", table(u1=5, u2=3, u3=1), NOW, 1, NOW) == 3
    assert seen(duck, "rfm__r, rfm__amount_total, rfm__name") == [
        (5, Decimal(5), 'cell "5" \\ \t\n'),
        (None, None, None),
        (3, Decimal(3), 'cell "3" \\ \t\n'),
        (1, Decimal(1), 'cell "1" \\ \t\n'),
    ]
    computed_traits_write("rfm", table(u1=5, a1=2, u2=4), NOW + DAY, 2, NOW + DAY)
    stored = {row.profile_no: (row.values, row.as_of, row.run_no) for row in ComputedTraits.objects.all()}
    assert stored == {
        profile_of("u1"): ({"r": 5, "amount_total": 5.0, "name": 'cell "5" \\ \t\n'}, NOW, 1),
        profile_of("a1"): ({"r": 2, "amount_total": 2.0, "name": 'cell "2" \\ \t\n'}, NOW + DAY, 2),
        profile_of("u2"): ({"r": 4, "amount_total": 4.0, "name": 'cell "4" \\ \t\n'}, NOW + DAY, 2),
    }
    current = ProfileSnapshot.objects.get(group="rfm", removed_at=None)
    assert (current.as_of, current.run_no, current.rows) == (NOW + DAY, 2, 3)
    assert computed_groups() == ["rfm"]
    assert "rfm__r" not in {column for column in describe(duck, groups=())}
    assert "rfm__r" in {column for column in describe(duck, groups=("rfm", "ltv"))}


def test_when_most_of_many_changed_all_rows_are_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "REWRITE_ROWS", 2)
    some_people()
    computed_traits_write("rfm", table(u1=5, u2=3), NOW, 1, NOW)
    computed_traits_write("rfm", table(u1=5, u2=4), NOW + DAY, 2, NOW + DAY)  # a half: written row by row
    assert set(ComputedTraits.objects.values_list("run_no", flat=True)) == {1, 2}
    computed_traits_write("rfm", table(u1=1, u2=2, u3=3), NOW + 2 * DAY, 3, NOW + 2 * DAY)
    stored = {row.profile_no: (row.values["name"], row.as_of, row.run_no) for row in ComputedTraits.objects.all()}
    assert stored == {
        profile_of(name): (f'cell "{value}" \\ \t\n', NOW + 2 * DAY, 3)
        for name, value in (("u1", 1), ("u2", 2), ("u3", 3))
    }


def describe(duck: Any, **options: Any) -> list[str]:
    with profiles_register(duck, **options):
        return [name for name, *_ in duck.sql("DESCRIBE profiles").fetchall()]


def test_computed_values_of_people_who_are_gone_are_left_out(duck: Any) -> None:
    some_people()
    given = table(u1=5, u2=3, a1=2)
    profile_erase(profile_of("u2") or 0, "ann", NOW)
    profiles_merge(profile_of("u1") or 0, profile_of("a1") or 0, "x", "ann", NOW)
    assert computed_traits_write("rfm", given, NOW, 1, NOW) == 1
    assert list(ComputedTraits.objects.values_list("profile_no", flat=True)) == [profile_of("u1")]


@pytest.mark.parametrize(
    "bad",
    [
        {"profile_no": [1]},
        {"r": [1]},
        {"profile_no": pa.array([1, None], pa.int64()), "r": [1, 2]},
        {"profile_no": [1, 1], "r": [1, 2]},
    ],
)
def test_malformed_tables_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="profile_no"):
        computed_traits_write("rfm", pa.table(bad), NOW, 1, NOW)
    assert ProfileSnapshot.objects.count() == 0


def test_files_go_an_hour_after_their_last_reader_and_strangers_too(duck: Any) -> None:
    some_people()
    profiles_snapshot_refresh(NOW)
    profiles_snapshot_refresh(NOW)
    storage = store_open().storage
    stray = storage.staging / "stray"
    stray.write_bytes(b"x")
    storage.put_file(stray, "profiles/profiles/stray.parquet")
    later = dt.datetime.now(dt.UTC) + 2 * HOUR
    assert snapshots_sweep(NOW + HOUR / 2) == 0
    assert snapshots_sweep(later) == 2
    assert snapshots_sweep(later) == 0
    assert [stored.key for stored in storage.list("profiles")] == [ProfileSnapshot.objects.get().path]
    assert len(seen(duck)) == 4


@pytest.mark.django_db(transaction=True)
def test_a_writer_under_way_is_neither_read_nor_cut_through(duck: Any) -> None:
    resolve("u1", "u2")
    seen(duck)
    version = profiles_version()
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            say("u1", country="FR")
            inside.set()
            go_on.wait(20)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert inside.wait(10)
    assert (seen(duck, "t_country"), profiles_version()) == ([(None,), (None,)], version)
    with pytest.raises(RetryableError, match="tried again"):
        profiles_snapshot_refresh(NOW)
    go_on.set()
    thread.join(10)
    assert profiles_version() != version
    profiles_snapshot_refresh(NOW)
    assert seen(duck, "t_country") == [("FR",), (None,)]


def test_declaring_twice_and_otherwise() -> None:
    spec = TraitSpec("points", "Points", "number")
    traits_declare([spec, spec])
    traits_declare([spec])
    with pytest.raises(RejectedError, match="already declared"):
        traits_declare([TraitSpec("points", "Points", "text")])
    assert Trait.objects.filter(key="points").count() == 1


def parquet_text(group: str) -> str:
    """Everything the current file of a group says."""
    path = store_open().storage.open_local(ProfileSnapshot.objects.get(group=group, removed_at=None).path)
    return str(pq.read_table(path).to_pylist())


def test_upkeep_takes_the_erased_out_of_every_file(duck: Any) -> None:
    some_people()
    computed_traits_write("rfm", table(u1=5, u2=3), NOW, 1, NOW)
    profiles_snapshot_refresh(NOW)
    profiles_upkeep(NOW)
    assert ProfileSnapshot.objects.count() == 2, "nothing was due"
    assert "Ann" in parquet_text("profiles") and 'cell "5"' in parquet_text("rfm")
    profile_erase(profile_of("u1") or 0, "officer", NOW + HOUR)
    profiles_upkeep(NOW + 2 * HOUR)
    assert "Ann" not in parquet_text("profiles") and 'cell "5"' not in parquet_text("rfm")
    current = ProfileSnapshot.objects.get(group="rfm", removed_at=None)
    assert (current.rows, current.run_no, current.as_of) == (1, 1, NOW)
    profiles_upkeep(NOW + 3 * HOUR + HOUR / 60)
    assert ProfileSnapshot.objects.count() == 2
    assert len(list(store_open().storage.list("profiles"))) == 2, "the files that held the person are gone"


def test_upkeep_folds_many_changes_and_starts_from_scratch_once_a_day(
    duck: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "FOLD_CHANGES", 2)
    some_people()
    profiles_snapshot_refresh(NOW)
    moments = [NOW + HOUR, NOW + 25 * HOUR]
    for turn, moment in enumerate(moments):
        resolve(f"u8{turn}1", f"u8{turn}2", f"u8{turn}3")
        profiles_upkeep(moment)
    assert list(
        ProfileSnapshot.objects.filter(group="profiles").order_by("snapshot_no").values_list("created_at", "full_at")
    )[-2:] == [(NOW + HOUR, NOW), (NOW + 25 * HOUR, NOW + 25 * HOUR)]
    assert len(seen(duck)) == 10


def test_ticks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    some_people()
    upkeep_tick()
    expire_tick()
    assert ProfileSnapshot.objects.count() == 0, "without a reader there is nothing to keep"
