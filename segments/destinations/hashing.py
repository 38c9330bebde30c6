"""What each network wants to see of an address: its normal form, and how that is hashed.

The same address has several normal forms (Google edits Gmail addresses, Meta must not, Reddit strips the mailbox bare;
some hash ``+33…``, some ``33…``), so every network has its own row of rules. A rule is data: the steps of ``normalising`` in
order. Sources and open conflicts: docs of the networks as of 2026-11; ``tests/golden/vectors/identifiers.json`` decides.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Literal

from segments.destinations import normalising as n

Encoding = Literal["hex", "base64", "plain"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field of one network is made: steps in order, then the encoding (``plain`` is not hashed)."""

    steps: tuple[n.Step, ...] = ()
    encoding: Encoding = "hex"
    phone: Literal["", "plus", "digits"] = ""
    is_lenient: bool = False
    """Phones only: keep the digits of a number that the numbering plan does not know."""


TEXT = Rule((n.trim, n.lower))
NAME = Rule((n.trim, n.lower))
BARE_NAME = Rule((n.lower, n.without_spaces_and_punctuation))
EMAIL = Rule((n.trim, n.lower, n.email_shape))
PHONE_PLUS = Rule(phone="plus")
PHONE_PLUS_LENIENT = Rule(phone="plus", is_lenient=True)
PHONE_DIGITS = Rule(phone="digits", is_lenient=True)
PLAIN_DEVICE = Rule((n.trim, n.lower), encoding="plain")
HASHED_DEVICE = Rule((n.trim, n.lower))
ALPHANUMERIC = Rule((n.lower, n.letters_and_digits))

GOOGLE = {
    "email": Rule((n.trim, n.lower, n.email_without_tag_and_dots("gmail.com", "googlemail.com"), n.email_shape)),
    "phone": PHONE_PLUS,
    **dict.fromkeys(("given_name", "family_name", "first_name", "last_name"), NAME),
    "region_code": Rule((n.trim, n.upper), encoding="plain"),
    "postal_code": Rule((n.trim,), encoding="plain"),
    "mobile_id": Rule((n.trim,), encoding="plain"),
}
META = {
    "email": Rule((n.trim, n.lower, n.email_shape_ascii)),
    "phone": PHONE_DIGITS,
    **dict.fromkeys(("first_name", "last_name", "first_or_last_name"), BARE_NAME),
    "fi": Rule((n.trim, n.lower, n.first_characters(1))),
    **dict.fromkeys(("f5first", "f5last"), Rule((n.trim, n.lower, n.first_characters(5)))),
    "city": Rule((n.letters_and_digits, n.lower, n.starts_with_letter)),
    "state": Rule((n.state_code,)),
    "zip": Rule((n.postal_code,)),
    "country": Rule((n.country_code,)),
    "gender": Rule((n.gender_letter,)),
    "date_of_birth": Rule((n.birth_date,)),
    "dob_day": Rule((n.trim, n.number_between(1, 31, 2))),
    "dob_month": Rule((n.trim, n.number_between(1, 12, 2))),
    "dob_year": Rule((n.trim, n.number_between(0, 9999, 4))),
    "mobile_id": PLAIN_DEVICE,
    "external_id": Rule((n.trim,), encoding="plain"),
    "external_id_capi": Rule((n.without_spaces, n.lower)),
}
SNAPCHAT = {
    "email": EMAIL,
    "phone": PHONE_DIGITS,
    **dict.fromkeys(("first_name", "last_name", "city", "state", "zip", "country"), TEXT),
    "mobile_id": HASHED_DEVICE,
}
PINTEREST = {
    "email": EMAIL,
    "phone": PHONE_DIGITS,
    **dict.fromkeys(("first_name", "last_name"), NAME),
    "mobile_id": HASHED_DEVICE,
}
OPENAI = {
    "email": EMAIL,
    "phone": PHONE_PLUS,
    "mobile_id": Rule((n.trim,), encoding="plain"),
    "capi_email": EMAIL,
    "capi_phone": PHONE_DIGITS,
    **dict.fromkeys(("capi_first_name", "capi_last_name"), BARE_NAME),
    "capi_external_id": Rule((n.trim,)),
}
UID2 = {
    "email": Rule((n.trim, n.lower, n.email_without_tag_and_dots("gmail.com"), n.email_shape), encoding="base64"),
    "phone": Rule(phone="plus", encoding="base64"),
}
AMAZON = {
    "email": Rule((n.trim, n.lower, n.email_plain_characters, n.email_shape)),
    "phone": PHONE_DIGITS,
    **dict.fromkeys(("first_name", "last_name", "address", "city", "state", "zip", "postal", "country"), ALPHANUMERIC),
}

NETWORKS: dict[str, dict[str, Rule]] = {
    "google_data_manager": GOOGLE,
    "google_ads_customer_match": GOOGLE,
    "meta": META,
    "tiktok": {"email": EMAIL, "phone": PHONE_PLUS_LENIENT, "mobile_id": HASHED_DEVICE},
    "linkedin": {"email": EMAIL, "mobile_id": Rule((n.trim,), encoding="plain")},
    "microsoft_ads": {"email": EMAIL},
    "pinterest": PINTEREST,
    "snapchat": SNAPCHAT,
    "reddit": {
        "email": Rule((n.trim, n.lower, n.email_bare_mailbox, n.email_shape)),
        "phone": PHONE_PLUS_LENIENT,
        "mobile_id": HASHED_DEVICE,
    },
    "openai_ads": OPENAI,
    "x": {"email": EMAIL, "handle": Rule((n.trim, n.without_at, n.lower)), "mobile_id": HASHED_DEVICE},
    "amazon_ads": AMAZON,
    "uid2_thetradedesk": UID2,
}


def rule_for(network: str, field: str) -> Rule:
    """Raises LookupError naming the network or field that has no rule."""
    if network not in NETWORKS:
        raise LookupError(f"no rules for the network {network!r}")
    if field not in NETWORKS[network]:
        raise LookupError(f"{network} takes no field {field!r}")
    return NETWORKS[network][field]


def identifier_normalise(network: str, field: str, text: str, *, region: str | None = None) -> str | None:
    """The normal form that ``network`` prescribes for ``field``, or None when the value must be left out.

    ``region`` (ISO country) reads phone numbers that carry no country code.
    """
    return apply_rule(rule_for(network, field), text, region)


def identifier_digest(network: str, field: str, text: str, *, region: str | None = None) -> str | None:
    """What is sent: SHA-256 of the normal form as lower-case hex (base64 for UID2), or the form itself where not hashed."""
    rule = rule_for(network, field)
    value = apply_rule(rule, text, region)
    return None if value is None else encode(value, rule.encoding)


def apply_rule(rule: Rule, text: str, region: str | None = None) -> str | None:
    value: str | None = text
    if rule.phone:
        value = n.phone_e164(text, region, lenient=rule.is_lenient)
        return value.removeprefix("+") if value and rule.phone == "digits" else value
    for step in rule.steps:
        value = step(value) if value else None
    return value or None


def encode(value: str, encoding: Encoding) -> str:
    if encoding == "plain":
        return value
    digest = hashlib.sha256(value.encode())
    return digest.hexdigest() if encoding == "hex" else base64.b64encode(digest.digest()).decode()


def phone_digest(network: str, e164: str) -> str | None:
    """As ``identifier_digest`` for a phone that our side already parsed to E.164; saves parsing it again."""
    rule = rule_for(network, "phone")
    if not n.CANONICAL_PHONE.fullmatch(e164):
        return None
    return encode(e164.removeprefix("+") if rule.phone == "digits" else e164, rule.encoding)
