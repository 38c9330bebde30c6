"""What the Data Manager API refuses, and in which words."""

import re
from typing import Any

import msgspec

from segments.sandbox.google_messages import CONSENTS, Address, Consent, RemoveRequest, UserIdentifier
from segments.sandbox.lists import Row
from segments.sandbox.replies import Refused, Reply

MAX_MEMBERS = 10_000
MAX_IDENTIFIERS = 10
DIGEST = re.compile(r"[0-9a-f]{64}")


def checked_rows(request: RemoveRequest) -> list[Row]:
    """The digests of every member. Raises Refused naming the rows, as Google does."""
    members = request.audience_members
    if not members:
        raise refused(400, "INVALID_ARGUMENT", "audience_members: at least one.", reason="REQUIRED_FIELD_MISSING")
    if len(members) > MAX_MEMBERS:
        raise refused(400, "INVALID_ARGUMENT", "Too many members.", reason="TOO_MANY_AUDIENCE_MEMBERS")
    rows: list[Row] = []
    bad: list[tuple[str, str]] = []
    for position, member in enumerate(members):
        path = f"audience_members[{position}]"
        data = member.composite_data.user_data if member.composite_data else member.user_data
        if data is None or (member.composite_data and member.user_data):
            bad.append((path, "INVALID_AUDIENCE_MEMBER"))
            continue
        if not 1 <= len(data.user_identifiers) <= MAX_IDENTIFIERS:
            bad.append((path, "NO_IDENTIFIERS_PROVIDED" if not data.user_identifiers else "TOO_MANY_USER_IDENTIFIERS"))
            continue
        row = []
        for number, identifier in enumerate(data.user_identifiers):
            digest, reason = identifier_key(identifier)
            if digest is None:
                bad.append((f"{path}.composite_data.user_data.user_identifiers[{number}]", reason))
            else:
                row.append(digest)
        rows.append(tuple(dict.fromkeys(row)))
    if bad:
        raise refused(
            400, "INVALID_ARGUMENT", "There was a problem with the request.", reason=bad[0][1], violations=bad
        )
    return rows


def identifier_key(identifier: UserIdentifier) -> tuple[bytes | None, str]:
    """The digest by which a member is known, or the reason for refusing it. An address is known by all of its parts."""
    given = [v for v in (identifier.email_address, identifier.phone_number, identifier.address) if v]
    if len(given) != 1:
        return None, "INVALID_AUDIENCE_MEMBER"
    if not isinstance(given[0], Address):
        return (bytes.fromhex(given[0]), "") if DIGEST.fullmatch(given[0]) else (None, "INVALID_SHA256_FORMAT")
    address = given[0]
    if not DIGEST.fullmatch(address.given_name) or not DIGEST.fullmatch(address.family_name):
        return None, "INVALID_SHA256_FORMAT"
    if not re.fullmatch(r"[A-Z]{2}", address.region_code):
        return None, "INVALID_COUNTRY_CODE"
    if not 1 <= len(address.postal_code) <= 16:
        return None, "INVALID_POSTAL_CODE"
    mixed = bytes(
        a ^ b for a, b in zip(bytes.fromhex(address.given_name), bytes.fromhex(address.family_name), strict=True)
    )
    return mixed[:24] + (address.region_code + address.postal_code).encode()[:8].ljust(8), ""


def is_denied(consent: Consent | None) -> bool:
    return consent is not None and "CONSENT_DENIED" in {
        enum_name(consent.ad_user_data, CONSENTS, "consent"),
        enum_name(consent.ad_personalization, CONSENTS, "consent"),
    }


def enum_name(value: str | int, names: tuple[str, ...], path: str) -> str:
    """Names and numbers are both taken, as by the real API (the SDK sends numbers)."""
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    if value in names:
        return str(value)
    raise refused(400, "INVALID_ARGUMENT", f"Invalid value at '{path}'.", reason="INVALID_ENUM_VALUE")


def decoded[T](decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise refused(400, "INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from None


def error_reply(
    code: int,
    status: str,
    message: str,
    *,
    reason: str = "",
    violations: list[tuple[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    details: list[dict[str, Any]] = []
    if reason:
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "datamanager.googleapis.com",
            }
        )
    if violations:
        fields = [{"field": field, "description": "Invalid.", "reason": why} for field, why in violations]
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields})
    error = {"code": code, "message": message, "status": status} | ({"details": details} if details else {})
    return Reply(code, {"error": error}, headers or {})


def refused(
    code: int, status: str, message: str, *, reason: str = "", violations: list[tuple[str, str]] | None = None
) -> Refused:
    return Refused(error_reply(code, status, message, reason=reason, violations=violations))
