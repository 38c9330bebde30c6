"""What the Data Manager API answers, in our words: outcomes and the three families of errors.

Google's own sentences are not repeated: they may quote what was sent.
"""

import re
from collections.abc import Mapping
from typing import Any

from cdp.core.errors import NeedsHumanError, RetryableError
from segments.destinations.contract import BatchOutcome, BatchRejectedError, OutcomeUnknownError, Rejection
from segments.destinations.http import Answer, retry_after_seconds, status_error

WAIT = {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "ABORTED"}
UNKNOWN = {"INTERNAL", "INTERNAL_ERROR", "UNKNOWN"}
ROW_REASONS = {
    "INVALID_ARGUMENT", "REQUIRED_FIELD_MISSING", "INVALID_FORMAT", "INVALID_HEX_ENCODING", "INVALID_SHA256_FORMAT",
    "INVALID_POSTAL_CODE", "INVALID_COUNTRY_CODE", "INVALID_REGION_CODE", "INVALID_AUDIENCE_MEMBER",
    "TOO_MANY_USER_IDENTIFIERS", "TOO_MANY_AUDIENCE_MEMBERS", "NO_IDENTIFIERS_PROVIDED", "FIELD_VALUE_TOO_LONG", "FIELD_VALUE_TOO_SHORT",
}  # fmt: skip
FAILED_FOR_NOW = {"PROCESSING_ERROR_REASON_INTERNAL_ERROR", "PROCESSING_ERROR_REASON_UNSPECIFIED"}
MEMBER_PATH = re.compile(r"audience_?[mM]embers(?:\[|\.)(\d+)")


def status_outcome(status: Mapping[str, Any], request_ref: str) -> BatchOutcome:
    """One ``RequestStatusPerDestination`` as an outcome. Google counts errors by reason and names no rows."""
    counts = (status.get("errorInfo") or {}).get("errorCounts", [])
    rejections = tuple(
        Rejection(
            str(c.get("reason", "")).removeprefix("PROCESSING_ERROR_REASON_").lower(), int(c.get("recordCount", 0))
        )
        for c in counts
    )
    match status.get("requestStatus"):
        case "SUCCESS":
            return BatchOutcome("processed", request_ref)
        case "PARTIAL_SUCCESS":
            return BatchOutcome("processed", request_ref, rejections=rejections)
        case "FAILED":
            reasons = {str(c.get("reason", "")) for c in counts}
            if not reasons or reasons & FAILED_FOR_NOW:
                raise OutcomeUnknownError("Google accepted the batch and then failed to process it")
            return BatchOutcome("failed", request_ref, rejections=rejections, code=rejections[0].code)
        case _:
            return BatchOutcome("accepted", request_ref)


def reasons_of(answer: Answer) -> set[str]:
    """The error's status and the reasons of its details."""
    error = answer.body.get("error") or {}
    details = [d for d in error.get("details", []) if isinstance(d, dict)]
    return {str(error.get("status", ""))} | {str(d["reason"]) for d in details if "reason" in d}


def refusal(answer: Answer) -> Exception:
    """The family of an error answer. Google's own sentence is not repeated: it may quote what was sent."""
    reasons = reasons_of(answer)
    code = next(iter(sorted(reasons - {"", "INVALID_ARGUMENT"})), "INVALID_ARGUMENT" if reasons else "")
    wait = retry_after_seconds(answer.headers) or retry_delay(answer)
    if reasons & WAIT or answer.status == 429:
        return RetryableError(f"Google asks to wait ({code})", retry_after_seconds=wait)
    if reasons & UNKNOWN or (answer.status >= 500 and answer.status != 501):
        return OutcomeUnknownError(f"Google failed ({code or answer.status})", retry_after_seconds=wait)
    if answer.status == 400 and reasons & ROW_REASONS and reasons <= ROW_REASONS | {""}:
        positions = sorted({int(n) for path in violation_paths(answer) for n in MEMBER_PATH.findall(path)})
        return BatchRejectedError("Google refused rows of the batch", code=code.lower(), positions=positions)
    return status_error(answer, code) or NeedsHumanError(
        f"Google refuses this account or list ({code or answer.status}). Look at the settings.",
        code=code.lower() or "refused",
    )


def violation_paths(answer: Answer) -> list[str]:
    details = (answer.body.get("error") or {}).get("details", [])
    return [
        str(violation.get("field", ""))
        for detail in details
        if isinstance(detail, dict)
        for violation in detail.get("fieldViolations", [])
    ]


def retry_delay(answer: Answer) -> float | None:
    """``google.rpc.RetryInfo.retryDelay``, e.g. ``30s``."""
    for detail in (answer.body.get("error") or {}).get("details", []):
        delay = str(detail.get("retryDelay", "")) if isinstance(detail, dict) else ""
        if re.fullmatch(r"\d+(?:\.\d+)?s", delay):
            return float(delay[:-1])
    return None
