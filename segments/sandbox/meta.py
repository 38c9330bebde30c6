"""The Graph API's custom audiences as the sandbox speaks them: one schema a call, rows of its width, sessions, error codes."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from segments.sandbox.faults import Fault, Faults
from segments.sandbox.lists import Book, Operation, Row
from segments.sandbox.replies import Refused, Reply

NETWORK = "meta"
MAX_ROWS = 10_000
DIGEST = re.compile(r"[0-9a-f]{64}")
HASHED = {"EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "FI", "CT", "ST", "ZIP", "COUNTRY"}
PLAIN = {"EXTERN_ID", "MADID", "LOOKALIKE_VALUE", "DATA_PROCESSING_OPTIONS"}
KEYS = ("EMAIL", "PHONE")
USAGE_HEADER = "X-Business-Use-Case-Usage"


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """Unknown names are refused with code 100."""


class Payload(Message):
    schema: list[str]
    data: list[list[Any]]


class Session(Message):
    session_id: int
    batch_seq: int
    last_batch_flag: bool
    estimated_num_total: int | None = None


class UsersRequest(Message):
    payload: Payload
    session: Session | None = None
    appsecret_proof: str = ""


class AudienceRequest(Message):
    name: str
    subtype: str
    customer_file_source: str
    description: str = ""
    appsecret_proof: str = ""
    retention_days: int | None = None


class MetaSandbox:
    """Routes of ``/meta``."""

    def __init__(self, book: Book, faults: Faults) -> None:
        self.book = book
        self.faults = faults
        self._users = msgspec.json.Decoder(UsersRequest)
        self._audience = msgspec.json.Decoder(AudienceRequest)

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
        if "access_token" in query:
            raise refused(100, "The sandbox takes the token in the Authorization header only.")
        if not headers.get("authorization", "").startswith("Bearer ") or len(headers["authorization"]) < 10:
            raise refused(190, "Invalid OAuth access token.", status=401, kind="OAuthException")
        if match := re.fullmatch(r"/v\d+\.\d+/act_(\d+)/customaudiences", path):
            return self._create(match[1], body) if method == "POST" else self._list(match[1])
        if (match := re.fullmatch(r"/v\d+\.\d+/(\d+)/users", path)) and method in {"POST", "DELETE"}:
            return self._members("add" if method == "POST" else "remove", match[1], body)
        raise refused(2500, "Unknown path components.", kind="OAuthException")

    def _members(self, operation: Operation, list_id: str, body: bytes) -> Reply:
        if self.book.list_account(NETWORK, list_id) is None:
            raise refused(100, "Object does not exist.", subcode=33)
        request = decoded(self._users, body)
        rows, invalid = checked_rows(request.payload)
        fault = self.faults.next(NETWORK, operation, (d.hex() for row in rows for d in row))
        if early := fault_reply(fault):
            return early
        if fault and fault.kind == "partial":
            invalid += len(rows[: fault.count])
            rows = rows[fault.count :]
        delay = fault.seconds if fault and fault.kind == "late_apply" else 0.0
        received = len(request.payload.data)
        self.book.operate(NETWORK, list_id, operation, rows, received=received, delay_seconds=delay)
        if fault and fault.kind in {"timeout_after_apply", "late_apply"}:
            return Reply(is_silent=True, hold_seconds=fault.seconds)
        answer = {
            "audience_id": list_id,
            "session_id": str(request.session.session_id if request.session else 0),
            "num_received": received,
            "num_invalid_entries": invalid,
            "invalid_entry_samples": {},
        }
        return Reply(
            200, answer, usage_header(0), hold_seconds=fault.seconds if fault and fault.kind == "slow" else 0.0
        )

    def _create(self, account: str, body: bytes) -> Reply:
        if early := fault_reply(self.faults.next(NETWORK, "create")):
            return early
        wanted = decoded(self._audience, body)
        if wanted.subtype != "CUSTOM" or wanted.customer_file_source not in {
            "USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED",
        }:  # fmt: skip
            raise refused(100, "Invalid parameter: subtype or customer_file_source.")
        return Reply(200, {"id": self.book.list_make(NETWORK, account, wanted.name, wanted.description)})

    def _list(self, account: str) -> Reply:
        lists = [{"id": x.list_id, "name": x.title, "description": x.key} for x in self.book.lists_of(NETWORK, account)]
        return Reply(200, {"data": lists, "paging": {}})


def checked_rows(payload: Payload) -> tuple[list[Row], int]:
    """Digests of the usable rows and how many rows are not usable. Raises Refused for what fails the whole call."""
    if not payload.schema or not set(payload.schema) <= HASHED | PLAIN:
        raise refused(100, "Invalid parameter: payload.schema.")
    if not 1 <= len(payload.data) <= MAX_ROWS:
        raise refused(100, f"Invalid parameter: 1 to {MAX_ROWS} rows.")
    width = len(payload.schema)
    if any(len(row) != width for row in payload.data):
        raise refused(2650, "Failed to update the custom audience: invalid data format.")
    hashed = [i for i, column in enumerate(payload.schema) if column in HASHED]
    keys = [i for i, column in enumerate(payload.schema) if column in KEYS]
    rows: list[Row] = []
    invalid = 0
    for row in payload.data:
        cells = [row[i] for i in hashed]
        if all(cell == "" or (isinstance(cell, str) and DIGEST.fullmatch(cell)) for cell in cells) and any(
            row[i] for i in keys
        ):
            rows.append(tuple(dict.fromkeys(bytes.fromhex(row[i]) for i in keys if row[i])))
        else:
            invalid += 1
    return rows, invalid


def decoded[T](decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise refused(100, f"Invalid parameter: {error}") from None


def usage_header(minutes: int) -> dict[str, str]:
    usage = {"1": [{"type": "custom_audience", "call_count": 1, "estimated_time_to_regain_access": minutes}]}
    return {USAGE_HEADER: msgspec.json.encode(usage).decode()}


def fault_reply(fault: Fault | None) -> Reply | None:
    """The faults that answer before anything is applied, in this network's words."""
    match fault.kind if fault else "":
        case "429":
            assert fault  # noqa: S101 - narrowed by the match
            reply = error_reply(int(fault.code or 613), "Calls to this api have exceeded the rate limit.", status=400)
            minutes = round(fault.retry_after / 60)
            wait = usage_header(minutes) | ({} if minutes else {"Retry-After": f"{fault.retry_after:g}"})
            return Reply(reply.status, reply.body, wait)
        case "500":
            return error_reply(2, "Service temporarily unavailable.", status=500, kind="OAuthException")
        case "auth":
            return error_reply(190, "Error validating access token.", status=401, kind="OAuthException", subcode=463)
        case "reject_digest":
            return error_reply(100, "Invalid parameter")
        case "drop":
            return Reply(is_silent=True)
        case _:
            return None


def error_reply(
    code: int, message: str, *, status: int = 400, kind: str = "GraphMethodException", subcode: int = 0
) -> Reply:
    error: dict[str, Any] = {"message": message, "type": kind, "code": code, "fbtrace_id": "sandbox"}
    if subcode:
        error["error_subcode"] = subcode
    return Reply(status, {"error": error})


def refused(
    code: int, message: str, *, status: int = 400, kind: str = "GraphMethodException", subcode: int = 0
) -> Refused:
    return Refused(error_reply(code, message, status=status, kind=kind, subcode=subcode))
