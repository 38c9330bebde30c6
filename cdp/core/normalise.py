"""One spelling per identifier, so that equal people are found equal.

Only what holds everywhere: dots and plus signs of an address stay, since removing them is a rule of single networks
(the destinations have their own normalising). Blocked values are the family of "undefined" that trackers send by
mistake (reference: Segment's suggested blocks and PostHog's illegal ids); they would join strangers.
"""

import re
import unicodedata

import phonenumbers

from cdp.core.errors import RejectedError

MAX_TEXT_ID_CHARS = 200
MAX_EMAIL_CHARS = 254

# Compared without case, white space and one pair of quotes.
BLOCKED_WORDS = frozenset(
    [
        *("undefined", "null", "(null)", "<null>", "none", "nil", "nan", "inf", "n/a", "true", "false", "-1"),
        *("anonymous", "guest", "unknown", "not set", "(not set)", "not_authenticated", "unauthenticated"),
        *("id", "distinctid", "distinct_id", "userid", "user_id", "email", "[object object]", "{}", "[]"),
    ]
)
_ONLY_FILLER = re.compile(r"[0\-._*#?\s]+")
_EMAIL = re.compile(
    # RFC 5321 dot-string, or any non-ASCII letter (RFC 6531); no quoted local parts, no address literals.
    r"(?P<local>[^\s@\"(),:;<>\[\]\\.]+(?:\.[^\s@\"(),:;<>\[\]\\.]+)*)"
    r"@(?P<domain>(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_](?:[\w-]{0,61}[^\W_])?)"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def value_text(value: object, *, field: str) -> str:
    """The trimmed NFKC text of a raw value. Numbers are taken as text; booleans, null and containers are not.

    Raises RejectedError (``empty``, ``type``, ``characters``) naming ``field``.
    """
    match value:
        case bool() | None | list() | dict() | tuple():
            raise RejectedError(
                f"{field} must be a text or a number; leave it out when there is none.", code="type", field=field
            )
        case str():
            text = value
        case int() if value.bit_length() > 256:
            raise RejectedError(f"{field} is too large a number for an id.", code="length", field=field)
        case int():
            text = str(value)
        case float():
            text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case _:
            raise RejectedError(f"{field} must be a text or a number.", code="type", field=field)
    text = text.strip()
    if text.isascii() and text.isprintable() and text:
        return text
    text = unicodedata.normalize("NFKC", text).strip()
    if not text:
        raise RejectedError(f"{field} is empty; leave it out when there is none.", code="empty", field=field)
    if _CONTROL.search(text):
        raise RejectedError(f"{field} holds control characters; send plain text.", code="characters", field=field)
    return text


def value_is_blocked(text: str, blocked_values: frozenset[str] = frozenset()) -> bool:
    """Whether a trimmed value stands for "nobody": the built-in family, only zeros or filler, or one of the type's own."""
    word = text.strip("'\"` ").casefold()
    return (
        not word
        or word in BLOCKED_WORDS
        or word in blocked_values
        or (word[0] in "0-._*#?" and _ONLY_FILLER.fullmatch(word) is not None)
    )


def value_is_address(text: str) -> bool:
    """Whether a text holds an email address, whatever its field is called."""
    return "@" in text and _EMAIL.search(text.lower()) is not None


def email_normalise(value: object, *, field: str = "email") -> str:
    """Trimmed, NFKC, lower case. Raises RejectedError when it is no address with a domain."""
    text = value_text(value, field=field).lower()
    if len(text) > MAX_EMAIL_CHARS or len(text.partition("@")[0]) > 64 or not _EMAIL.fullmatch(text):
        raise RejectedError(
            f"{field} is not an email address; write it like name@example.com.", code="email", field=field
        )
    return text


def phone_normalise(value: object, *, field: str = "phone", region: str | None = None) -> str:
    """E.164, e.g. ``+33612345678``. ``region`` (ISO country) reads numbers written without ``+``.

    Raises RejectedError when the number cannot exist in its country's plan.
    """
    text = value_text(value, field=field)
    try:
        number = phonenumbers.parse(text[:80], region)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise RejectedError(
            f"{field} is not a phone number; write it with country code, like +33 6 12 34 56 78.",
            code="phone",
            field=field,
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def text_normalise(value: object, *, field: str = "id") -> str:
    """Trimmed NFKC text of up to 200 characters; case is kept, since ids are case-sensitive."""
    text = value_text(value, field=field)
    if len(text) > MAX_TEXT_ID_CHARS:
        raise RejectedError(
            f"{field} is longer than {MAX_TEXT_ID_CHARS} characters; send the id alone.", code="length", field=field
        )
    return text


def device_normalise(value: object, *, field: str = "device_id") -> str:
    """A device or advertising id: as ``text_normalise`` and lower case, since platforms disagree on the case of UUIDs."""
    return text_normalise(value, field=field).lower()


def identifier_normalise(
    normaliser: str,
    value: object,
    *,
    field: str,
    blocked_values: frozenset[str] = frozenset(),
    region: str | None = None,
) -> str:
    """The one spelling of a raw identifier. Raises RejectedError with ``field`` and the fix; ``blocked`` is a code of its own."""
    match normaliser:
        case "email":
            text = email_normalise(value, field=field)
            probe = text.partition("@")[0] if text.partition("@")[0] in {"undefined", "null"} else text
        case "phone":
            text = probe = phone_normalise(value, field=field, region=region)
        case "text":
            text = probe = text_normalise(value, field=field)
        case "device":
            text = probe = device_normalise(value, field=field)
        case _:
            raise ValueError(f"no normaliser is called {normaliser!r}")
    if value_is_blocked(probe, blocked_values):
        raise RejectedError(
            f"{field} holds a placeholder that is never a person; leave it out when there is none.",
            code="blocked",
            field=field,
        )
    return text
