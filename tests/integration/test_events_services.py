"""What enters the store: once, whole, in any order, or with a reason why not."""

import datetime as dt
import itertools
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import transaction

from cdp.core.errors import RejectedError
from cdp.core.ids import IdentifierNo
from cdp.core.time import UTC
from cdp.events import services
from cdp.events.models import Event, EventName, InboxEvent, MessageKey, Order, OutboxMessage
from cdp.events.records import InboxItem
from cdp.events.selectors import StoreFigures, event_names_suggest, events_timeline, store_figures
from tests.events_samples import NOW, event_make, numbers_read, order_make

pytestmark = pytest.mark.django_db
MINUTE = dt.timedelta(minutes=1)


def item_make(message_id: str, source_no: int = 1) -> InboxItem:
    return InboxItem(source_no, message_id, NOW, b'{"type":"track"}')


def test_appended_events_get_growing_numbers_and_keep_every_field() -> None:
    rows = [
        event_make(1, order_id="o-1", amount=Decimal("12.5"), currency="EUR", properties='{"k":"é☂"}'.encode()),
        event_make(2, received_at=NOW - dt.timedelta(days=3), properties=b'{"k":"\\u0000"}'),
    ]
    numbers = services.events_append(rows)
    assert numbers == sorted(numbers)
    stored = {event.event_no: event for event in Event.objects.all()}
    first = stored[numbers[0]]
    assert (first.order_id, first.amount, first.currency, first.properties) == (
        "o-1",
        Decimal("12.5000"),
        "EUR",
        '{"k":"é☂"}',
    )
    assert stored[numbers[1]].properties == '{"k":"\\u0000"}'
    assert services.events_append([]) == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "a\x00b"}, "name"),
        ({"message_id": "half \ud83d"}, "message_id"),
        ({"order_id": "\x00"}, "order_id"),
        ({"properties": b"\xff"}, "properties"),
        ({"amount": Decimal("NaN")}, "amount"),
        ({"amount": Decimal(10) ** 14}, "amount"),
        ({"amount": Decimal("-Infinity")}, "amount"),
    ],
)
def test_a_row_that_cannot_be_held_is_named_and_nothing_is_stored(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(RejectedError) as refused, transaction.atomic():
        services.events_append([event_make(1), event_make(2, **wrong)])
    assert refused.value.field == f"events[1].{field}"
    assert not Event.objects.exists()


def test_more_rows_than_a_short_transaction_holds_are_refused() -> None:
    with pytest.raises(RejectedError, match="5,000"):
        services.events_append([event_make(1)] * 5_001)


def test_a_message_is_claimed_once_per_source() -> None:
    assert services.messages_claim(1, ["a", "b", "a"], NOW.date()) == [True, True, False]
    assert services.messages_claim(1, ["b", "c"], NOW.date()) == [False, True]
    assert services.messages_claim(2, ["a"], NOW.date()) == [True]
    assert MessageKey.objects.count() == 4


def test_the_inbox_accepts_each_message_once() -> None:
    assert services.inbox_add([item_make("a"), item_make("b"), item_make("a")]) == 2
    assert services.inbox_add([item_make("b"), item_make("c"), item_make("a", source_no=2)]) == 2
    assert sorted(InboxEvent.objects.values_list("source_no", "message_id")) == [(1, "a"), (1, "b"), (1, "c"), (2, "a")]
    assert services.inbox_add([]) == 0


def test_the_inbox_names_a_message_id_it_cannot_hold() -> None:
    with pytest.raises(RejectedError) as refused:
        services.inbox_add([item_make("a"), item_make("\x00")])
    assert refused.value.field == "items[1].message_id"
    assert not InboxEvent.objects.exists()


def test_statements_about_an_order_end_alike_in_any_order() -> None:
    statements = [
        order_make(),
        order_make(updated_at=NOW + MINUTE, ordered_at=NOW + MINUTE, amount=Decimal(7), status="refunded"),
        order_make(updated_at=NOW + MINUTE, ordered_at=NOW + MINUTE, amount=Decimal(0), status="cancelled"),
        order_make(updated_at=NOW - MINUTE, ordered_at=NOW - MINUTE, items=9, identifier_no=IdentifierNo(5)),
    ]
    ends = set()
    for batch in (True, False):
        for permutation in itertools.permutations(statements):
            Order.objects.all().delete()
            for rows in [permutation] if batch else [[row] for row in permutation]:
                services.orders_upsert(rows)
            ends |= set(
                Order.objects.values_list("identifier_no", "ordered_at", "amount", "items", "status", "updated_at")
            )
    assert ends == {(1, NOW - MINUTE, Decimal(0), 1, "cancelled", NOW + MINUTE)}


def test_orders_that_say_nothing_new_change_nothing() -> None:
    rows = [order_make(), order_make(order_id="o-2"), order_make(source_no=2)]
    assert services.orders_upsert(rows) == 3
    assert services.orders_upsert(rows) == 0
    assert services.orders_upsert([order_make(updated_at=NOW - MINUTE, amount=Decimal(99))]) == 0
    assert services.orders_upsert([order_make(updated_at=NOW + MINUTE)]) == 1
    assert services.orders_upsert([]) == 0


def test_erasing_takes_events_and_orders_of_those_people_only() -> None:
    services.events_append([event_make(n) for n in (1, 2, 3)])
    services.orders_upsert([order_make(), order_make(order_id="o-2", identifier_no=IdentifierNo(2))])
    services.identifiers_erase([IdentifierNo(1), IdentifierNo(3)], NOW)
    services.identifiers_erase([IdentifierNo(1)], NOW)
    assert list(Event.objects.values_list("identifier_no", flat=True)) == [2]
    assert list(Order.objects.values_list("identifier_no", flat=True)) == [2]
    assert len(numbers_read()) == 1


def test_a_message_is_worked_on_by_one_and_finished_by_its_holder() -> None:
    services.outbox_write("topic", {"n": 1}, due_at=NOW)
    services.outbox_write("topic", {"n": 2}, due_at=NOW + MINUTE)
    services.outbox_write("other", {"n": 3}, due_at=NOW)
    (claim,) = services.outbox_claim("topic", 10, NOW, lease_seconds=30)
    assert (claim.payload, claim.attempts) == ({"n": 1}, 1)
    assert services.outbox_claim("topic", 10, NOW, lease_seconds=30) == []
    again, later = services.outbox_claim("topic", 10, NOW + MINUTE, lease_seconds=30)
    assert (again.outbox_no, again.attempts, later.payload) == (claim.outbox_no, 2, {"n": 2})
    assert not services.outbox_finish(claim), "its lease ran out"
    assert not services.outbox_retry(claim, NOW)
    assert services.outbox_finish(again)
    assert not services.outbox_finish(again)
    assert services.outbox_retry(later, NOW + 5 * MINUTE)
    assert services.outbox_claim("topic", 10, NOW + 4 * MINUTE, lease_seconds=30) == []
    assert [c.payload for c in services.outbox_claim("topic", 10, NOW + 5 * MINUTE, lease_seconds=30)] == [{"n": 2}]
    assert OutboxMessage.objects.filter(done_at=None).count() == 2


def test_a_claim_takes_the_oldest_first_and_no_more_than_asked() -> None:
    for n in (3, 1, 2):
        services.outbox_write("topic", {"n": n}, due_at=NOW + n * MINUTE)
    claims = services.outbox_claim("topic", 2, NOW + 9 * MINUTE, lease_seconds=30)
    assert [claim.payload["n"] for claim in claims] == [1, 2]


def test_a_timeline_pages_from_the_window_into_the_files() -> None:
    ages = [0, 10, 20, 35, 50, 65, 80]
    rows = [
        event_make(
            n,
            identifier_no=n % 2 + 1,
            occurred_at=NOW - dt.timedelta(days=age),
            received_at=NOW - dt.timedelta(days=age),
        )
        for n, age in enumerate(ages)
    ]
    # Received lately, happened long ago: stands in the window, sorts among the files.
    rows.append(event_make(7, identifier_no=1, occurred_at=NOW - dt.timedelta(days=60)))
    numbers = services.events_append(rows)
    expected = [
        number
        for _, number in sorted(((row.occurred_at, no) for row, no in zip(rows, numbers, strict=True)), reverse=True)
    ]
    people = [IdentifierNo(1), IdentifierNo(2)]
    services.events_flush(NOW)
    services.store_compact(NOW)
    assert len(services.partitions_upkeep(NOW).dropped) == 4

    seen: list[int] = []
    before = None
    while page := events_timeline(people, limit=3, before=before):
        seen += [event.event_no for event in page]
        before = (page[-1].occurred_at, page[-1].event_no)
    assert seen == expected
    assert [e.event_no for e in events_timeline([IdentifierNo(1)], limit=99)] == [
        no for no in expected if rows[numbers.index(no)].identifier_no == 1
    ]
    assert events_timeline([], limit=3) == []
    last = events_timeline(people, limit=99)[-1]
    assert (last.properties, last.occurred_at.tzinfo) == ({"category": "shoes", "quantity": 2}, UTC)


def test_a_page_of_the_window_opens_no_file(django_assert_max_num_queries: object, own_files: object) -> None:
    services.events_append(
        [event_make(1, occurred_at=NOW - dt.timedelta(days=50), received_at=NOW - dt.timedelta(days=40))]
    )
    services.events_flush(NOW)
    services.partitions_upkeep(NOW)
    services.events_append([event_make(n, identifier_no=1) for n in range(5)])
    (own_files / "events").rename(own_files / "away")  # type: ignore[operator]
    assert len(events_timeline([IdentifierNo(1)], limit=5)) == 5


def test_names_are_suggested_latest_first() -> None:
    for minutes, name in enumerate(["Product Viewed", "Product Added", "Order Completed"]):
        EventName.objects.create(name=name, kind="track", last_seen_at=NOW + minutes * MINUTE)
    assert event_names_suggest("product") == ["Product Added", "Product Viewed"]
    assert event_names_suggest("", limit=1) == ["Order Completed"]


def test_figures_count_files_tail_and_inbox() -> None:
    services.events_append([event_make(1)])
    services.events_flush(NOW)
    services.events_append([event_make(2), event_make(3)])
    services.inbox_add([item_make("a")])
    figures = store_figures()
    assert figures == StoreFigures(
        events=3, hot_files=1, compacted_files=0, bytes=figures.bytes, unflushed=2, waiting=1
    )
    assert figures.bytes > 0


def test_upkeep_does_all_that_is_due_and_nothing_twice() -> None:
    services.events_append([event_make(n, occurred_at=NOW - dt.timedelta(days=90)) for n in range(1, 4)])
    services.events_flush(NOW)
    services.identifiers_erase([IdentifierNo(2)], NOW)
    services.store_upkeep(NOW + dt.timedelta(days=1))
    figures = store_figures()
    assert (figures.hot_files, figures.compacted_files, figures.events) == (0, 1, 2)
    services.store_upkeep(NOW + dt.timedelta(days=1))
    assert store_figures() == figures


def test_the_command_does_it_all_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    services.events_append([event_make(n, occurred_at=NOW - dt.timedelta(days=400)) for n in range(3)])
    call_command("compact_events")
    assert "events written to files: 3\n" in capsys.readouterr().out
    assert store_figures().compacted_files == 1
    call_command("compact_events", "--open-month")
    assert "files compacted: 0 into 0 (0 events)\n" in capsys.readouterr().out
