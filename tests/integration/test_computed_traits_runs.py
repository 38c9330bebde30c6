"""Runs against a real database: what is read, what is published, what is repeated, what a fault leaves behind."""

import datetime as dt
from collections.abc import Mapping
from io import StringIO
from types import SimpleNamespace

import numpy as np
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from cdp.core.errors import RejectedError, RetryableError
from cdp.events.models import Order
from cdp.identity.models import Identifier, IdentifierType
from cdp.profiles.models import ComputedTraits, ProfileSnapshot, Trait
from cdp.profiles.services import profiles_create
from segments.computed_traits import services
from segments.computed_traits.contract import TraitInputs, TraitOutcome, groups_find
from segments.computed_traits.models import ModelRun
from segments.computed_traits.orders_summary import NO_AMOUNT, day_number
from segments.computed_traits.selectors import orders_read, run_in_use, runs_latest
from segments.computed_traits.services import ADVISORY_LOCK, as_of_default, traits_compute, traits_compute_due
from tests.computed_samples import cdnow_rows

pytestmark = pytest.mark.django_db

NOW = dt.datetime(1998, 7, 1, 3, tzinfo=dt.UTC)
AS_OF = dt.datetime(1998, 7, 1, tzinfo=dt.UTC)


def identifiers_make(people: int) -> list[int]:
    """That many profiles with one identifier each; returns the identifiers' numbers, which equal those of their profiles."""
    numbers = profiles_create(people, NOW)
    kind = IdentifierType.objects.get(key="user_id")
    Identifier.objects.bulk_create(
        Identifier(
            identifier_no=no, type=kind, blind_index=no.to_bytes(32), value_encrypted=b"-", profile_no=no, source_no=1
        )
        for no in numbers
    )
    return [int(no) for no in numbers]


def order_make(identifier_no: int, ordered_at: dt.datetime, amount: float = 10, **changes: object) -> Order:
    order_make.count += 1  # type: ignore[attr-defined]
    values = {
        "source_no": 1,
        "order_id": f"o{order_make.count}",  # type: ignore[attr-defined]
        "identifier_no": identifier_no,
        "ordered_at": ordered_at,
        "amount": amount,
        "currency": "USD",
    }
    return Order(**{**values, **changes})


order_make.count = 0  # type: ignore[attr-defined]


def noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), dt.UTC)


@pytest.fixture
def shop() -> list[int]:
    """CDNOW's tenth as orders of 2,357 profiles; returns the profiles' numbers."""
    numbers = identifiers_make(2_357)
    Order.objects.bulk_create(
        order_make(numbers[customer - 1], noon(day), dollars) for customer, day, dollars in cdnow_rows("sample")
    )
    return numbers


def stored(group: str) -> dict[int, dict[str, object]]:
    return dict(ComputedTraits.objects.filter(group=group).values_list("profile_no", "values"))


def only(runs: list[ModelRun], group: str) -> ModelRun:
    return next(run for run in runs if run.group == group)


def test_reads_the_ledger_as_it_stands_in_the_workspaces_days() -> None:
    one, two, gone = identifiers_make(3)
    Identifier.objects.filter(identifier_no=gone).delete()
    at = dt.datetime(1998, 3, 1, 22, 30, tzinfo=dt.UTC)  # 23:30 in Berlin
    Order.objects.bulk_create(
        [
            order_make(one, at, "12.3456"),  # type: ignore[arg-type]
            order_make(one, at + dt.timedelta(minutes=40)),  # ten past midnight there
            order_make(two, at, currency="EUR"),
            order_make(two, at, 0),
            order_make(two, at, status="cancelled"),
            order_make(two, at, 0, status="refunded"),
            order_make(two, at, 4, status="refunded"),
            order_make(gone, at, 7),
            order_make(one, AS_OF),
        ]
    )
    orders = orders_read(AS_OF, "Europe/Berlin", "USD")
    first, second = day_number(dt.date(1998, 3, 1)), day_number(dt.date(1998, 3, 2))
    rows = sorted(zip(orders.profile_no.tolist(), orders.day.tolist(), orders.amount_e4.tolist(), strict=True))
    assert rows == sorted(
        [
            (one, first, 123_456),
            (one, second, 100_000),
            (two, first, NO_AMOUNT),
            (two, first, 0),
            (two, first, 40_000),
            (0, first, 70_000),
        ]
    )


