"""The vectors that the networks print decide what is hashed; plus properties that no vector shows."""

import base64
import hashlib
import json
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments.destinations.hashing import NETWORKS, identifier_digest, identifier_normalise

VECTORS = json.loads(
    (Path(__file__).parents[1] / "golden" / "vectors" / "identifiers.json").read_text(encoding="utf-8")
)
GATED = {"published", "published_norm", "connector_test", "reject", "trap"}


def region_of(row: dict[str, str]) -> str | None:
    code = row.get("default_country_code")
    return row.get("default_region") or (phonenumbers.region_code_for_country_code(int(code)) if code else None)


@pytest.mark.parametrize(
    "row", [r for r in VECTORS if r["status"] in GATED], ids=lambda r: f"{r['network']}-{r['field']}-{r['status']}"
)
def test_vector(row: dict[str, str]) -> None:
    got = identifier_normalise(row["network"], row["field"], row["input"], region=region_of(row))
    if row["status"] == "trap":
        assert got != row["normalized"]
        return
    assert got == row["normalized"]
    sent = identifier_digest(row["network"], row["field"], row["input"], region=region_of(row))
    if got is None:
        assert sent is None
    elif sent != got:
        assert sent in {row["sha256"], base64.b64encode(bytes.fromhex(row["sha256"])).decode()}


def test_every_network_of_the_vectors_has_rules() -> None:
    assert {r["network"] for r in VECTORS} == set(NETWORKS)


@pytest.mark.parametrize(
    ("network", "sent"),
    [
        ("google_data_manager", "janedoe@gmail.com"),
        ("meta", "jane.doe+news@gmail.com"),
        ("uid2_thetradedesk", "janedoe@gmail.com"),
        ("reddit", "janedoe@gmail.com"),
        ("amazon_ads", "jane.doenews@gmail.com"),
        ("openai_ads", "jane.doe+news@gmail.com"),
    ],
)
def test_one_address_has_a_form_per_network(network: str, sent: str) -> None:
    assert identifier_normalise(network, "email", " Jane.Doe+News@Gmail.com ") == sent


@pytest.mark.parametrize(
    ("network", "sent"),
    [("google_data_manager", "+442079460958"), ("meta", "442079460958"), ("uid2_thetradedesk", "+442079460958")],
)
@pytest.mark.parametrize("typed", ["+44 (0)20 7946 0958", "0044 20 7946 0958", "442079460958", "+442079460958"])
def test_one_phone_however_typed(network: str, sent: str, typed: str) -> None:
    assert identifier_normalise(network, "phone", typed) == sent


@pytest.mark.parametrize("value", ["", "   ", "+A BCD EFG", "n/a", "--", "12", "+999999999999999999"])
def test_no_phone(value: str) -> None:
    assert identifier_normalise("google_data_manager", "phone", value) is None
    assert identifier_normalise("meta", "phone", value) is None


def test_a_letter_of_another_script_survives_a_name() -> None:
    assert identifier_normalise("meta", "first_name", "Müller-Lüdenscheidt") == "müllerlüdenscheidt"


def test_not_hashed_where_the_network_says_so() -> None:
    assert identifier_digest("google_data_manager", "region_code", " us ") == "US"
    assert (
        identifier_digest("meta", "mobile_id", "AEBE52E7-03EE-455A-B3C4-E57283966239")
        == "aebe52e7-03ee-455a-b3c4-e57283966239"
    )


def test_unknown_network_and_field_are_named() -> None:
    with pytest.raises(LookupError, match="myspace"):
        identifier_normalise("myspace", "email", "a@b.io")
    with pytest.raises(LookupError, match="takes no field 'handle'"):
        identifier_normalise("meta", "handle", "x")


@given(
    st.text(max_size=60),
    st.sampled_from([(network, field) for network, fields in NETWORKS.items() for field in fields]),
)
def test_any_text_gives_a_form_or_nothing(text: str, where: tuple[str, str]) -> None:
    """No error, and the form is a fixed point: normalising it again changes nothing."""
    network, field = where
    form = identifier_normalise(network, field, text)
    if form is None:
        assert identifier_digest(network, field, text) is None
        return
    sent = identifier_digest(network, field, text)
    digest = hashlib.sha256(form.encode("utf-8", "surrogatepass"))
    assert sent in {form, digest.hexdigest(), base64.b64encode(digest.digest()).decode()}
    # Meta's own library cuts the first five characters last, so a space may end them.
    expected = form.strip() if field in {"f5first", "f5last"} else form
    assert identifier_normalise(network, field, form) == (expected or None)
    assert form.strip() == expected
