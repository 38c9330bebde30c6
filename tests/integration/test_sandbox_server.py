"""The sandbox as a process: strict like the vendors, a page for people, and a kill at any moment loses nothing it answered."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox_stage import SandboxProcess, SandboxTalk, sandbox_thread

TOKEN = {"Authorization": "Bearer sandbox-token"}
ACCOUNT = {"accountType": "GOOGLE_ADS", "accountId": "1234567890"}


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxTalk]:
    with sandbox_thread(tmp_path / "sandbox") as talk:
        yield talk


def google(
    sandbox: SandboxTalk, verb: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> httpx.Response:
    return httpx.post(f"{sandbox.base_url}/google/v1/{verb}", json=body, headers=TOKEN if headers is None else headers)


def google_list(sandbox: SandboxTalk, title: str = "A") -> str:
    body = {"displayName": title, "ingestedUserListInfo": {"uploadKeyTypes": ["CONTACT_ID"]}}
    return str(google(sandbox, "accountTypes/GOOGLE_ADS/accounts/1234567890/userLists", body).json()["id"])


def ingest(list_id: str, identifiers: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "destinations": [{"operatingAccount": ACCOUNT, "productDestinationId": list_id}],
        "audienceMembers": [{"compositeData": {"userData": {"userIdentifiers": identifiers}}}],
        "encoding": "HEX",
        "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"},
        **more,
    }


def test_google_takes_names_and_numbers_of_enums(sandbox: SandboxTalk) -> None:
    list_id = google_list(sandbox)
    numbers = ingest(
        list_id, [{"emailAddress": digest("a")}], encoding=1, termsOfService={"customerMatchTermsOfServiceStatus": 1}
    )
    numbers["destinations"][0]["operatingAccount"] = {"accountType": 1, "accountId": "1234567890"}
    assert google(sandbox, "audienceMembers:ingest", numbers).status_code == 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"colour": "red"}, None),
        ({"encoding": "BASE64"}, "REQUIRED_FIELD_MISSING"),
        ({"encoding": "MORSE"}, "INVALID_ENUM_VALUE"),
        ({"termsOfService": {}}, "TERMS_AND_CONDITIONS_NOT_SIGNED"),
        ({"audienceMembers": []}, "REQUIRED_FIELD_MISSING"),
        ({"audienceMembers": [{}]}, "INVALID_AUDIENCE_MEMBER"),
        ({"audienceMembers": [{"userData": {"userIdentifiers": [{"emailAddress": "jane@example.com"}]}}]}, "INVALID_SHA256_FORMAT"),
        ({"audienceMembers": [{"userData": {"userIdentifiers": [{"emailAddress": digest("a").upper()}]}}]}, "INVALID_SHA256_FORMAT"),
        ({"audienceMembers": [{"userData": {"userIdentifiers": [{"emailAddress": digest(str(n))} for n in range(11)]}}]}, "TOO_MANY_USER_IDENTIFIERS"),
        ({"destinations": [{"operatingAccount": ACCOUNT, "productDestinationId": "1"}]}, "INVALID_USER_LIST_ID"),
    ],
)  # fmt: skip
def test_google_refuses(sandbox: SandboxTalk, change: dict[str, Any], reason: str | None) -> None:
    list_id = google_list(sandbox)
    answer = google(sandbox, "audienceMembers:ingest", ingest(list_id, [{"emailAddress": digest("a")}]) | change)
    assert answer.status_code == 400
    details = answer.json()["error"].get("details", [])
    assert (details[0]["reason"] if details else None) == reason
    assert sandbox.lists()[0]["members"] == 0


def test_google_remove_takes_no_terms_and_no_consent(sandbox: SandboxTalk) -> None:
    body = ingest(google_list(sandbox), [{"emailAddress": digest("a")}])
    assert google(sandbox, "audienceMembers:remove", body).status_code == 400
    del body["termsOfService"]
    assert google(sandbox, "audienceMembers:remove", body).status_code == 200


def test_google_leaves_out_a_denied_member(sandbox: SandboxTalk) -> None:
    body = ingest(google_list(sandbox), [{"emailAddress": digest("a")}])
    body["audienceMembers"][0]["consent"] = {"adUserData": "CONSENT_DENIED"}
    ref = google(sandbox, "audienceMembers:ingest", body).json()["requestId"]
    status = httpx.get(
        f"{sandbox.base_url}/google/v1/requestStatus:retrieve", params={"requestId": ref}, headers=TOKEN
    ).json()
    assert status["requestStatusPerDestination"][0]["requestStatus"] in {"PROCESSING", "PARTIAL_SUCCESS"}
    assert sandbox.lists()[0]["members"] == 0


def test_no_token(sandbox: SandboxTalk) -> None:
    assert google(sandbox, "audienceMembers:ingest", {}, headers={}).status_code == 401
    assert httpx.post(f"{sandbox.base_url}/meta/v26.0/1/users", json={}).json()["error"]["code"] == 190
    in_url = httpx.post(f"{sandbox.base_url}/meta/v26.0/1/users?access_token=x", json={}, headers=TOKEN)
    assert in_url.json()["error"]["code"] == 100


def meta_list(sandbox: SandboxTalk) -> str:
    body = {"name": "A", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    answer = httpx.post(f"{sandbox.base_url}/meta/v26.0/act_123/customaudiences", json=body, headers=TOKEN)
    return str(answer.json()["id"])


def meta(sandbox: SandboxTalk, list_id: str, schema: list[str], data: list[list[Any]], **more: Any) -> dict[str, Any]:
    body = {"payload": {"schema": schema, "data": data}, **more}
    answer: dict[str, Any] = httpx.post(
        f"{sandbox.base_url}/meta/v26.0/{list_id}/users", json=body, headers=TOKEN
    ).json()
    return answer


def test_meta_rows(sandbox: SandboxTalk) -> None:
    list_id = meta_list(sandbox)
    a, b = digest("a"), digest("b")
    assert meta(sandbox, list_id, ["EMAIL"], [[a, b]])["error"]["code"] == 2650
    assert meta(sandbox, list_id, ["SHOE_SIZE"], [[a]])["error"]["code"] == 100
    assert meta(sandbox, list_id, ["EMAIL"], [])["error"]["code"] == 100
    assert meta(sandbox, list_id, ["EMAIL"], [[a]], colour="red")["error"]["code"] == 100
    answer = meta(sandbox, list_id, ["EMAIL", "PHONE"], [[a, ""], ["jane@example.com", b], ["", ""], [b.upper(), ""]])
    assert (answer["num_received"], answer["num_invalid_entries"]) == (4, 3)
    assert sandbox.digests(list_id) == [a]


def test_the_page_says_what_it_is(sandbox: SandboxTalk) -> None:
    list_id = google_list(sandbox, title="<b>Loyal</b>")
    page = httpx.get(f"{sandbox.base_url}/")
    assert "local stand-in" in page.text
    assert list_id in page.text
    assert "<b>Loyal" not in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_faults_are_checked(sandbox: SandboxTalk) -> None:
    answer = httpx.post(f"{sandbox.base_url}/sandbox/faults", json={"network": "meta", "kind": "earthquake"})
    assert (answer.status_code, "timeout_after_apply" in answer.json()["error"]) == (400, True)
    assert httpx.post(f"{sandbox.base_url}/sandbox/faults", json={"netwerk": "meta"}).status_code == 400


def test_a_kill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    process = SandboxProcess(tmp_path / "state")
    try:
        list_id = meta_list(process)
        answered = set()
        for n in range(30):
            meta(process, list_id, ["EMAIL"], [[digest(str(n))]])
            answered.add(digest(str(n)))
        process.kill()
        process = SandboxProcess(tmp_path / "state", port=process.port)
        assert set(process.digests(list_id)) == answered
        assert process.requests()["requests"] == {"meta add": 30}
    finally:
        process.stop()