def test_orders_spread_over_many_packs_are_all_read() -> None:
    (one,) = identifiers_make(1)
    Order.objects.bulk_create(order_make(one, noon(dt.date(1998, 1, 1)), n, order_no=n * 40_000) for n in range(1, 200))
    orders = orders_read(AS_OF, "UTC", "USD")
    assert sorted(orders.amount_e4.tolist()) == [n * 10_000 for n in range(1, 200)]


def test_orders_of_all_identifiers_count_for_their_profile() -> None:
    one, two = identifiers_make(2)
    Identifier.objects.filter(identifier_no=two).update(profile_no=one)
    Order.objects.bulk_create([order_make(one, noon(dt.date(1998, 1, 1))), order_make(two, noon(dt.date(1998, 1, 5)))])
    (run,) = traits_compute(AS_OF, now=NOW, groups=["rfm"])
    assert (run.state, run.profiles) == ("published", 1)
    assert stored("rfm")[one]["orders_days"] == 2


def test_a_run_publishes_and_says_what_it_did(shop: list[int]) -> None:
    runs = traits_compute(AS_OF, now=NOW)
    assert [run.group for run in runs] == list(groups_find())
    assert {run.group: run.state for run in runs} == {
        "rfm": "published",
        "ltv": "published",
        "cluster": "published",
        "intent": "refused",  # on a tenth of the people the orders model ranks as well
    }
    for run in runs:
        run.refresh_from_db()
        assert run.started_at <= (run.finished_at or NOW)
        assert (run.as_of, run.profiles) == (AS_OF, 2_357)
        assert run.report["notes"] == {"orders_without_person": 0, "orders_in_other_currencies": 0}
        assert len(stored(run.group)) == (2_357 if run.state == "published" else 0)
    ltv = only(runs, "ltv")
    assert ltv.unit == "week"
    assert ltv.parameters["test"]["orders"]["r"] == pytest.approx(0.242594, abs=1e-5)
    assert set(ComputedTraits.objects.filter(group="ltv").values_list("run_no", "as_of")) == {(ltv.run_no, AS_OF)}
    intent = only(runs, "intent")
    assert intent.reason.endswith("Nothing is in use yet.")
    assert ProfileSnapshot.objects.filter(removed_at=None, group__in=["rfm", "ltv", "cluster"]).count() == 3
    catalogue = Trait.objects.filter(is_computed=True)
    assert set(catalogue.values_list("key", flat=True)) == {
        f"{name}.{spec.key}" for name, group in groups_find().items() for spec in group.SPECS
    }
    names = {row["name"]: row["people"] for row in only(runs, "rfm").report["names"]}
    values = stored("rfm")
    assert {name: sum(v["name"] == name for v in values.values()) for name in names} == names
    assert sum(names.values()) == 2_357


