"""The live tail: what arrives, what became of it, nobody named in full, and the same cost at any depth of the inbox."""

import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cdp.collect.models import Reject, RepeatedCall, Source
from cdp.collect.repeating import KEPT, NOTED_AT_ONCE, repeats_forget
from cdp.collect.selectors import sources_forget
from cdp.collect.services import inbox_drain, repeats_sweep
from cdp.collect.tailing import STORED_SQL, WAITING_SQL, tail_read
from cdp.core.time import utc_now
from tests.integration.collect_calls import post, source_make, track_make, untyped

pytestmark = pytest.mark.django_db
ADDRESS = "jane.doe@example.com"


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    sources_forget()
    repeats_forget()
    yield
    repeats_forget()


def reader(*codenames: str) -> Client:
    user = User.objects.create_user(f"reader-{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="cdp", codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def outcomes(source: Source) -> list[tuple[str, str, str]]:
    return [(line.outcome, line.seen.kind, line.seen.name) for line in tail_read(source.source_no)]


def test_every_outcome_shows_newest_first(client: Client) -> None:
    source = source_make()
    post(client, {"batch": [track_make(messageId="m-1", event="Stored")]})
    inbox_drain(10, utc_now())
    post(client, {"batch": [track_make(messageId="m-2", event="Waits")]})
    post(client, {"batch": [track_make(messageId="m-2", event="Waits")]})
    post(client, untyped(messageId="m-3", userId=None), path="/v1/track")
    assert outcomes(source) == [
        ("refused", "track", "Product Viewed"),
        ("duplicate", "track", "Waits"),
        ("waiting", "track", "Waits"),
        ("accepted", "track", "Stored"),
    ]
    assert tail_read(source.source_no)[0].reason == "Send userId or anonymousId, or nobody can be found."


def test_what_was_left_out_stands_beside_the_accepted_call(client: Client) -> None:
    source = source_make()
    post(client, {"batch": [track_make(anonymousId="undefined")]})
    (line,) = tail_read(source.source_no)
    assert (line.outcome, line.field) == ("waiting", "anonymousId")
    assert "placeholder" in line.reason


def test_nobody_is_named_in_full(client: Client) -> None:
    source = source_make()
    calls = [
        track_make(messageId="m-1", userId=ADDRESS, event=f"Mail to {ADDRESS}"),
        track_make(messageId="m-2", userId="+33612345678", event="Call 0033 6 12 34 56 78"),
        track_make(messageId="m-3", userId=None, anonymousId="a-secret-visitor-id", event="Seen"),
        track_make(messageId="m-4", userId=ADDRESS, event=f"{ADDRESS} refused", properties=[1]),
    ]
    post(client, {"batch": calls})
    post(client, {"batch": calls[:1]})
    page = reader("view_source")
    address = f"/admin/sources/{source.source_no}/tail/"
    waiting = page.get(address).content.decode()
    inbox_drain(10, utc_now())
    stored = page.get(address).content.decode()
    for body in (waiting, stored):
        for secret in ("jane.doe", "12345678", "12 34 56", "a-secret-visitor-id", source.write_key):
            assert secret not in body, secret
        assert "j•••@e•••.com" in body
        assert "Mail to j•••@e•••.com" in body
    assert Reject.objects.get().person == "j•••@e•••.com"
    assert RepeatedCall.objects.get().name == "Mail to j•••@e•••.com"


def test_an_empty_tail_says_how_to_send_the_first_call() -> None:
    source = source_make(write_key="wk-very-secret")
    body = reader("view_source").get(f"/admin/sources/{source.source_no}/tail/").content.decode()
    assert "No call has arrived yet." in body
    assert "curl -u wk-v•••: http://testserver/v1/track" in body
    shown, copied = body.split("data-copy=", 1)
    assert source.write_key not in shown
    assert "curl -u wk-very-secret: http://testserver/v1/track" in copied
    assert "<script" not in body
    assert "<html" not in body


def test_the_page_of_a_source_holds_the_tail_and_its_address(client: Client) -> None:
    source = source_make()
    post(client, {"batch": [track_make()]})
    body = reader("view_source").get(f"/admin/sources/{source.source_no}/").content.decode()
    assert f'data-tail="/admin/sources/{source.source_no}/tail/"' in body
    assert "data-tail-pause" in body
    assert "Product Viewed" in body


def test_only_who_may_see_sources_sees_the_tail() -> None:
    source = source_make()
    address = f"/admin/sources/{source.source_no}/tail/"
    assert Client().get(address).status_code == 302
    assert reader("view_profile").get(address).status_code == 403
    page = reader("view_source")
    assert page.post(address).status_code == 405
    answer = page.get(address)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert page.get("/admin/sources/987654/tail/").status_code == 404


def test_sources_do_not_see_each_other(client: Client) -> None:
    source, other = source_make(), source_make(key="other", write_key="wk-other")
    post(client, {"batch": [track_make()]}, key="wk-other")
    post(client, {"batch": [track_make()]}, key="wk-other")
    post(client, {"batch": [track_make(messageId="m-2", userId=None)]}, key="wk-other")
    assert outcomes(source) == []
    assert len(outcomes(other)) == 3


def test_a_storm_of_repeats_is_noted_in_part_and_forgotten(client: Client) -> None:
    source_make()
    batch = {"batch": [track_make(messageId=f"m-{n}") for n in range(30)]}
    for _ in range(4):
        post(client, batch)
    assert RepeatedCall.objects.count() == NOTED_AT_ONCE
    repeats_sweep(utc_now() + KEPT / 2)
    assert RepeatedCall.objects.count() == NOTED_AT_ONCE
    repeats_sweep(utc_now() + KEPT * 1.1)
    assert not RepeatedCall.objects.exists()


def plan(sql: str, source_no: int) -> str:
    with transaction.atomic(), connection.cursor() as cursor:
        if sql is STORED_SQL:  # its tables hold a few rows here, which PostgreSQL reads whole if it may
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + sql, {"source_no": source_no, "window": 20_000, "limit": 50})
        return "\n".join(line for (line,) in cursor.fetchall())


def test_a_million_waiting_calls_cost_the_tail_nothing(client: Client) -> None:
    busy, quiet = source_make(), source_make(key="quiet", write_key="wk-quiet")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO cdp_inboxevent (source_no, message_id, received_at, payload) "
            'SELECT %s, \'w-\' || n, now(), \'{"type": "track", "event": "Waits", "userId": "u"}\' '
            "FROM generate_series(1, 1000000) AS n",
            [busy.source_no],
        )
        cursor.execute("ANALYZE cdp_inboxevent")
    post(client, {"batch": [track_make(messageId="q-1")]}, key="wk-quiet")
    for source, sql in ((busy, WAITING_SQL), (quiet, WAITING_SQL), (quiet, STORED_SQL)):
        text = plan(sql, source.source_no)
        assert "Seq Scan on cdp_inboxevent" not in text, text
        assert "Seq Scan on cdp_event_" not in text, text
    assert "Index Scan Backward using cdp_inboxevent_pkey" in plan(WAITING_SQL, quiet.source_no)
    for source, shown in ((busy, 50), (quiet, 1)):
        tail_read(source.source_no)
        started = time.perf_counter()
        with CaptureQueriesContext(connection) as captured:
            assert len(tail_read(source.source_no)) == shown
        assert len(captured) == 4
        assert time.perf_counter() - started < 0.25
