"""What a screen may show of a call to whoever looks after a source: what it is, and the person masked."""

import re
from dataclasses import dataclass

import msgspec

from cdp.identity.masking import DOTS, email_mask, value_mask

MAX_READ_BYTES = 256 * 1024
_ADDRESS = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")
_DIGITS = re.compile(r"\+?\d(?:[\s().-]{0,2}\d){6,}")
_decoder = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True)
class Glimpse:
    """Kind, event name and person of a call; empty where nothing could be read."""

    kind: str = ""
    name: str = ""
    person: str = ""


def glimpse_raw(raw: bytes) -> Glimpse:
    """A call as it was sent, or as it waits in the inbox. Never raises: what cannot be read shows as nothing."""
    if not raw or len(raw) > MAX_READ_BYTES:
        return Glimpse()
    try:
        fields = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return Glimpse()
    kind, name = fields.get("type"), fields.get("event") or fields.get("name")
    person = ""
    for field, type_key in (("userId", "user_id"), ("anonymousId", "anonymous_id")):
        value = fields.get(field)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            person = person_mask(type_key, str(value).strip())
            break
    return Glimpse(_plain(kind)[:10], name_mask(_plain(name))[:200], person[:80])


def _plain(value: object) -> str:
    return value.replace("\x00", "").encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def person_mask(type_key: str, value: str) -> str:
    """As everywhere, but an account id that looks like an address or a number is masked as one: some sites send those."""
    clean = _plain(value)
    if "@" in clean:
        return email_mask(clean)
    if clean.startswith("+") or _DIGITS.fullmatch(clean):
        return value_mask("phone", clean)
    return value_mask(type_key, clean)


def name_mask(name: str) -> str:
    """An event's name without the addresses and long numbers that some sites write into it."""
    return _DIGITS.sub(DOTS, _ADDRESS.sub(lambda found: email_mask(found[0]), name))
