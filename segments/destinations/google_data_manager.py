"""Google Customer Match through the Data Manager API v1 (the Google Ads API takes no new users for this since 2026-04).

``audienceMembers:ingest`` and ``:remove`` accept a batch and answer with a request id; what became of it is polled. Consent is
sent with every member; a person without consent is never sent, since a refusal is a removal, not an add with DENIED.
Source: package google-ads-datamanager 0.9.4 (its protos judge these bodies in the tests) and the pages of 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from cdp.core.errors import NeedsHumanError, Problem
from segments.destinations.contract import (
    Account,
    BatchOutcome,
    BatchRequest,
    Capabilities,
    Destination,
    Member,
    Person,
    SandboxAccount,
    SecretSpec,
    SettingSpec,
)
from segments.destinations.google_answers import reasons_of, refusal, status_outcome
from segments.destinations.google_token import access_token
from segments.destinations.hashing import identifier_digest, phone_digest
from segments.destinations.http import Answer, DestinationClient

NETWORK = "google_data_manager"
SCOPE = "https://www.googleapis.com/auth/datamanager"
MAX_IDENTIFIERS = 10
SECONDS_A_DAY = 86_400
NAME_TAKEN = {"ALREADY_EXISTS", "DISPLAY_NAME_ALREADY_USED"}
CONSENT_STATES = {True: "CONSENT_GRANTED", False: "CONSENT_STATUS_UNSPECIFIED"}


class GoogleDataManager:
    """Lists are ``userLists`` of the operating account; ``external_id`` is the list's number."""

    slug = "google_data_manager"
    title = "Google Customer Match"
    default_base_url = "https://datamanager.googleapis.com"
    capabilities = Capabilities(
        identifier_types=("email", "phone"),
        hashed_fields=("email", "phone", "given_name", "family_name"),
        plain_fields=("region_code", "postal_code"),
        max_batch_rows=10_000,
        answers_later=True,
        minimum_size=100,
        max_age_days=540,
        consent_fields=("adUserData", "adPersonalization"),
        settings=(
            SettingSpec("account_id", "Account id", r"\d{4,20}", is_required=True, help="Digits only, without hyphens."),
            SettingSpec(
                "account_type", "Account type", default="GOOGLE_ADS",
                choices=("GOOGLE_ADS", "DISPLAY_VIDEO_PARTNER", "DISPLAY_VIDEO_ADVERTISER"),
            ),
            SettingSpec("login_account_id", "Manager account id", r"\d{4,20}", help="Digits only; when a manager account signs in."),
            SettingSpec("membership_days", "Days on the list", r"[1-9]\d{0,2}", default="540", help="1 to 540."),
            SettingSpec(
                "ad_user_data_purpose", "Purpose behind ad user data", r"[a-z_]+", default="advertising", is_purpose=True,
            ),
            SettingSpec(
                "ad_personalization_purpose", "Purpose behind ad personalisation", r"[a-z_]+", default="advertising", is_purpose=True,
            ),
            SettingSpec("send_address", "Match by name and postal code too", default="no", choices=("no", "yes")),
            SettingSpec("token_uri", "Token address", r"https?://\S+", default="https://oauth2.googleapis.com/token"),
        ),
        secrets=(
            SecretSpec("service_account", "Service account key", "The JSON file that Google gives out."),
            SecretSpec("access_token", "Access token", "For tests; it expires."),
        ),
        secrets_needed=(("service_account",), ("access_token",)),
    )  # fmt: skip

    sandbox = SandboxAccount("google", {"account_id": "1234567890"}, {"access_token": "sandbox-token"})

    def account_check(self, account: Account) -> list[Problem]:
        days = account.settings.get("membership_days", "540")
        if days.isdigit() and int(days) > 540:
            return [
                Problem(
                    "settings.membership_days", "range", "Google keeps people for 540 days at most. Enter 1 to 540."
                )
            ]
        return []

    def member_build(self, person: Person) -> Member | None:
        found: list[tuple[str, ...]] = []
        for email in person.emails:
            if digest := identifier_digest(NETWORK, "email", email):
                found.append(("emailAddress", digest))
        for phone in person.phones:
            if digest := phone_digest(NETWORK, phone):
                found.append(("phoneNumber", digest))
        if not found:
            return None
        if person.given_name and person.family_name and person.region_code and person.postal_code:
            parts = [
                identifier_digest(NETWORK, field, value)
                for field, value in (
                    ("given_name", person.given_name),
                    ("family_name", person.family_name),
                    ("region_code", person.region_code),
                    ("postal_code", person.postal_code),
                )
            ]
            if all(parts):
                found.insert(MAX_IDENTIFIERS - 1, ("address", *(part for part in parts if part)))
        return Member(person.profile_no, tuple(dict.fromkeys(found))[:MAX_IDENTIFIERS])

    def member_rows(self, member: Member) -> int:
        return 1

    def audience_ensure(self, client: DestinationClient, key: str, title: str) -> str:
        days = int(client.account.settings["membership_days"])
        answer = self._send(
            client,
            "POST",
            f"v1/{self._parent(client.account)}/userLists",
            {
                "displayName": title,
                "description": "Kept equal to an audience of the audience service",
                "membershipStatus": "OPEN",
                "membershipDuration": f"{days * SECONDS_A_DAY}s",
                "integrationCode": key,
                "ingestedUserListInfo": {
                    "uploadKeyTypes": ["CONTACT_ID"],
                    "contactIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"},
                },
            },
        )
        if answer.status < 400:
            return str(answer.body["id"])
        if reasons_of(answer) & NAME_TAKEN:
            return self._list_find(client, key, title)
        raise refusal(answer)

    def batch_push(self, client: DestinationClient, batch: BatchRequest) -> BatchOutcome:
        verb = "ingest" if batch.operation == "add" else "remove"
        answer = self._send(client, "POST", f"v1/audienceMembers:{verb}", batch_body(client.account.settings, batch))
        if answer.status >= 400:
            raise refusal(answer)
        return BatchOutcome("accepted", request_ref=str(answer.body.get("requestId", "")), received=len(batch.members))

    def batch_poll(self, client: DestinationClient, request_ref: str) -> BatchOutcome:
        answer = self._send(client, "GET", "v1/requestStatus:retrieve", query={"requestId": request_ref})
        if answer.status >= 400:
            raise refusal(answer)
        per_destination = answer.body.get("requestStatusPerDestination") or [{}]
        return status_outcome(per_destination[0], request_ref)

    def _send(
        self,
        client: DestinationClient,
        method: str,
        path: str,
        body: object | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send with a token; one refresh when the token has run out."""
        is_fresh = self._authorise(client)
        answer = client.send(method, path, body, query=query)
        if answer.status == 401 and not is_fresh and client.account.secrets.get("service_account"):
            client.bearer = None
            self._authorise(client)
            answer = client.send(method, path, body, query=query)
        return answer

    def _authorise(self, client: DestinationClient) -> bool:
        if client.bearer:
            return False
        account = client.account
        if key := account.secrets.get("service_account"):
            client.bearer = access_token(key, scope=SCOPE, token_uri=account.settings["token_uri"])
        else:
            client.bearer = account.secrets["access_token"]
        return True

    def _parent(self, account: Account) -> str:
        return f"accountTypes/{account.settings['account_type']}/accounts/{account.settings['account_id']}"

    def _list_find(self, client: DestinationClient, key: str, title: str) -> str:
        """The list that an earlier, unanswered creation made; found by our key."""
        page = ""
        while True:
            query = {"pageSize": "1000"} | ({"pageToken": page} if page else {})
            answer = self._send(client, "GET", f"v1/{self._parent(client.account)}/userLists", query=query)
            if answer.status >= 400:
                raise refusal(answer)
            for user_list in answer.body.get("userLists", []):
                if user_list.get("integrationCode") == key:
                    return str(user_list["id"])
            page = answer.body.get("nextPageToken", "")
            if not page:
                raise NeedsHumanError(
                    f"Google has another list called {title!r}. Rename one of them, or enter that list's id.",
                    code="name_taken",
                )


def batch_body(settings: Mapping[str, str], batch: BatchRequest) -> dict[str, Any]:
    """The JSON of ``IngestAudienceMembersRequest`` or ``RemoveAudienceMembersRequest``."""
    operating = {"accountType": settings["account_type"], "accountId": settings["account_id"]}
    destination: dict[str, Any] = {"operatingAccount": operating, "productDestinationId": batch.external_id}
    if login := settings.get("login_account_id"):
        destination["loginAccount"] = {"accountType": settings["account_type"], "accountId": login}
    body: dict[str, Any] = {"destinations": [destination], "encoding": "HEX"}
    members: list[dict[str, Any]] = [
        {"compositeData": {"userData": {"userIdentifiers": user_identifiers(m)}}} for m in batch.members
    ]
    if batch.operation == "add":
        consent = {
            "adUserData": CONSENT_STATES[settings["ad_user_data_purpose"] in batch.granted],
            "adPersonalization": CONSENT_STATES[settings["ad_personalization_purpose"] in batch.granted],
        }
        members = [{"consent": consent} | member for member in members]
        body["termsOfService"] = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
    return body | {"audienceMembers": members}


def user_identifiers(member: Member) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for identifier in member.identifiers:
        match identifier:
            case ("address", given, family, region, postal):
                out.append(
                    {"address": {"givenName": given, "familyName": family, "regionCode": region, "postalCode": postal}}
                )
            case (name, value):
                out.append({name: value})
            case _:
                raise ValueError("a stored identifier of this destination has an unknown shape")
    return out


DESTINATION: Destination = GoogleDataManager()
