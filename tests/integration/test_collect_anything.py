"""Whatever arrives: an answer that is no 500, and an inbox that empties without anything set aside as a fault of ours."""

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.collect.messages import KINDS
from cdp.collect.models import Reject, Source
from cdp.collect.selectors import sources_forget
from cdp.collect.services import inbox_drain
from cdp.core.time import utc_now
from cdp.events.models import InboxEvent
from tests.integration.collect_calls import post, source_make

pytestmark = pytest.mark.django_db

text = st.text(max_size=12) | st.sampled_from(
    ["", "a@example.com", "+33612345678", "u-1", "undefined", "2026-11-23", "\x00", "12"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
words = st.dictionaries(
    st.sampled_from(["email", "phone", "plan", "firstName", "a b", "", "address"]) | text, anything, max_size=4
)
consents = st.fixed_dictionaries({}, optional={
    "consent": anything | st.fixed_dictionaries({"categoryPreferences": st.dictionaries(st.sampled_from(["advertising", "x"]), scalars)}),
    "consentManagement": anything | st.fixed_dictionaries({"allowedConsentIds": st.lists(text)}),
    "traits": anything | words, "device": anything, "externalIds": anything, "page": anything, "locale": anything,
})  # fmt: skip
orders = st.fixed_dictionaries({}, optional={
    "order_id": scalars, "revenue": scalars, "total": scalars, "currency": text, "products": anything, "quantity": scalars,
})  # fmt: skip
names = st.sampled_from(["Order Completed", "Order Refunded", "Order Updated", "Order Cancelled", "Viewed"]) | text
calls = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(KINDS)), "userId": scalars},
    optional={
        "anonymousId": scalars, "previousId": scalars, "groupId": scalars, "event": names, "name": text, "messageId": scalars,
        "timestamp": scalars, "sentAt": scalars, "traits": words | anything, "context": consents | anything,
        "properties": orders | words | anything,
    },
)  # fmt: skip


@pytest.fixture
def shop() -> Source:
    sources_forget()
    return source_make(kind="server", allowed_origins="")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batch=st.lists(calls | anything, min_size=1, max_size=8))
def test_any_batch_is_answered_and_drained(shop: Source, batch: list[Any]) -> None:
    response = post(Client(), {"batch": batch})
    assert response.status_code == 200, response.content
    result = inbox_drain(1_000, utc_now())
    assert result.deferred == 0
    assert not InboxEvent.objects.exists()
    assert not Reject.objects.filter(code__in=["failed", "not_storable"]).exists()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=120) | anything.map(lambda v: json.dumps(v).encode()),
    path=st.sampled_from(["batch", "t", "i", "import"]),
)
def test_any_body_is_answered(shop: Source, body: bytes, path: str) -> None:
    response = post(Client(), body, path=f"/v1/{path}")
    assert response.status_code in {200, 400, 413}
    assert response.json().keys() >= ({"success"} if response.status_code == 200 else {"code", "message", "errors"})
