"""The Data Manager API as the sandbox speaks it: strict bodies, request ids, statuses that come later, user lists.

Field names, limits and error shapes follow the protos of google-ads-datamanager 0.9.4.
"""

import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from segments.sandbox.faults import Fault, Faults
from segments.sandbox.google_checks import checked_rows, decoded, enum_name, error_reply, is_denied, refused
from segments.sandbox.google_messages import (
    ACCOUNT_TYPES,
    ENCODINGS,
    TERMS,
    IngestRequest,
    RemoveRequest,
    UserList,
)
from segments.sandbox.lists import Book, Operation
from segments.sandbox.replies import Refused, Reply

NETWORK = "google"
PROCESSING_SECONDS = 0.5


class GoogleSandbox:
    """Routes of ``/google``."""

    def __init__(self, book: Book, faults: Faults) -> None:
        self.book = book
        self.faults = faults
        self._decoders: dict[Operation, msgspec.json.Decoder[RemoveRequest]] = {
            "add": msgspec.json.Decoder(IngestRequest),
            "remove": msgspec.json.Decoder(RemoveRequest),
        }

    def answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        try:
            return self._route(method, path, query, headers, body)
        except Refused as refused:
            return refused.reply

    def _route(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        if (method, path) == ("POST", "/token"):
            fault = self.faults.next(NETWORK, "token")
            if fault:
                return Reply(400, {"error": "invalid_grant"})
            return Reply(200, {"access_token": f"sandbox-{time.time_ns()}", "expires_in": 3600, "token_type": "Bearer"})
        if not headers.get("authorization", "").startswith("Bearer ") or len(headers["authorization"]) < 10:
            raise refused(401, "UNAUTHENTICATED", "Request is missing required authentication credential.")
        match method, path:
            case "POST", "/v1/audienceMembers:ingest":
                return self._members("add", body)
            case "POST", "/v1/audienceMembers:remove":
                return self._members("remove", body)
            case "GET", "/v1/requestStatus:retrieve":
                return self._status(query.get("requestId", ""))
        if match := re.fullmatch(r"/v1/accountTypes/([A-Z_]+)/accounts/(\d+)/userLists", path):
            account = f"{match[1]}/{match[2]}"
            return self._list_create(account, body) if method == "POST" else self._lists(account)
        raise refused(404, "NOT_FOUND", "Requested entity was not found.")

    def _members(self, operation: Operation, body: bytes) -> Reply:
        request = decoded(self._decoders[operation], body)
        list_id = self._check_head(request)
        rows = checked_rows(request)
        fault = self.faults.next(NETWORK, operation, (d.hex() for row in rows for d in row))
        early = fault_reply(fault)
        if early:
            return early
        if request.validate_only:
            return Reply(200, {"requestId": ""})
        denied = (
            [i for i, m in enumerate(request.audience_members) if is_denied(m.consent)] if operation == "add" else []
        )
        errors = {"PROCESSING_ERROR_REASON_DENIED_CONSENT": len(denied)} if denied else {}
        left_out = set(denied)
        status, delay = "SUCCESS", PROCESSING_SECONDS
        if fault and fault.kind == "partial":
            refused_rows = [i for i in range(len(rows)) if i not in left_out][: fault.count]
            left_out |= set(refused_rows)
            errors[fault.code or "PROCESSING_ERROR_REASON_INVALID_FORMAT"] = len(refused_rows)
        if fault and fault.kind == "failed":
            left_out, status = set(range(len(rows))), "FAILED"
            errors = {fault.code or "PROCESSING_ERROR_REASON_INTERNAL_ERROR": len(rows)}
        elif errors:
            status = "PARTIAL_SUCCESS"
        if fault and fault.kind in {"delay", "late_apply"}:
            delay = fault.seconds
        kept = [row for i, row in enumerate(rows) if i not in left_out]
        ref = self.book.operate(
            NETWORK, list_id, operation, kept, received=len(rows), delay_seconds=delay, status=status, errors=errors
        )
        if fault and fault.kind in {"timeout_after_apply", "late_apply"}:
            return Reply(is_silent=True, hold_seconds=fault.seconds)
        return Reply(200, {"requestId": ref}, hold_seconds=fault.seconds if fault and fault.kind == "slow" else 0.0)

    def _check_head(self, request: RemoveRequest) -> str:
        if not request.destinations:
            raise refused(
                400, "INVALID_ARGUMENT", "destinations: at least one is required.", reason="REQUIRED_FIELD_MISSING"
            )
        if len(request.destinations) > 1:
            raise refused(
                400, "INVALID_ARGUMENT", "The sandbox takes one destination a request.", reason="TOO_MANY_DESTINATIONS"
            )
        destination = request.destinations[0]
        kind = enum_name(
            destination.operating_account.account_type, ACCOUNT_TYPES, "destinations[0].operating_account.account_type"
        )
        account = f"{kind}/{destination.operating_account.account_id}"
        if self.book.list_account(NETWORK, destination.product_destination_id) != account:
            raise refused(400, "INVALID_ARGUMENT", "The user list does not exist.", reason="INVALID_USER_LIST_ID")
        if enum_name(request.encoding, ENCODINGS, "encoding") != "HEX":
            raise refused(
                400, "INVALID_ARGUMENT", "encoding: HEX is what is sent here.", reason="REQUIRED_FIELD_MISSING"
            )
        if isinstance(request, IngestRequest):
            terms = request.terms_of_service.customer_match_terms_of_service_status if request.terms_of_service else 0
            if enum_name(terms, TERMS, "terms_of_service") != "ACCEPTED":
                raise refused(
                    400, "FAILED_PRECONDITION", "Terms are not accepted.", reason="TERMS_AND_CONDITIONS_NOT_SIGNED"
                )
        return destination.product_destination_id

    def _status(self, request_id: str) -> Reply:
        fault = self.faults.next(NETWORK, "status")
        if early := fault_reply(fault):
            return early
        self.book.settle()
        line = self.book.operation(request_id)
        if line is None:
            raise refused(400, "INVALID_ARGUMENT", "No such request.", reason="INVALID_REQUEST_ID")
        kept = line.received - sum(line.errors.values())
        done = line.due <= time.time()
        side = "audienceMembersIngestionStatus" if line.operation == "add" else "audienceMembersRemovalStatus"
        part = "compositeDataIngestionStatus" if line.operation == "add" else "compositeDataRemovalStatus"
        status: dict[str, Any] = {
            "destination": {"productDestinationId": line.list_id},
            "requestStatus": line.status if done else "PROCESSING",
        }
        if done:
            status[side] = {part: {"recordCount": str(kept)}}
            if line.errors:
                counts = [{"recordCount": str(count), "reason": reason} for reason, count in line.errors.items()]
                status["errorInfo"] = {"errorCounts": counts}
        return Reply(200, {"requestStatusPerDestination": [status]})

    def _list_create(self, account: str, body: bytes) -> Reply:
        if early := fault_reply(self.faults.next(NETWORK, "create")):
            return early
        wanted = decoded(msgspec.json.Decoder(UserList), body)
        if any(line.title == wanted.display_name for line in self.book.lists_of(NETWORK, account)):
            raise refused(409, "ALREADY_EXISTS", "The name is in use.", reason="DISPLAY_NAME_ALREADY_USED")
        if wanted.membership_duration and int(wanted.membership_duration.rstrip("s")) > 540 * 86_400:
            raise refused(400, "INVALID_ARGUMENT", "540 days at most.", reason="MEMBERSHIP_DURATION_TOO_LONG")
        list_id = self.book.list_make(NETWORK, account, wanted.display_name, wanted.integration_code)
        return Reply(200, self._list_body(account, list_id, wanted.display_name, wanted.integration_code))

    def _lists(self, account: str) -> Reply:
        lists = [
            self._list_body(account, line.list_id, line.title, line.key)
            for line in self.book.lists_of(NETWORK, account)
        ]
        return Reply(200, {"userLists": lists})

    def _list_body(self, account: str, list_id: str, title: str, key: str) -> dict[str, Any]:
        kind, number = account.split("/")
        return {
            "name": f"accountTypes/{kind}/accounts/{number}/userLists/{list_id}",
            "id": list_id,
            "displayName": title,
            "integrationCode": key,
        }


def fault_reply(fault: Fault | None) -> Reply | None:
    """The faults that answer before anything is applied."""
    match fault.kind if fault else "":
        case "429":
            assert fault  # noqa: S101 - narrowed by the match
            return error_reply(
                429, "RESOURCE_EXHAUSTED", "Quota exceeded.", headers={"Retry-After": f"{fault.retry_after:g}"}
            )
        case "500":
            return error_reply(500, "INTERNAL", "Internal error encountered.")
        case "auth":
            return error_reply(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        case "reject_digest":
            return error_reply(400, "INVALID_ARGUMENT", "There was a problem with the request.")
        case "drop":
            return Reply(is_silent=True)
        case _:
            return None