def test_equal_input_is_not_computed_again_and_changes_nothing(shop: list[int]) -> None:
    first = traits_compute(AS_OF, now=NOW)
    before = [stored(run.group) for run in first]
    again = traits_compute(AS_OF, now=NOW + dt.timedelta(hours=1))
    assert [run.run_no for run in again] == [run.run_no for run in first]
    assert ModelRun.objects.count() == len(first)
    assert ProfileSnapshot.objects.filter(group="ltv").count() == 1
    assert [stored(run.group) for run in first] == before
    # one more order: everything is computed anew, and groups of buyers keep their ids
    Order.objects.bulk_create([order_make(shop[0], noon(dt.date(1998, 6, 30)), 99)])
    third = traits_compute(AS_OF, now=NOW + dt.timedelta(hours=2))
    assert not {run.run_no for run in third} & {run.run_no for run in first}
    assert only(third, "cluster").parameters["ids"] == only(first, "cluster").parameters["ids"]
    # an older day after a newer one is computed: it is not what people carry now
    assert only(traits_compute(AS_OF - dt.timedelta(days=1), now=NOW, groups=["rfm"]), "rfm").run_no > third[-1].run_no
    assert only(traits_compute(AS_OF, now=NOW, groups=["rfm"]), "rfm").run_no > third[-1].run_no + 1


def test_a_refused_run_keeps_the_last_good_one(shop: list[int]) -> None:
    good = only(traits_compute(AS_OF, now=NOW, groups=["ltv"]), "ltv")
    before = stored("ltv")
    Order.objects.filter(identifier_no__gt=shop[200]).update(status="cancelled")
    refused = only(traits_compute(AS_OF, now=NOW, groups=["ltv"]), "ltv")
    assert refused.state == "refused"
    assert refused.reason == (
        f"Not enough data: 201 people with an order, 300 are needed. Run {good.run_no} stayed in use."
    )
    assert stored("ltv") == before
    in_use = run_in_use("ltv")
    assert in_use is not None and in_use.run_no == good.run_no
    assert runs_latest()["ltv"].run_no == refused.run_no


def test_a_shop_that_stops_selling_is_refused_by_the_gate(shop: list[int]) -> None:
    """A forecast that the held-out time contradicts is not published."""
    Order.objects.filter(ordered_at__gte=dt.datetime(1997, 10, 20, tzinfo=dt.UTC), identifier_no__gt=shop[60]).delete()
    run = only(traits_compute(AS_OF, now=NOW, groups=["ltv"]), "ltv")
    assert run.state == "refused"
    assert "outside 0.7 to 1.3" in run.reason
    assert any(not check["holds"] for check in run.report["gate"]["checks"])
    assert "value" not in run.report
    assert stored("ltv") == {}


def test_no_orders_is_no_run() -> None:
    assert traits_compute(AS_OF, now=NOW) == []
    assert not ModelRun.objects.exists()


def test_an_unknown_group_is_named() -> None:
    with pytest.raises(RejectedError, match="rfm, ltv, cluster, intent"):
        traits_compute(AS_OF, now=NOW, groups=["lookalike"])


def broken_group(error: BaseException) -> SimpleNamespace:
    def compute(inputs: TraitInputs) -> TraitOutcome:
        raise error

    return SimpleNamespace(GROUP="ltv", TITLE="Broken", POSITION=5, SPECS=(), compute=compute)


def put_first(monkeypatch: pytest.MonkeyPatch, group: SimpleNamespace) -> None:
    groups: Mapping[str, object] = {"ltv": group, "rfm": groups_find()["rfm"]}
    monkeypatch.setattr(services, "groups_find", lambda: groups)


