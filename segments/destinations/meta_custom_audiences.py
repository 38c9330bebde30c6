"""Meta Custom Audiences (Graph API): members are added by POST and removed by DELETE on ``/<audience>/users``, both with JSON.

The official SDK puts the digests of a DELETE into the URL and the token into the query; this file sends both where they
belong. An answer of 200 may still hold ``num_invalid_entries``. Error codes: reference of 2026-08, see ``refusal``.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cdp.core.errors import NeedsHumanError, Problem, RetryableError
from segments.destinations.contract import (
    Account,
    BatchOutcome,
    BatchRejectedError,
    BatchRequest,
    Capabilities,
    Destination,
    Member,
    OutcomeUnknownError,
    Person,
    Rejection,
    SandboxAccount,
    SecretSpec,
    SettingSpec,
)
from segments.destinations.hashing import identifier_digest, phone_digest
from segments.destinations.http import Answer, DestinationClient, retry_after_seconds, status_error

NETWORK = "meta"
MAX_ROWS_A_MEMBER = 5
SCHEMA_ORDER = ("EMAIL", "PHONE", "FN", "LN", "ZIP", "COUNTRY")
RETRY_CODES = {1, 2, 341, 5000, 21009}
THROTTLE_CODES = {4, 17, 32, 613, 80003}
AUTH_CODES = {102, 190, 460, 463, 467}
HUMAN_CODES = {3, 10, 200, 294, 298, 368, 2655} | AUTH_CODES
ROW_CODES = {100, 2650}
FLAGGED_SUBCODE = 1713230
USAGE_HEADER = "x-business-use-case-usage"


class MetaCustomAudiences:
    """Lists are custom audiences of one ad account; ``external_id`` is the audience's number."""

    slug = "meta_custom_audiences"
    title = "Meta Custom Audiences"
    default_base_url = "https://graph.facebook.com"
    capabilities = Capabilities(
        identifier_types=("email", "phone"),
        hashed_fields=("email", "phone", "first_name", "last_name", "zip", "country"),
        plain_fields=(),
        max_batch_rows=10_000,
        answers_later=False,
        minimum_size=100,
        max_age_days=None,
        consent_fields=(),
        settings=(
            SettingSpec(
                "ad_account_id", "Ad account id", r"\d{4,20}", is_required=True, help="Digits only, without act_."
            ),
            SettingSpec("api_version", "Graph API version", r"v\d{2}\.\d", default="v26.0", help="As in v26.0."),
            SettingSpec(
                "send_address", "Match by name, postal code and country too", default="no", choices=("no", "yes")
            ),
        ),
        secrets=(
            SecretSpec("access_token", "System user token", "With the permission ads_management."),
            SecretSpec("app_secret", "App secret", "Optional; signs every call (appsecret_proof)."),
        ),
        secrets_needed=(("access_token",),),
    )

    sandbox = SandboxAccount("meta", {"ad_account_id": "1234567890"}, {"access_token": "sandbox-token"})

    def account_check(self, account: Account) -> list[Problem]:
        return []

    def member_build(self, person: Person) -> Member | None:
        emails = [("EMAIL", d) for e in person.emails if (d := identifier_digest(NETWORK, "email", e))]
        phones = [("PHONE", d) for p in person.phones if (d := phone_digest(NETWORK, p))]
        found: list[tuple[str, ...]] = []
        found += [*dict.fromkeys(emails)][:MAX_ROWS_A_MEMBER]
        found += [*dict.fromkeys(phones)][:MAX_ROWS_A_MEMBER]
        if not found:
            return None
        for column, field, value in (
            ("FN", "first_name", person.given_name),
            ("LN", "last_name", person.family_name),
            ("ZIP", "zip", person.postal_code),
            ("COUNTRY", "country", person.region_code),
        ):
            if value and (digest := identifier_digest(NETWORK, field, value)):
                found.append((column, digest))
        return Member(person.profile_no, tuple(found))

    def member_rows(self, member: Member) -> int:
        columns = [identifier[0] for identifier in member.identifiers]
        return max(columns.count("EMAIL"), columns.count("PHONE"), 1)

    def audience_ensure(self, client: DestinationClient, key: str, title: str) -> str:
        version, account = client.account.settings["api_version"], client.account.settings["ad_account_id"]
        mark = f"Kept equal to an audience of the audience service ({key})"
        after = ""
        while True:
            query = {"fields": "id,name,description", "limit": "200"} | ({"after": after} if after else {})
            answer = self._send(client, "GET", f"{version}/act_{account}/customaudiences", query=query)
            if answer.status >= 400:
                raise refusal(answer)
            for audience in answer.body.get("data", []):
                if audience.get("description") == mark:
                    return str(audience["id"])
            paging = answer.body.get("paging") or {}
            after = (paging.get("cursors") or {}).get("after", "") if paging.get("next") else ""
            if not after:
                break
        body = {"name": title, "subtype": "CUSTOM", "description": mark, "customer_file_source": "USER_PROVIDED_ONLY"}
        answer = self._send(client, "POST", f"{version}/act_{account}/customaudiences", body)
        if answer.status >= 400:
            raise refusal(answer)
        return str(answer.body["id"])

    def batch_push(self, client: DestinationClient, batch: BatchRequest) -> BatchOutcome:
        method = "POST" if batch.operation == "add" else "DELETE"
        path = f"{client.account.settings['api_version']}/{batch.external_id}/users"
        answer = self._send(client, method, path, batch_body(batch))
        if answer.status >= 400 or "error" in answer.body:
            raise refusal(answer)
        invalid = int(answer.body.get("num_invalid_entries", 0))
        return BatchOutcome(
            "processed",
            request_ref=str(answer.body.get("session_id", "")),
            received=int(answer.body.get("num_received", 0)),
            rejections=(Rejection("invalid_entry", invalid),) if invalid else (),
        )

    def batch_poll(self, client: DestinationClient, request_ref: str) -> BatchOutcome:
        """Meta answers at once; there is nothing to poll."""
        return BatchOutcome("processed", request_ref)

    def _send(
        self,
        client: DestinationClient,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        token = client.account.secrets["access_token"]
        client.bearer = token
        if secret := client.account.secrets.get("app_secret"):
            proof = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
            if body is None:
                query = dict(query or {}) | {"appsecret_proof": proof}
            else:
                body = body | {"appsecret_proof": proof}
        return client.send(method, path, body, query=query)


def batch_body(batch: BatchRequest) -> dict[str, Any]:
    """Payload and session. Every row is built from the one schema, so that all have its width (error 2650 otherwise)."""
    present = {identifier[0] for member in batch.members for identifier in member.identifiers}
    schema = [column for column in SCHEMA_ORDER if column in present]
    return {
        "payload": {
            "schema": schema,
            "data": [row for member in batch.members for row in member_table(member, schema)],
        },
        "session": {
            "session_id": batch.session_no,
            "batch_seq": batch.batch_seq,
            "last_batch_flag": batch.is_last,
            "estimated_num_total": batch.total_rows,
        },
    }


def member_table(member: Member, schema: Sequence[str]) -> list[list[str]]:
    """One row, or several for a person with several addresses; empty cells where a column has no (further) value."""
    values: dict[str, list[str]] = {}
    for column, value in member.identifiers:
        values.setdefault(column, []).append(value)
    height = max(len(values.get("EMAIL", ())), len(values.get("PHONE", ())), 1)
    return [
        [
            cells[row]
            if row < len(cells := values.get(column, []))
            else (cells[0] if cells and column not in {"EMAIL", "PHONE"} else "")
            for column in schema
        ]
        for row in range(height)
    ]


def refusal(answer: Answer) -> Exception:
    """The family of an error answer. Meta's own sentence is not repeated: it may quote what was sent."""
    error = answer.body.get("error")
    if not isinstance(error, dict):
        return status_error(answer) or NeedsHumanError(f"Meta refuses the call (HTTP {answer.status}).", code="refused")
    code, subcode = int(error.get("code", 0)), int(error.get("error_subcode", 0) or 0)
    why = f"code {code}" + (f"/{subcode}" if subcode else "")
    if code in THROTTLE_CODES or 80000 <= code < 80015 or answer.status == 429:
        wait = retry_after_seconds(answer.headers)
        return RetryableError(
            f"Meta asks to wait ({why})", retry_after_seconds=regain_seconds(answer) if wait is None else wait
        )
    if code in RETRY_CODES or error.get("is_transient"):
        return OutcomeUnknownError(f"Meta failed for the moment ({why})")
    if subcode == FLAGGED_SUBCODE:
        return NeedsHumanError(
            "Meta flags this audience as one about health or finances. Rename it or use another segment.",
            code="flagged",
        )
    if code in AUTH_CODES:
        return NeedsHumanError(f"Meta refuses the token ({why}). Enter a new one.", code="auth")
    if code in ROW_CODES:
        return BatchRejectedError(f"Meta refused the batch ({why})", code=f"meta_{code}")
    if code in HUMAN_CODES:
        return NeedsHumanError(
            f"Meta refuses this account or audience ({why}). Look at permissions and terms.", code=f"meta_{code}"
        )
    return status_error(answer, why) or NeedsHumanError(f"Meta refuses the call ({why}).", code=f"meta_{code}")


def regain_seconds(answer: Answer) -> float | None:
    """``estimated_time_to_regain_access`` (minutes) of the usage header, the longest of all."""
    try:
        usage = msgspec.json.decode(answer.headers.get(USAGE_HEADER, ""), type=dict[str, list[dict[str, Any]]])
    except msgspec.DecodeError:
        return None
    minutes = [
        float(entry.get("estimated_time_to_regain_access", 0)) for entries in usage.values() for entry in entries
    ]
    return max(minutes) * 60 if minutes and max(minutes) > 0 else None


DESTINATION: Destination = MetaCustomAudiences()
