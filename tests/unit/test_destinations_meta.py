"""Meta: rows as wide as their schema, errors by code, how long to wait."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.core.errors import NeedsHumanError, RetryableError
from segments.destinations.contract import BatchRejectedError, BatchRequest, Member, OutcomeUnknownError, Person
from segments.destinations.http import Answer
from segments.destinations.meta_custom_audiences import DESTINATION, batch_body, refusal

GOLDEN = Path(__file__).parents[1] / "golden" / "payloads" / "meta_custom_audiences.json"


def request(members: list[Member]) -> BatchRequest:
    rows = sum(DESTINATION.member_rows(m) for m in members)
    return BatchRequest("s1.add.1", "add", "42", members, frozenset(), 71, 1, True, rows)


def built(person: Person) -> Member:
    member = DESTINATION.member_build(person)
    assert member is not None
    return member


def test_golden_body() -> None:
    members = [
        built(Person(1, ("jane@example.com",), ("+442079460958",), "Jane", "Doe", "GB", "SW1A 1AA")),
        built(Person(2, ("a@example.com", "b@example.com"))),
    ]
    assert batch_body(request(members)) == json.loads(GOLDEN.read_text(encoding="utf-8"))


PEOPLE = st.lists(
    st.builds(
        Person,
        profile_no=st.integers(1, 10_000),
        emails=st.lists(st.integers(1, 99).map(lambda n: f"a{n}@example.com"), max_size=8).map(tuple),
        phones=st.lists(st.integers(10, 99).map(lambda n: f"+4420794609{n}"), max_size=8).map(tuple),
        given_name=st.sampled_from(["", "Jane"]),
        region_code=st.sampled_from(["", "FR"]),
    ),
    max_size=12,
)


@given(PEOPLE)
def test_rows_are_as_wide_as_the_schema_and_lose_nothing(people: list[Person]) -> None:
    members = [m for p in people if (m := DESTINATION.member_build(p))]
    if not members:
        return
    payload = batch_body(request(members))["payload"]
    assert all(len(row) == len(payload["schema"]) for row in payload["data"])
    assert len(payload["data"]) == sum(DESTINATION.member_rows(m) for m in members)
    for column in ("EMAIL", "PHONE"):
        sent = (
            {row[payload["schema"].index(column)] for row in payload["data"]} if column in payload["schema"] else set()
        )
        assert sent - {""} == {i[1] for m in members for i in m.identifiers if i[0] == column}
    assert all(any(row) for row in payload["data"])


def error(code: int, subcode: int = 0, status: int = 400, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    return Answer(
        status,
        headers or {},
        {"error": {"message": "quotes jane@example.com", "code": code, "error_subcode": subcode, **more}},
    )


@pytest.mark.parametrize(
    ("answer", "family"),
    [
        *[(error(code), RetryableError) for code in (4, 17, 613, 80003)],
        *[(error(code), OutcomeUnknownError) for code in (1, 2, 341, 5000, 21009)],
        (error(999, is_transient=True), OutcomeUnknownError),
        *[(error(code), NeedsHumanError) for code in (3, 190, 200, 294, 368, 460, 463, 2655)],
        (error(100, 1713230), NeedsHumanError),
        (error(100), BatchRejectedError),
        (error(2650), BatchRejectedError),
        (Answer(500, {}, {}), OutcomeUnknownError),
        (Answer(429, {}, {}), RetryableError),
        (error(12345), NeedsHumanError),
    ],
)
def test_error_families(answer: Answer, family: type[Exception]) -> None:
    found = refusal(answer)
    assert type(found) is family
    assert "jane" not in str(found)


def test_the_usage_header_says_how_long_to_wait() -> None:
    usage = json.dumps({"1": [{"type": "custom_audience", "estimated_time_to_regain_access": 3}]})
    found = refusal(error(80003, headers={"x-business-use-case-usage": usage}))
    assert isinstance(found, RetryableError)
    assert found.retry_after_seconds == 180
    nothing = refusal(error(613, headers={"x-business-use-case-usage": "broken"}))
    assert isinstance(nothing, RetryableError)
    assert nothing.retry_after_seconds is None
