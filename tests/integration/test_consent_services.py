"""The ledger only grows, the states follow it, the gate is closed unless everything is open."""

import datetime as dt
import threading

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.access.services import audit
from cdp.consent import gate
from cdp.consent.gate import GateReason, consent_gate, destination_purposes
from cdp.consent.models import ACTIONS, ConsentRecord, ConsentState, Purpose
from cdp.consent.records import NewConsent
from cdp.consent.selectors import suppressed_profiles
from cdp.consent.services import (
    consents_expire,
    consents_project,
    consents_record,
    destination_purposes_map,
    suppression_add,
    suppression_lift,
)
from cdp.core.errors import NeedsHumanError, RejectedError
from cdp.events.services import outbox_claim
from cdp.identity.services import merge_undo, profile_erase, profiles_merge
from tests.integration.people import DAY, HOUR, NOW, consent, identifier_of, profile_of, projections, resolve, rows

pytestmark = pytest.mark.django_db


def states(name: str) -> dict[str, str]:
    found = ConsentState.objects.filter(profile_no=profile_of(name)).select_related("purpose")
    return {state.purpose.key: state.state for state in found}


def ask(*names: str, purposes: tuple[str, ...] = ("advertising",), at: dt.datetime = NOW + DAY) -> list[str]:
    result = consent_gate(np.array([profile_of(name) or 0 for name in names]), purposes, at)
    assert (result.allowed == (result.reason == GateReason.ALLOWED)).all()
    return [GateReason(code).name.lower() for code in result.reason]


def test_the_same_act_again_has_no_effect() -> None:
    assert consent("u1", "granted") == 1
    before = projections()
    assert consent("u1", "granted") == 0
    assert (ConsentRecord.objects.count(), projections()) == (1, before)


def test_a_withdrawal_tells_the_audiences_in_the_same_transaction() -> None:
    consent("u1", "granted")
    assert outbox_claim("consent_changed", 10, NOW + 1000 * DAY, 60) == []
    consent("u1", "withdrawn", at=NOW + HOUR)
    (message,) = outbox_claim("consent_changed", 10, NOW + 1000 * DAY, 60)
    assert message.payload == {"profile_nos": [profile_of("u1")], "purposes": ["advertising"]}
    assert states("u1") == {"advertising": "withdrawn"}


def test_a_late_old_grant_changes_nothing() -> None:
    consent("u1", "withdrawn")
    before = projections()
    assert consent("u1", "granted", at=NOW - DAY, received_at=NOW + DAY) == 1
    assert projections() == before


@pytest.mark.parametrize(
    ("overrides", "code"),
    [({"purpose": "astrology"}, "unknown_purpose"), ({"idempotency_key": ""}, "idempotency_key")],
)
def test_a_wrong_row_is_named_and_nothing_is_written(overrides: dict[str, str], code: str) -> None:
    number = identifier_of("u1")
    good = NewConsent(number, "advertising", "granted", NOW, NOW, 1, "save", "k")
    bad = NewConsent(
        number,
        overrides.get("purpose", "advertising"),
        "granted",
        NOW,
        NOW,
        1,
        "save",
        overrides.get("idempotency_key", "k2"),
    )
    with pytest.raises(RejectedError) as caught:
        consents_record([good, bad])
    assert caught.value.code == code and caught.value.field.startswith("consents[1].")
    with pytest.raises(RejectedError, match="one of granted"):
        consents_record([NewConsent(number, "advertising", "maybe", NOW, NOW, 1, "save", "k")])
    assert ConsentRecord.objects.count() == 0


@pytest.mark.parametrize("table", ["cdp_consentrecord", "cdp_auditentry"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_ledgers_refuse_every_change(table: str, statement: str) -> None:
    consent("u1", "granted")
    audit("ann", "looked", "profile", 1)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    column = {"cdp_consentrecord": "method", "cdp_auditentry": "action"}[table]
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table, column))
    assert rows(f"SELECT count(*) FROM {table}") == [(1,)]


def test_grants_expire_by_a_row_in_the_ledger() -> None:
    Purpose.objects.filter(key="advertising").update(expires_after_days=30)
    consent("u1", "granted")
    consent("u2", "granted", at=NOW + 20 * DAY)
    assert ask("u1", "u2", at=NOW + 31 * DAY) == ["consent_expired", "allowed"]
    assert consents_expire(NOW + 29 * DAY) == 0
    assert consents_expire(NOW + 31 * DAY) == 1
    assert consents_expire(NOW + 31 * DAY) == 0
    assert (states("u1"), states("u2")) == ({"advertising": "expired"}, {"advertising": "granted"})
    assert ConsentRecord.objects.get(action="expired").occurred_at == NOW + 30 * DAY
    assert len(outbox_claim("consent_changed", 10, NOW + 1000 * DAY, 60)) == 1
    consent("u1", "granted", at=NOW + 40 * DAY)
    assert ask("u1", at=NOW + 41 * DAY) == ["allowed"]