def test_one_groups_fault_does_not_stop_the_others(shop: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    put_first(monkeypatch, broken_group(ValueError("amount 12.50 of somebody")))
    with pytest.raises(ExceptionGroup):
        traits_compute(AS_OF, now=NOW)
    states = {run.group: (run.state, run.reason) for run in ModelRun.objects.all()}
    assert states == {"ltv": ("failed", "The computation broke off (ValueError)."), "rfm": ("published", "")}


def test_a_killed_run_is_marked_and_repeated(shop: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        put_first(patch, broken_group(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            traits_compute(AS_OF, now=NOW)
    killed = ModelRun.objects.get()
    assert killed.state == "running"
    runs = traits_compute(AS_OF, now=NOW, groups=["ltv"])
    killed.refresh_from_db()
    assert (killed.state, killed.reason) == ("failed", "The process stopped before its end.")
    assert killed.finished_at is not None
    assert [run.state for run in runs] == ["published"]


def test_values_and_verdict_appear_together(shop: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault after the values were written takes them back."""
    saved = ModelRun.save

    def save(self: ModelRun, *args: object, **kwargs: object) -> None:
        if self.state == "published":
            raise OSError("disk full")
        saved(self, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ModelRun, "save", save)
        with pytest.raises(ExceptionGroup):
            traits_compute(AS_OF, now=NOW, groups=["rfm"])
    assert stored("rfm") == {}
    assert not ProfileSnapshot.objects.filter(group="rfm").exists()
    assert ModelRun.objects.get().state == "failed"


def test_only_one_process_computes() -> None:
    with psycopg.connect(
        **connection.get_connection_params() | {"context": None, "cursor_factory": psycopg.Cursor}
    ) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", ADVISORY_LOCK)
        with pytest.raises(RetryableError):
            traits_compute(AS_OF, now=NOW)
        assert not ModelRun.objects.exists()
        other.execute("SELECT pg_advisory_unlock(%s, %s)", ADVISORY_LOCK)
    assert traits_compute(AS_OF, now=NOW) == []


def test_due_once_a_day_and_not_again_soon_after_a_fault(shop: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "groups_find", lambda: {"rfm": groups_find()["rfm"]})
    assert [run.as_of for run in traits_compute_due(NOW)] == [AS_OF]
    assert traits_compute_due(NOW + dt.timedelta(hours=20)) == []
    assert [run.as_of for run in traits_compute_due(NOW + dt.timedelta(days=1))] == [AS_OF + dt.timedelta(days=1)]
    later = NOW + dt.timedelta(days=2)
    ModelRun.objects.create(group="rfm", state="failed", as_of=as_of_default(later), started_at=later)
    assert traits_compute_due(later + dt.timedelta(hours=1)) == []
    assert len(traits_compute_due(later + dt.timedelta(hours=7))) == 1


def test_the_last_midnight_is_the_workspaces(settings: SimpleNamespace) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    assert as_of_default(NOW) == dt.datetime(1998, 6, 30, 15, tzinfo=dt.UTC)


def test_the_command_prints_a_line_a_group(shop: list[int]) -> None:
    out = StringIO()
    call_command("compute_traits", "--as-of", "1998-06-30", "--group", "rfm", "--group", "ltv", stdout=out)
    lines = out.getvalue().splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["rfm", "published", "2,357", "people"],
        ["ltv", "published", "2,357", "people"],
    ]
    assert "less error than carrying on the past rate" in lines[1]
    assert set(ModelRun.objects.values_list("as_of", flat=True)) == {AS_OF}
    again = StringIO()
    call_command("compute_traits", "--as-of", "1998-06-30", "--group", "rfm", stdout=again)
    assert "unchanged" in again.getvalue()


@pytest.mark.parametrize("argument", [("--as-of", "yesterday"), ("--group", "nobody")])
def test_the_command_names_what_is_wrong(argument: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=f"{argument[1]}"):
        call_command("compute_traits", *argument)


def test_the_command_without_orders_says_what_to_do() -> None:
    out = StringIO()
    call_command("compute_traits", stdout=out)
    assert "import" in out.getvalue()


def test_other_currencies_and_lost_people_are_noted() -> None:
    one, gone = identifiers_make(2)
    Identifier.objects.filter(identifier_no=gone).delete()
    day = noon(dt.date(1998, 1, 1))
    Order.objects.bulk_create([order_make(one, day, currency="EUR"), order_make(one, day), order_make(gone, day)])
    (run,) = traits_compute(AS_OF, now=NOW, groups=["rfm"])
    assert run.report["notes"] == {"orders_without_person": 1, "orders_in_other_currencies": 1}
    assert stored("rfm")[one]["amount_total"] == 10
    assert np.isfinite(float(str(stored("rfm")[one]["amount_mean"])))
