"""The rules of consent, one test each, and what no order of arrival may change."""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.consent.models import ACTIONS, STATES
from cdp.consent.projection import Act, Answer, effective_at, identifier_answer, person_state

T0 = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def act(action: str, hours: float = 0, no: int = 1, received: float | None = None) -> Act:
    occurred_at = T0 + hours * HOUR
    return Act(no, action, occurred_at, occurred_at if received is None else T0 + received * HOUR)


def state(*acts: Act) -> str | None:
    answers = {identifier_answer(order) for order in itertools.permutations(acts)}
    assert len(answers) == 1, "the order of the acts must not matter"
    (answer,) = answers
    return None if answer is None else answer.state


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ([], None),
        ([act("granted")], "granted"),
        ([act("confirmed")], "granted"),
        ([act("pending")], "pending"),
        ([act("granted", 0, 1), act("withdrawn", 1, 2)], "withdrawn"),
        ([act("denied", 0, 1), act("granted", 1, 2)], "granted"),
        ([act("granted", 0, 1), act("expired", 5, 2)], "expired"),
        ([act("expired", 5, 1), act("granted", 6, 2)], "granted"),
        ([act("pending", 0, 1), act("confirmed", 1, 2)], "granted"),
        # an old act that arrives late overrides nothing newer
        ([act("withdrawn", 1, 1), act("granted", 0, 2, received=9)], "withdrawn"),
        # a tie falls to the refusal
        ([act("granted", 1, 1), act("denied", 1, 2)], "denied"),
        ([act("granted", 1, 2), act("withdrawn", 1, 1)], "withdrawn"),
        ([act("granted", 1, 1), act("pending", 1, 2)], "pending"),
        # a veto stands above a later grant, until it is lifted by a later act
        ([act("objected", 0, 1), act("granted", 5, 2)], "denied"),
        ([act("restricted", 0, 1), act("granted", 5, 2)], "denied"),
        ([act("objected", 0, 1), act("lifted", 2, 2), act("granted", 5, 3)], "granted"),
        ([act("objected", 0, 1), act("lifted", 2, 2), act("granted", -5, 3)], "granted"),
        ([act("objected", 0, 1), act("lifted", 2, 2)], None),
        ([act("objected", 2, 1), act("lifted", 2, 2), act("granted", 5, 3)], "denied"),
        ([act("lifted", 0, 1), act("objected", 2, 2), act("granted", 5, 3)], "denied"),
        # a clock that runs ahead counts as of its arrival
        ([act("granted", 1000, 1, received=1), act("withdrawn", 2, 2)], "withdrawn"),
    ],
)
def test_rules(acts: list[Act], expected: str | None) -> None:
    assert state(*acts) == expected


def test_a_lead_of_five_minutes_is_believed() -> None:
    lead = Act(1, "granted", T0 + dt.timedelta(minutes=5), T0)
    too_far = Act(1, "granted", T0 + dt.timedelta(minutes=5, seconds=1), T0)
    assert (effective_at(lead), effective_at(too_far)) == (T0 + dt.timedelta(minutes=5), T0)


def answer(name: str, hours: float = 0, no: int = 1) -> Answer:
    return Answer(name, T0 + hours * HOUR, no)


@pytest.mark.parametrize(
    ("answers", "expected", "is_conflict"),
    [
        ([answer("granted")], "granted", False),
        ([answer("granted", 9, 1), answer("denied", 0, 2)], "denied", True),
        ([answer("granted", 9, 1), answer("withdrawn", 0, 2)], "withdrawn", True),
        ([answer("granted", 9, 1), answer("pending", 0, 2)], "pending", True),
        ([answer("denied", 9, 1), answer("withdrawn", 0, 2)], "withdrawn", False),
        # an expired grant is no refusal
        ([answer("granted", 0, 1), answer("expired", 9, 2)], "granted", False),
        ([answer("expired", 0, 1), answer("expired", 9, 2)], "expired", False),
    ],
)
def test_of_a_persons_identifiers_the_most_restrictive_speaks(
    answers: list[Answer], expected: str, is_conflict: bool
) -> None:
    for order in itertools.permutations(answers):
        found = person_state(order, None)
        assert found is not None
        assert (found.state, found.is_conflict) == (expected, is_conflict)


def test_a_grant_expires_and_the_freshest_one_counts() -> None:
    found = person_state([answer("granted", 0, 1), answer("granted", 48, 2)], 30)
    assert found is not None
    assert (found.expires_at, found.record_no) == (T0 + 48 * HOUR + dt.timedelta(days=30), 2)
    endless = person_state([answer("granted")], 10**7)
    assert endless is not None and endless.expires_at is not None


def test_nobody_asked_is_no_state() -> None:
    assert person_state([], 30) is None


moments = st.integers(-3, 3).map(lambda hours: T0 + hours * HOUR)
acts = st.lists(st.tuples(st.sampled_from(ACTIONS), moments, moments), max_size=8).map(
    lambda rows: [Act(no, *row) for no, row in enumerate(rows, 1)]
)


@given(acts, st.randoms())
def test_any_order_of_any_acts_gives_one_state_and_never_a_grant_without_one(
    given_acts: list[Act], chance: object
) -> None:
    answer_ = identifier_answer(given_acts)
    shuffled = list(given_acts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert identifier_answer(shuffled) == answer_
    if answer_ is not None:
        assert answer_.state in STATES
    if answer_ is not None and answer_.state == "granted":
        deciding = next(a for a in given_acts if a.record_no == answer_.record_no)
        assert deciding.action in {"granted", "confirmed"}
        later = [a for a in given_acts if effective_at(a) > effective_at(deciding)]
        assert not {a.action for a in later} & {"denied", "withdrawn", "expired", "pending"}
        lifted = max((effective_at(a) for a in given_acts if a.action == "lifted"), default=None)
        vetoes = [effective_at(a) for a in given_acts if a.action in {"objected", "restricted"}]
        assert not vetoes or (lifted is not None and max(vetoes) < lifted)
