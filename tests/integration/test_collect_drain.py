"""From the inbox to people, events, orders, traits and consents; and what happens to a call that cannot be taken."""

import datetime as dt
import threading
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import OperationalError, connection, connections
from django.test import Client

from cdp.collect import absorbing, draining, tasks
from cdp.collect.models import Reject, Source
from cdp.collect.selectors import sources_forget
from cdp.collect.services import inbox_drain
from cdp.consent.models import ConsentRecord, ConsentState
from cdp.core.errors import RetryableError
from cdp.core.time import utc_now
from cdp.events.models import Event, EventName, InboxEvent, Order
from cdp.events.records import InboxItem
from cdp.events.services import inbox_add
from cdp.identity.models import Identifier
from cdp.identity.selectors import profile_find
from cdp.identity.services import profile_erase
from cdp.profiles.models import Profile
from tests.integration.collect_calls import post, source_make, track_make

pytestmark = pytest.mark.django_db
LIMIT = 1_000


@pytest.fixture(autouse=True)
def no_remembered_sources() -> None:
    sources_forget()


def send(client: Client, *calls: dict[str, Any], key: str = "wk-shop") -> draining.DrainResult:
    assert post(client, {"batch": list(calls)}, key=key).json() == {"success": True}
    return inbox_drain(LIMIT, utc_now())


def identify_make(**overrides: Any) -> dict[str, Any]:
    return track_make(type="identify", messageId="i-1", event=None, properties=None) | overrides


def order_make(name: str, message_id: str, **properties: Any) -> dict[str, Any]:
    return track_make(event=name, messageId=message_id, properties={"order_id": "o-1"} | properties)


def test_a_call_becomes_a_person_and_an_event(client: Client) -> None:
    source = source_make()
    result = send(client, track_make(context={"page": {"url": "https://shop.example/x"}, "ip": "192.0.2.1"}))
    assert (result.taken, result.events, result.refused) == (1, 1, 0)
    assert not InboxEvent.objects.exists()
    event = Event.objects.get()
    assert (event.source_no, event.message_id, event.kind, event.name) == (
        source.source_no,
        "m-1",
        "track",
        "Product Viewed",
    )
    assert event.occurred_at == dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC)
    assert event.profile_no == profile_find("user_id", "u-1")
    properties = msgspec.json.decode(event.properties)
    assert properties == {"category": "shoes", "context": {"page": {"url": "https://shop.example/x"}}}
    assert EventName.objects.get().name == "Product Viewed"
    source.refresh_from_db()
    assert source.last_event_at is not None


def test_identify_joins_the_visitor_and_writes_traits(client: Client) -> None:
    source_make()
    send(client, track_make(userId=None, anonymousId="a-1"))
    send(
        client,
        identify_make(
            anonymousId="a-1",
            traits={"email": "Ana@Example.com", "firstName": "Ana", "address": {"city": "Paris"}, "visits": 3},
        ),
    )
    profile = Profile.objects.get(profile_no=profile_find("email", "ana@example.com"))
    assert profile_find("anonymous_id", "a-1") == profile_find("user_id", "u-1") == profile.profile_no
    assert profile.traits == {"first_name": "Ana", "address_city": "Paris", "visits": 3}
    assert profile.is_identified
    assert [msgspec.json.decode(e.properties) for e in Event.objects.filter(kind="identify")] == [{}]


def test_traits_in_context_serve_identify_and_name_the_address(client: Client) -> None:
    source_make()
    send(client, identify_make(context={"traits": {"email": "b@example.com", "plan": "gold"}}))
    send(client, track_make(context={"traits": {"plan": "none"}}))
    assert Profile.objects.get(profile_no=profile_find("email", "b@example.com")).traits == {"plan": "gold"}


def test_a_bad_address_costs_the_address_alone(client: Client) -> None:
    source_make()
    result = send(client, identify_make(traits={"email": "not an address", "plan": "gold"}))
    assert (result.events, result.refused) == (1, 0)
    assert [(r.field, r.code) for r in Reject.objects.all()] == [("email", "email")]
    assert Reject.objects.get().sample_encrypted is None


