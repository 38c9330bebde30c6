"""Bodies to Google are judged by Google's own published proto; answers are sorted into the three families."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.ads import datamanager_v1
from google.protobuf import json_format

from cdp.core.errors import NeedsHumanError, RetryableError
from segments.destinations.contract import (
    BatchRejectedError,
    BatchRequest,
    Member,
    Operation,
    OutcomeUnknownError,
    Person,
)
from segments.destinations.google_answers import refusal, status_outcome
from segments.destinations.google_data_manager import DESTINATION, batch_body
from segments.destinations.http import Answer

GOLDEN = Path(__file__).parents[1] / "golden" / "payloads"
SETTINGS = {
    "account_id": "1234567890",
    "account_type": "GOOGLE_ADS",
    "ad_user_data_purpose": "advertising",
    "ad_personalization_purpose": "personalisation",
}
PERSON = Person(1, ("jane@example.com",), ("+442079460958",), "Jane", "Doe", "GB", "SW1A 1AA")


def batch(operation: Operation, granted: frozenset[str] = frozenset({"advertising"})) -> BatchRequest:
    member = DESTINATION.member_build(PERSON)
    assert member is not None
    return BatchRequest("s1.add.1", operation, "42", [member], granted, 1, 1, True, 1)


def parsed(operation: Operation, body: dict[str, Any]) -> Any:
    kind = (
        datamanager_v1.IngestAudienceMembersRequest
        if operation == "add"
        else datamanager_v1.RemoveAudienceMembersRequest
    )
    return json_format.ParseDict(body, kind.pb()(), ignore_unknown_fields=False)


@pytest.mark.parametrize("operation", ["add", "remove"])
def test_the_official_proto_takes_the_body(operation: Operation) -> None:
    body = batch_body(SETTINGS | {"login_account_id": "99"}, batch(operation))
    message = parsed(operation, body)
    assert message.encoding == datamanager_v1.Encoding.HEX
    assert message.destinations[0].product_destination_id == "42"
    assert message.destinations[0].login_account.account_id == "99"
    identifiers = message.audience_members[0].composite_data.user_data.user_identifiers
    assert [i.WhichOneof("identifier") for i in identifiers] == ["email_address", "phone_number", "address"]
    assert identifiers[2].address.region_code == "GB"
    assert identifiers[2].address.postal_code == "SW1A 1AA"


@pytest.mark.parametrize("operation", ["add", "remove"])
def test_golden_body(operation: Operation) -> None:
    golden = GOLDEN / f"google_data_manager_{operation}.json"
    assert batch_body(SETTINGS, batch(operation)) == json.loads(golden.read_text(encoding="utf-8"))


def test_consent_is_said_for_every_member_and_only_where_granted() -> None:
    message = parsed("add", batch_body(SETTINGS, batch("add")))
    consent = message.audience_members[0].consent
    assert consent.ad_user_data == datamanager_v1.ConsentStatus.CONSENT_GRANTED
    assert consent.ad_personalization == datamanager_v1.ConsentStatus.CONSENT_STATUS_UNSPECIFIED
    assert "consent" not in batch_body(SETTINGS, batch("remove"))["audienceMembers"][0]


def test_the_proto_refuses_the_key_that_others_send() -> None:
    body = batch_body(SETTINGS, batch("add"))
    identifiers = body["audienceMembers"][0]["compositeData"]["userData"]["userIdentifiers"]
    identifiers[2] = {"addressInfo": identifiers[2]["address"]}
    with pytest.raises(json_format.ParseError):
        parsed("add", body)


def test_ten_identifiers_at_most() -> None:
    member = DESTINATION.member_build(Person(1, tuple(f"a{n}@example.com" for n in range(30)), ("+442079460958",)))
    assert member is not None
    assert len(member.identifiers) == 10


def test_the_same_mailbox_twice_is_one_identifier() -> None:
    member = DESTINATION.member_build(Person(1, ("j.doe@gmail.com", "jdoe+shop@gmail.com")))
    assert member is not None
    assert len(member.identifiers) == 1


def test_an_address_of_unknown_shape_is_a_bug() -> None:
    odd = BatchRequest("k", "remove", "42", [Member(1, (("a", "b", "c"),))], frozenset(), 1, 1, True, 1)
    with pytest.raises(ValueError, match="unknown shape"):
        batch_body(SETTINGS, odd)


def error(code: int, status: str, reason: str = "", headers: dict[str, str] | None = None, **detail: Any) -> Answer:
    details = [{"@type": "google.rpc.ErrorInfo", "reason": reason}] if reason else []
    details += [detail] if detail else []
    return Answer(
        code,
        headers or {},
        {"error": {"code": code, "message": "quotes jane@example.com", "status": status, "details": details}},
    )


@pytest.mark.parametrize(
    ("answer", "family"),
    [
        (error(429, "RESOURCE_EXHAUSTED"), RetryableError),
        (error(503, "UNAVAILABLE"), RetryableError),
        (error(504, "DEADLINE_EXCEEDED"), RetryableError),
        (error(500, "INTERNAL"), OutcomeUnknownError),
        (Answer(502, {}, {}), OutcomeUnknownError),
        (error(401, "UNAUTHENTICATED"), NeedsHumanError),
        (error(403, "PERMISSION_DENIED"), NeedsHumanError),
        (error(404, "NOT_FOUND"), NeedsHumanError),
        (error(400, "FAILED_PRECONDITION", "TERMS_AND_CONDITIONS_NOT_SIGNED"), NeedsHumanError),
        (error(400, "INVALID_ARGUMENT", "INVALID_USER_LIST_ID"), NeedsHumanError),
        (error(400, "INVALID_ARGUMENT", "INVALID_SHA256_FORMAT"), BatchRejectedError),
        (error(400, "INVALID_ARGUMENT"), BatchRejectedError),
    ],
)
def test_error_families(answer: Answer, family: type[Exception]) -> None:
    found = refusal(answer)
    assert type(found) is family
    assert "jane" not in str(found)


def test_how_long_to_wait() -> None:
    slow = refusal(error(429, "RESOURCE_EXHAUSTED", headers={"retry-after": "30"}))
    assert isinstance(slow, RetryableError)
    assert slow.retry_after_seconds == 30
    info = refusal(error(429, "RESOURCE_EXHAUSTED", retryDelay="12.5s"))
    assert isinstance(info, RetryableError)
    assert info.retry_after_seconds == 12.5


def test_named_rows() -> None:
    violations = [
        {"field": "audience_members[7].composite_data", "reason": "x"},
        {"field": "audienceMembers[3]", "reason": "x"},
    ]
    found = refusal(error(400, "INVALID_ARGUMENT", "INVALID_SHA256_FORMAT", fieldViolations=violations))
    assert isinstance(found, BatchRejectedError)
    assert found.positions == (3, 7)


def test_status_by_the_official_proto() -> None:
    """What Google's own message prints as JSON is understood."""
    message = datamanager_v1.RetrieveRequestStatusResponse(
        request_status_per_destination=[
            datamanager_v1.RequestStatusPerDestination(
                request_status=datamanager_v1.RequestStatusPerDestination.RequestStatus.PARTIAL_SUCCESS,
                error_info=datamanager_v1.ErrorInfo(
                    error_counts=[
                        datamanager_v1.ErrorCount(
                            record_count=3,
                            reason=datamanager_v1.ProcessingErrorReason.PROCESSING_ERROR_REASON_DENIED_CONSENT,
                        )
                    ]
                ),
            )
        ]
    )
    body = json_format.MessageToDict(datamanager_v1.RetrieveRequestStatusResponse.pb(message))
    outcome = status_outcome(body["requestStatusPerDestination"][0], "r1")
    assert (outcome.state, outcome.rejected, outcome.rejections[0].code) == ("processed", 3, "denied_consent")


def test_status_words() -> None:
    assert status_outcome({"requestStatus": "PROCESSING"}, "r").state == "accepted"
    assert status_outcome({"requestStatus": "SUCCESS"}, "r").state == "processed"
    assert status_outcome({}, "r").state == "accepted"
    failed = {
        "requestStatus": "FAILED",
        "errorInfo": {"errorCounts": [{"recordCount": "2", "reason": "PROCESSING_ERROR_REASON_INVALID_FORMAT"}]},
    }
    assert status_outcome(failed, "r").state == "failed"
    with pytest.raises(OutcomeUnknownError):
        status_outcome({"requestStatus": "FAILED"}, "r")
