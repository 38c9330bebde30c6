"""The steps from which each network's normal form is put together (see ``hashing``).

A step takes a text and gives the next text, or None when the value cannot be used and must be left out.
"""

import datetime as dt
import re
import string
from collections.abc import Callable

import phonenumbers

from segments.destinations.places import COUNTRY_CODES, STATE_CODES

Step = Callable[[str], str | None]

E164_MAX_DIGITS = 15
SHORTEST_PHONE_DIGITS = 7
CANONICAL_PHONE = re.compile(r"\+[1-9]\d{6,14}")
# RFC 5321 dot-string local part and host name, ASCII only: what Meta's own library accepts.
ASCII_EMAIL = re.compile(
    r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?",
    re.ASCII | re.IGNORECASE,
)
PLAIN_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+")
PUNCTUATION = str.maketrans("", "", string.punctuation)
MALE_WORDS = (
    "m male man boy he him his himself mr mister sir gentleman guy lad fellow chap bloke dude son father dad daddy papa uncle "
    "nephew brother husband boyfriend groom widower king prince duke count emperor lord god"
)
FEMALE_WORDS = (
    "f female woman girl she her hers herself ms mrs miss madam ma'am lady lass gal chick dame belle maiden daughter mother mom "
    "mommy mama aunt niece sister wife girlfriend bride widow queen princess duchess countess empress goddess"
)
GENDER_LETTERS = dict.fromkeys(MALE_WORDS.split(), "m") | dict.fromkeys(FEMALE_WORDS.split(), "f")


def trim(text: str) -> str | None:
    return text.strip() or None


def lower(text: str) -> str:
    return text.lower()


def upper(text: str) -> str:
    return text.upper()


def without_spaces(text: str) -> str | None:
    return "".join(text.split()) or None


def without_spaces_and_punctuation(text: str) -> str | None:
    """ASCII punctuation and every white space go; letters of any script stay."""
    return "".join(text.split()).translate(PUNCTUATION) or None


def letters_and_digits(text: str) -> str | None:
    """Only a-z, A-Z and 0-9 stay."""
    return re.sub(r"[^a-zA-Z0-9]", "", text) or None


def starts_with_letter(text: str) -> str | None:
    return text if "a" <= text[:1] <= "z" else None


def email_shape(text: str) -> str | None:
    """One @, no white space, a dotted host name."""
    return text if PLAIN_EMAIL.fullmatch(text) else None


def email_shape_ascii(text: str) -> str | None:
    return text if ASCII_EMAIL.fullmatch(text) else None


def email_without_tag_and_dots(*domains: str) -> Step:
    """At these domains ``first.last+tag`` is the mailbox ``firstlast``."""

    def step(text: str) -> str | None:
        local, _, domain = text.rpartition("@")
        if domain not in domains:
            return text
        mailbox = local.partition("+")[0].replace(".", "")
        return f"{mailbox}@{domain}" if mailbox else None

    return step


def email_bare_mailbox(text: str) -> str | None:
    """On every domain: no ``+alias``, and only letters and digits before the @ (Reddit)."""
    local, _, domain = text.rpartition("@")
    mailbox = re.sub(r"[^a-z0-9]", "", local.partition("+")[0])
    return f"{mailbox}@{domain}" if mailbox else None


def email_plain_characters(text: str) -> str | None:
    """Only a-z, 0-9, dot, @ and hyphen stay (Amazon)."""
    return re.sub(r"[^a-z0-9.@-]", "", text) or None


def phone_e164(text: str, region: str | None = None, *, lenient: bool = False) -> str | None:
    """``+`` and country code, whatever was typed; ``region`` reads numbers without a country code.

    A number that cannot exist is None, unless ``lenient``: then its digits are kept as they are (7 to 15 of them).
    """
    if CANONICAL_PHONE.fullmatch(text) and (lenient or is_possible(text)):
        return text
    if not any(c.isdigit() for c in text):
        return None
    cleaned = re.sub(r"^\s*(?:\+\s*0+|00+)", "+", text)
    digits = re.sub(r"[^0-9]", "", cleaned).lstrip("0")
    for candidate in (cleaned.strip(), "+" + cleaned.lstrip("+ "), "+" + digits):
        try:
            number = phonenumbers.parse(candidate[:80], region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"+{digits}" if lenient and SHORTEST_PHONE_DIGITS <= len(digits) <= E164_MAX_DIGITS else None


def is_possible(canonical: str) -> bool:
    try:
        number = phonenumbers.parse(canonical)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == canonical and bool(
        phonenumbers.is_possible_number(number)
    )


def state_code(text: str) -> str | None:
    """Two-letter code of a US state or Canadian province; elsewhere the name in letters only (Meta's page)."""
    letters = re.sub(r"[^a-z]", "", text.lower())
    return code_in(letters, STATE_CODES) or letters or None


def country_code(text: str) -> str | None:
    """ISO 3166-1 alpha-2, lower case, from a code or an English name."""
    letters = re.sub(r"[^a-z]", "", text.lower())
    return letters if len(letters) == 2 else code_in(letters, COUNTRY_CODES)


def code_in(letters: str, codes: dict[str, str]) -> str | None:
    """The code of that name, else of the longest name of five letters or more inside it (New York City, Germany/Europe)."""
    if letters in codes:
        return codes[letters]
    inside = [name for name in codes if len(name) >= 5 and name in letters]
    return codes[max(inside, key=len)] if inside else None


def postal_code(text: str) -> str | None:
    """Lower case, before the first hyphen, no white space, at least two characters."""
    code = "".join(text.lower().partition("-")[0].split())
    return code if len(code) >= 2 else None


def gender_letter(text: str) -> str | None:
    return GENDER_LETTERS.get(text.strip().lower())


def birth_date(text: str) -> str | None:
    """``YYYYMMDD`` from the first three numbers, month before day where both are possible; or from eight digits."""
    groups = re.findall(r"[0-9]+", text)
    if len(groups) == 1 and len(groups[0]) == 8:
        groups = [groups[0][:4], groups[0][4:6], groups[0][6:]]
    if len(groups) < 3:
        return None
    first, second, third = (int(g) for g in groups[:3])
    if first > 31:
        year, one, two = first, second, third
    elif second > 31:
        year, one, two = second, third, first
    else:
        year, one, two = third, first, second
    month, day = (two, one) if one > 12 else (one, two)
    try:
        return dt.date(year, month, day).strftime("%Y%m%d") if 1800 <= year <= 2100 else None
    except ValueError:
        return None


def number_between(lowest: int, highest: int, digits: int) -> Step:
    """A zero-padded number: day, month or year of birth."""

    def step(text: str) -> str | None:
        if not re.fullmatch(r"[0-9]+", text) or len(text) > digits:
            return None
        if digits == 4:
            return text if len(text) == 4 else None
        return text.zfill(digits) if lowest <= int(text) <= highest else None

    return step


def first_characters(count: int) -> Step:
    return lambda text: text[:count] or None


def without_at(text: str) -> str | None:
    return text.lstrip("@") or None