def test_late_traits_do_not_win(client: Client) -> None:
    source_make()
    send(client, identify_make(traits={"plan": "new"}))
    send(client, identify_make(messageId="i-0", timestamp="2026-11-20T00:00:00Z", traits={"plan": "old"}))
    assert Profile.objects.get().traits == {"plan": "new"}


def test_orders_through_their_life(client: Client) -> None:
    source_make()
    send(client, order_make("Order Completed", "1", revenue=100, currency="eur", quantity=3))
    order = Order.objects.get()
    assert (order.amount, order.currency, order.items, order.status) == (Decimal(100), "EUR", 3, "completed")
    send(client, order_make("Order Refunded", "2", total="30.5") | {"timestamp": "2026-11-23T11:00:00Z"})
    order.refresh_from_db()
    assert (order.amount, order.status) == (Decimal("69.5"), "completed")
    send(client, order_make("Order Refunded", "2", total="30.5") | {"timestamp": "2026-11-23T11:00:00Z"})
    order.refresh_from_db()
    assert order.amount == Decimal("69.5")
    send(client, order_make("Order Cancelled", "3") | {"timestamp": "2026-11-23T11:30:00Z"})
    order.refresh_from_db()
    assert (order.amount, order.status, order.ordered_at.hour) == (Decimal(0), "cancelled", 10)
    assert Event.objects.filter(order_id="o-1").count() == 3


def test_an_order_without_amount_is_told_and_its_event_stays(client: Client) -> None:
    source_make()
    result = send(client, order_make("Order Completed", "1"))
    assert (result.events, Order.objects.count()) == (1, 0)
    assert Reject.objects.get().field == "properties.revenue"


def test_consent_stamps_enter_the_ledger_once(client: Client) -> None:
    source_make()
    stamp = {"consent": {"categoryPreferences": {"Advertising": True, "Analytics": False}}}
    send(client, *(track_make(messageId=str(i), context=stamp) for i in range(5)))
    assert sorted(ConsentRecord.objects.values_list("purpose__key", "action")) == [
        ("advertising", "granted"),
        ("analytics", "denied"),
    ]
    later = {"consentManagement": {"provider": "oneTrust", "allowedConsentIds": [], "deniedConsentIds": ["C0004"]}}
    send(client, track_make(messageId="later", timestamp="2026-11-23T11:00:00Z", context=later))
    assert ConsentRecord.objects.count() == 3
    states = dict(ConsentState.objects.values_list("purpose__key", "state"))
    assert (states["advertising"], states["analytics"]) == ("denied", "denied")


def test_alias_joins_a_visitor_but_two_accounts_only_on_a_servers_word(client: Client) -> None:
    source_make()
    source_make(key="backend", kind="server", write_key="wk-back")
    send(client, track_make(userId=None, anonymousId="a-1"))
    send(client, {"type": "alias", "messageId": "al-1", "userId": "u-1", "previousId": "a-1"})
    assert profile_find("anonymous_id", "a-1") == profile_find("user_id", "u-1")
    send(client, track_make(messageId="m-2", userId="u-2"))
    send(client, {"type": "alias", "messageId": "al-2", "userId": "u-1", "previousId": "u-2"})
    assert profile_find("user_id", "u-2") != profile_find("user_id", "u-1")
    assert Reject.objects.get().code == "alias"
    send(client, {"type": "alias", "messageId": "al-3", "userId": "u-1", "previousId": "u-2"}, key="wk-back")
    assert profile_find("user_id", "u-2") == profile_find("user_id", "u-1")


def test_an_erased_person_stays_out_and_leaves_no_sample(client: Client) -> None:
    source_make()
    send(client, track_make())
    profile_erase(profile_find("user_id", "u-1") or 0, "test", utc_now())
    result = send(client, track_make(messageId="m-2"))
    assert (result.events, result.refused, Event.objects.count()) == (0, 1, 0)
    reject = Reject.objects.get()
    assert (reject.code, reject.sample_encrypted) == ("erased", None)


