"""What may be said of a person: trait keys in one spelling, values that fit their declared type.

Keys are snake case, so that ``firstName`` of one SDK and ``first_name`` of another are one trait; nested objects are
flattened with an underscore. The dot is kept for computed traits (``ltv.predicted_365d_amount``).
"""

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cdp.core.errors import RejectedError
from cdp.core.time import parse_timestamp

MAX_KEY_CHARS = 60
MAX_TEXT_CHARS = 2_000
MAX_LIST_ITEMS = 200
MAX_TRAITS_PER_CALL = 300

type TraitScalar = str | float | bool
type TraitJson = TraitScalar | list[str] | None

_KEY = re.compile(r"[a-z][a-z0-9_]*")
_COMPUTED_KEY = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_WORD_EDGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class TraitRow:
    """One statement by one identifier. ``value`` None takes the trait away."""

    identifier_no: int
    key: str
    value: object
    source_no: int
    set_at: dt.datetime


@dataclass(frozen=True, slots=True)
class TraitSpec:
    """One entry of the catalogue."""

    key: str
    title: str
    value_type: str
    unit: str = ""
    description: str = ""
    is_computed: bool = False
    is_personal: bool = True
    is_declared: bool = True


@lru_cache(maxsize=10_000)
def trait_key_normalise(key: str) -> str:
    """``firstName``, ``First Name`` and ``first_name`` are all ``first_name``. Raises RejectedError when nothing is left."""
    text = _NOT_WORD.sub("_", _WORD_EDGE.sub("_", key.strip()[:200]).lower()).strip("_")
    if not text or len(text) > MAX_KEY_CHARS or not _KEY.fullmatch(text):
        raise RejectedError(
            f"a trait's name must start with a letter and hold at most {MAX_KEY_CHARS} letters, digits and underscores.",
            code="trait_key",
            field="traits",
        )
    return text


def trait_key_is_plain(key: str) -> bool:
    """Whether ``key`` is the one spelling of a stated trait."""
    return len(key) <= MAX_KEY_CHARS and _KEY.fullmatch(key) is not None


def trait_key_check(key: str, *, is_computed: bool) -> None:
    """Raises RejectedError unless ``key`` is the one spelling: plain for stated traits, ``group.key`` for computed ones."""
    pattern = _COMPUTED_KEY if is_computed else _KEY
    if not pattern.fullmatch(key) or len(key) > MAX_KEY_CHARS:
        shape = "group.key" if is_computed else "snake_case"
        raise RejectedError(f"write the trait {key[:60]!r} as {shape}.", code="trait_key", field="key")


def traits_flatten(payload: Mapping[str, object], *, prefix: str = "", depth: int = 0) -> dict[str, object]:
    """A tracking call's traits as {key: value}, nested objects joined by ``_``; of two spellings of one key the later stays.

    Raises RejectedError when there are more than 300 or they nest deeper than 4.
    """
    if depth > 4:
        raise RejectedError("traits nest deeper than 4 levels; flatten them.", code="depth", field="traits")
    flat: dict[str, object] = {}
    for key, value in payload.items():
        name = trait_key_normalise(f"{prefix}_{key}" if prefix else key)
        if isinstance(value, Mapping):
            flat |= traits_flatten(value, prefix=name, depth=depth + 1)
        else:
            flat[name] = value
    if len(flat) > MAX_TRAITS_PER_CALL:
        raise RejectedError(
            f"more than {MAX_TRAITS_PER_CALL} traits in one call; send fewer.", code="too_many", field="traits"
        )
    return flat


def trait_type_infer(value: object) -> str:
    """The value type of a trait that nobody declared, by its first value. Text that is a full date is a date."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case list() | tuple():
            return "text_list"
        case str() if re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?", value) and _timestamp(value) is not None:
            return "date"
        case _:
            return "text"


def _timestamp(text: str) -> dt.datetime | None:
    try:
        return parse_timestamp(text)
    except ValueError:
        return None


def _refuse(key: str, wanted: str) -> RejectedError:
    return RejectedError(f"the trait {key} must be {wanted}.", code="trait_type", field=f"traits.{key}")


def _number(key: str, value: object) -> float | int:
    if isinstance(value, bool):
        raise _refuse(key, "a number")
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _refuse(key, "a number") from None
    if not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) >= 1e15:
        raise _refuse(key, "a number below 10^15")
    return value


def _text(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS or "\x00" in value:
        raise _refuse(key, f"a text of at most {MAX_TEXT_CHARS} characters")
    return value.encode("utf-8", "replace").decode("utf-8")


def trait_value_fit(key: str, value_type: str, value: object) -> TraitJson:
    """The stored form of ``value``: dates as ISO 8601 UTC, lists of texts sorted without doubles. None stays None.

    Lenient where nothing is lost (``"12"`` is a number, ``12`` a text). Raises RejectedError naming the trait otherwise.
    """
    if value is None:
        return None
    match value_type:
        case "text":
            return _text(key, value)
        case "number":
            return _number(key, value)
        case "boolean":
            if isinstance(value, bool):
                return value
            if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
                return value.strip().lower() == "true"
            raise _refuse(key, "true or false")
        case "date":
            moment = _timestamp(value) if isinstance(value, str) else None
            if moment is None:
                raise _refuse(key, "a date in ISO 8601, like 2026-11-23")
            return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")
        case "text_list":
            items = value if isinstance(value, (list, tuple)) else [value]
            if len(items) > MAX_LIST_ITEMS:
                raise _refuse(key, f"a list of at most {MAX_LIST_ITEMS} texts")
            return sorted({_text(key, item) for item in items if item is not None})
    raise ValueError(f"no value type is called {value_type!r}")