def test_the_gate_is_closed_unless_everything_is_open() -> None:
    for name in ("u1", "u2", "u3", "u4", "u5", "u6", "u7"):
        resolve(name)
    consent("u1", "granted"), consent("u1", "granted", purpose="analytics")
    consent("u2", "granted")
    consent("u3", "denied"), consent("u4", "pending"), consent("u5", "withdrawn")
    consent("u6", "objected"), consent("u6", "granted", at=NOW + HOUR)
    names = ("u1", "u2", "u3", "u4", "u5", "u6", "u7", "u99")
    assert ask(*names) == [
        *("allowed", "allowed", "consent_denied", "consent_pending", "consent_withdrawn", "consent_denied"),
        *("consent_unknown", "not_a_profile"),
    ]
    assert ask("u1", "u2", purposes=("advertising", "analytics")) == ["allowed", "consent_unknown"]
    assert ask("u1", purposes=()) == ["purpose_unknown"]
    assert ask("u1", purposes=("advertising", "astrology")) == ["purpose_unknown"]
    assert ask("u1", at=NOW - HOUR) == ["consent_unknown"], "not granted yet at that moment"
    assert ask() == []


def test_the_gate_answers_the_same_for_many_as_for_few(monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(30):
        resolve(f"u{i}")
        if i % 3:
            consent(f"u{i}", ("granted", "withdrawn")[i % 2])
    suppression_add(identifier_of("u1"), "complaint", NOW, "ann")
    profile_erase(profile_of("u2") or 0, "ann", NOW)
    numbers = np.array([no for (no,) in rows("SELECT profile_no FROM cdp_profile")] * 2 + [10**9])[::-1]
    few = consent_gate(numbers, ["advertising"], NOW + DAY)
    monkeypatch.setattr(gate, "LOOK_UP_BY_NUMBER", 0)
    many = consent_gate(numbers, ["advertising"], NOW + DAY)
    assert (few.reason == many.reason).all()
    assert few.counts() == {
        "allowed": 18,
        "consent_unknown": 20,
        "consent_withdrawn": 18,
        "suppressed": 2,
        "not_a_profile": 3,
    }


def test_an_error_lets_nobody_through(monkeypatch: pytest.MonkeyPatch) -> None:
    consent("u1", "granted")

    def broken(*_: object, **__: object) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(gate, "numbers_read", broken)
    assert ask("u1") == ["error"]


def test_suppression_closes_the_gate_until_it_is_lifted() -> None:
    consent("u1", "granted")
    number = identifier_of("u1")
    assert suppression_add(number, "complaint", NOW, "ann")
    assert not suppression_add(number, "complaint", NOW, "ann")
    assert ask("u1") == ["suppressed"]
    assert list(suppressed_profiles(np.array([profile_of("u1") or 0, 99]))) == [profile_of("u1")]
    assert suppression_lift(number, NOW, "ann")
    assert not suppression_lift(number, NOW, "ann")
    assert ask("u1") == ["allowed"]
    assert suppression_add(number, "legal", NOW, "ann")
    assert ask("u1") == ["suppressed"]


def test_a_destination_without_purposes_cannot_be_used() -> None:
    with pytest.raises(NeedsHumanError, match="no purposes yet"):
        destination_purposes("meta")
    with pytest.raises(RejectedError, match="exist"):
        destination_purposes_map("meta", ["astrology"], "ann")
    with pytest.raises(RejectedError, match="at least one"):
        destination_purposes_map("meta", [], "ann")
    destination_purposes_map("meta", ["advertising", "analytics"], "ann")
    assert destination_purposes("meta") == ("advertising", "analytics")


names = st.sampled_from(["u1", "u2", "a1", "a2"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("act"), names, st.sampled_from(ACTIONS), st.integers(-3, 3)),
        st.tuples(st.just("merge"), names, names),
        st.tuples(st.just("unmerge")),
        st.tuples(st.just("erase"), names),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_rebuild_equals_increment(story: list[tuple[object, ...]]) -> None:
    with transaction.atomic():
        resolve("u1", "u2", "a1", "a2")
        merges: list[int] = []
        for number, step in enumerate(story):
            match step:
                case ("act", str(name), str(action), int(hours)):
                    if profile_of(name):
                        consent(name, action, NOW + hours * HOUR, idempotency_key=f"k{number}")
                case ("merge", str(one), str(other)):
                    winner, loser = profile_of(one), profile_of(other)
                    if winner and loser and winner != loser:
                        merges.append(profiles_merge(winner, loser, "x", "ann", NOW))
                case ("unmerge",) if merges:
                    try:
                        merge_undo(merges.pop(), "ann", NOW)
                    except RejectedError as error:
                        assert error.code == "erased"
                case ("erase", str(name)):
                    if number_of := profile_of(name):
                        profile_erase(number_of, "ann", NOW)
        incremental = projections()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM cdp_consentstate")
        consents_project([row[0] for row in incremental])
        assert projections() == incremental
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_two_acts_of_one_person_at_once_both_count() -> None:
    resolve("u1 a1")
    numbers = {name: identifier_of(name) for name in ("u1", "a1")}

    def other() -> None:
        with transaction.atomic():
            consents_record([NewConsent(numbers["a1"], "advertising", "denied", NOW, NOW, 1, "save", "other")])
        connection.close()

    thread = threading.Thread(target=other)
    with transaction.atomic():
        consents_record([NewConsent(numbers["u1"], "advertising", "granted", NOW, NOW, 1, "save", "mine")])
        thread.start()
        thread.join(0.3)
    thread.join(10)
    assert rows("SELECT state, is_conflict FROM cdp_consentstate") == [("denied", True)]
