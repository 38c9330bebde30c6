"""Reading one JSON value at a time: right or a problem with its path, never an exception in the middle."""

import datetime as dt
import math
import re
from typing import Any

from cdp.core.errors import Problem
from segments.definition.limits import (
    MAX_EVENT_NODES,
    MAX_LIST_VALUES,
    MAX_NODES,
    MAX_NUMBER,
    MAX_PROBLEMS,
    MAX_TEXT_CHARACTERS,
)
from segments.definition.nodes import Scalar, Value

NO_VALUE = frozenset({"is_set", "is_not_set", "is_true", "is_false"})
LIST_VALUE = frozenset({"in", "not_in", "contains_any", "contains_all"})
UNPRINTABLE = re.compile(r"[\x00\ud800-\udfff]")


class Reader:
    """One pass over one rule: counts rows, collects problems, and goes on after each."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.nodes = 0
        self.event_nodes = 0

    def wrong(self, path: str, code: str, message: str) -> None:
        """Note a problem; beyond the limit the rest is left out."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(path, code, message))

    def may_add_node(self, path: str) -> bool:
        """Count one row or group; False, with one problem, beyond the limit."""
        self.nodes += 1
        if self.nodes == MAX_NODES + 1:
            self.wrong(path, "too_many", f"A rule may have {MAX_NODES} rows and groups; this one has more.")
        return self.nodes <= MAX_NODES

    def may_add_event_node(self, path: str) -> bool:
        """Count one event row; False, with one problem, beyond the limit."""
        self.event_nodes += 1
        if self.event_nodes == MAX_EVENT_NODES + 1:
            self.wrong(path, "too_many", f"A rule may have {MAX_EVENT_NODES} event rows; this one has more.")
        return self.event_nodes <= MAX_EVENT_NODES

    def has_keys(self, item: object, path: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> bool:
        """Whether ``item`` is an object with every required key and none but the named ones."""
        if not isinstance(item, dict):
            self.wrong(path, "wrong_type", "Expected an object.")
            return False
        known = (*required, *optional)
        unknown = [key for key in item if key not in known]
        for key in unknown:
            at = join(path, str(key)[:60])
            self.wrong(at, "unknown_key", f"This key is not known here. Known keys: {', '.join(known)}.")
        missing = [key for key in required if key not in item]
        for key in missing:
            self.wrong(join(path, key), "missing", f'"{key}" is required.')
        return not unknown and not missing

    def text(self, value: object, path: str) -> str | None:
        """A name: not empty, of a sane length, storable."""
        if not isinstance(value, str):
            self.wrong(path, "wrong_type", "Expected text.")
            return None
        if not value:
            self.wrong(path, "empty", "This may not be empty.")
            return None
        return value if self._is_storable(value, path) else None

    def choice(self, value: object, path: str, known: tuple[str, ...], not_yet: frozenset[str] = frozenset()) -> str:
        """``value`` when it is one of ``known``, else an empty text and a problem."""
        if isinstance(value, str) and value in known:
            return value
        if isinstance(value, str) and value in not_yet:
            self.wrong(path, "not_available_yet", f"not available yet: {value}")
        else:
            self.wrong(path, "unknown_value", f"Expected one of: {', '.join(known)}.")
        return ""

    def whole(self, value: object, path: str, least: int, most: int) -> int | None:
        """A whole number in [least, most]."""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(path, "invalid_number", f"Enter a whole number from {least:,} to {most:,}.")
            return None
        return value

    def scalar(self, value: object, path: str) -> Scalar | None:
        """Text, a finite number or a truth value; 3.0 becomes 3."""
        if isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            if not math.isfinite(value) or abs(value) > MAX_NUMBER:
                self.wrong(path, "invalid_number", "Numbers go from −10^15 to 10^15.")
                return None
            return int(value) if float(value).is_integer() else value
        if isinstance(value, str):
            return value if self._is_storable(value, path) else None
        self.wrong(path, "wrong_type", "Expected text, a number, true or false.")
        return None

    def value(self, item: dict[str, Any], operator: str, path: str) -> Value:
        """``item["value"]`` in the shape that ``operator`` takes: none, one, two or a list."""
        at = join(path, "value")
        if operator in NO_VALUE:
            if "value" in item:
                self.wrong(at, "unknown_key", f'"{operator}" takes no value.')
            return None
        if "value" not in item:
            self.wrong(at, "missing", f'"{operator}" needs a value.')
            return None
        value = item["value"]
        if operator == "between":
            if not isinstance(value, list) or len(value) != 2:
                self.wrong(at, "wrong_type", '"between" takes a list of two values: from and to, both included.')
                return None
        elif operator in LIST_VALUE:
            if not isinstance(value, list) or not value:
                self.wrong(at, "wrong_type", f'"{operator}" takes a list of at least one value.')
                return None
            if len(value) > MAX_LIST_VALUES:
                self.wrong(at, "too_many", f"A list may have {MAX_LIST_VALUES:,} values; this one has {len(value):,}.")
                return None
        else:
            return self.scalar(value, at)
        scalars = [self.scalar(one, f"{at}[{index}]") for index, one in enumerate(value)]
        return tuple(one for one in scalars if one is not None)

    def _is_storable(self, value: str, path: str) -> bool:
        if len(value) > MAX_TEXT_CHARACTERS:
            self.wrong(path, "too_long", f"Text may have {MAX_TEXT_CHARACTERS:,} characters.")
            return False
        if UNPRINTABLE.search(value):
            self.wrong(path, "invalid_text", "Text may not contain NUL or half a character pair.")
            return False
        return True


def join(path: str, key: str) -> str:
    """``path.key``, or ``key`` at the top."""
    return f"{path}.{key}" if path else key


def calendar_day(text: object) -> dt.date | None:
    """``YYYY-MM-DD`` between 1970 and 2100, or None."""
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return None
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 <= day.year <= 2100 else None
