"""No personal data in a log line, whatever code hands over by mistake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.logs import PLACEHOLDER, redact, redact_text


@pytest.mark.parametrize(
    "text",
    [
        "ana.garcia@example.com",
        "+34 600 123 456",
        "+1 (212) 555-0100",
        "b" * 64,
        "Bearer cdp_0123456789ab_secretsecret",
        "Basic dXNlcjpwYXNz",
    ],
)
def test_personal_data_is_blanked(text: str) -> None:
    assert redact_text(f"before {text} after") == f"before {PLACEHOLDER} after"


@pytest.mark.parametrize(
    "text",
    [
        "profile 1234567",
        "018f3c2e-7b1a-7c3d-9e4f-0a1b2c3d4e5f",
        "took 12.345 s",
        "2026-11-23T19:02:07.641Z",
        "rows 69659",
    ],
)
def test_ids_counts_and_times_stay(text: str) -> None:
    assert redact_text(text) == text


@given(st.emails())
def test_no_address_passes(address: str) -> None:
    local, _, domain = address.rpartition("@")
    if domain.rpartition(".")[2].isalpha() and local.replace(".", "").isalnum() and local.isascii():
        assert address not in redact_text(f"lost {address}, sorry")


def test_sensitive_keys_are_blanked_whatever_they_hold() -> None:
    event = redact(None, "info", {"event": "saved", "email": 7, "Traits": {"a": 1}, "profile_no": 5})
    assert event == {"event": "saved", "email": PLACEHOLDER, "Traits": PLACEHOLDER, "profile_no": 5}


def test_lists_mappings_and_exceptions_are_looked_into() -> None:
    address, given = "ana.garcia@example.com", ValueError("ana.garcia@example.com")
    event = redact(
        None,
        "info",
        {"event": "x", "rows": [address, 3], "by": {"email": 1, "n": (address,)}, "error": given, "_own": given},
    )
    assert event == {
        "event": "x",
        "rows": [PLACEHOLDER, 3],
        "by": {"email": PLACEHOLDER, "n": [PLACEHOLDER]},
        "error": f"ValueError('{PLACEHOLDER}')",
        "_own": given,
    }


def test_keys_are_judged_by_their_ending_too() -> None:
    event = redact(None, "info", {"event": "x", "access_token": "a", "identifier_value": "42", "batch_key": "b-1"})
    assert event == {"event": "x", "access_token": PLACEHOLDER, "identifier_value": PLACEHOLDER, "batch_key": "b-1"}


def test_a_row_that_postgresql_quotes_is_blanked() -> None:
    text = 'duplicate key value violates "one"\nDETAIL:  Key (user_id)=(42) already exists.\nCONTEXT: COPY'
    assert redact_text(text) == f'duplicate key value violates "one"\nDETAIL: {PLACEHOLDER}\nCONTEXT: COPY'


def test_the_path_of_a_failed_request_is_left_out() -> None:
    event = redact(
        None, "error", {"event": "Internal Server Error: /api/v1/profiles/user_id:42", "logger": "django.request"}
    )
    assert event["event"] == "Internal Server Error"