def test_a_call_that_cannot_be_read_stands_alone_in_the_rejects(client: Client) -> None:
    source = source_make()
    post(client, {"batch": [track_make(messageId=str(i), userId=f"u-{i}") for i in range(20)]})
    inbox_add([InboxItem(source.source_no, "poison", utc_now(), b"not json")])
    post(client, {"batch": [track_make(messageId=f"after-{i}") for i in range(12)]})
    result = inbox_drain(LIMIT, utc_now())
    assert (result.taken, result.events, result.refused, result.deferred) == (33, 32, 1, 0)
    assert not InboxEvent.objects.exists()
    reject = Reject.objects.get()
    assert (reject.message_id, reject.code) == ("poison", "not_storable")


def test_an_unknown_fault_waits_and_comes_again_five_times(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    source_make()
    post(client, {"batch": [track_make(messageId="fine"), track_make(messageId="odd", userId="u-odd")]})
    whole = absorbing.identifiers_of

    def fail(message: Any) -> Any:
        if message.user_id == "u-odd":
            raise KeyError("a bug of ours")
        return whole(message)

    monkeypatch.setattr(absorbing, "identifiers_of", fail)
    now = utc_now()
    first = inbox_drain(LIMIT, now)
    assert (first.taken, first.deferred, Event.objects.get().message_id) == (1, 1, "fine")
    assert inbox_drain(LIMIT, now).taken + inbox_drain(LIMIT, now).deferred == 0
    results = [inbox_drain(LIMIT, now + dt.timedelta(hours=n)) for n in range(1, 6)]
    assert [(r.deferred, r.refused) for r in results] == [(1, 0), (1, 0), (1, 0), (0, 1), (0, 0)]
    assert Reject.objects.get().code == "failed"


def test_a_lost_connection_changes_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    source_make()
    post(client, {"batch": [track_make()]})

    def fail(*_: object) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(absorbing, "events_append", fail)
        with pytest.raises(RetryableError):
            inbox_drain(LIMIT, utc_now())
    assert (InboxEvent.objects.count(), Event.objects.count(), Profile.objects.count()) == (1, 0, 0)
    assert inbox_drain(LIMIT, utc_now()).events == 1


def test_the_tick_drains_until_nothing_is_left(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "CHUNK", 10)
    source_make()
    post(client, {"batch": [track_make(messageId=str(i)) for i in range(35)]})
    tasks.inbox_drain()
    assert (Event.objects.count(), InboxEvent.objects.count()) == (35, 0)


def test_query_count_does_not_grow_with_the_chunk(client: Client, django_assert_max_num_queries: Any) -> None:
    source_make()
    send(client, track_make())
    for size in (5, 200):
        calls = [
            identify_make(
                messageId=f"{size}-{i}", userId=f"u-{i}", traits={"plan": "gold", "email": f"{i}@example.com"}
            )
            for i in range(size)
        ]
        post(client, {"batch": calls})
        with django_assert_max_num_queries(45):
            assert inbox_drain(LIMIT, utc_now()).events == size


@pytest.mark.django_db(transaction=True)
def test_the_same_batch_in_parallel_has_one_effect() -> None:
    source = source_make()
    batch = {"batch": [track_make(messageId=str(i), userId=f"u-{i % 7}") for i in range(60)]}
    answers: list[int] = []

    def work() -> None:
        try:
            answers.append(post(Client(), batch).status_code)
            inbox_drain(25, utc_now())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while inbox_drain(LIMIT, utc_now()).taken:
        pass
    assert answers == [200] * 6
    assert Event.objects.filter(source_no=source.source_no).count() == 60
    assert Identifier.objects.count() == Profile.objects.count() == 7
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cdp_messagekey")
        assert cursor.fetchone() == (60,)
    assert Source.objects.count() == 1
