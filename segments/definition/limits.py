"""How large a rule may be, and the error that lists everything wrong with it."""

from collections.abc import Sequence
from typing import Any

from cdp.core.errors import Problem, RejectedError

MAX_DEPTH = 12
MAX_NODES = 500
MAX_EVENT_NODES = 40
MAX_LIST_VALUES = 10_000
MAX_TEXT_CHARACTERS = 1_000
MAX_PATTERN_CHARACTERS = 500
MAX_BYTES = 256 * 1024
MAX_NESTING = 64
MAX_NUMBER = 10**15
MAX_DAYS = 36_500
MAX_PROBLEMS = 50


class DefinitionError(RejectedError):
    """The rule cannot be used as it stands. ``problems`` names every place, first one first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(first.message, code=first.code, field=first.field)
        self.problems = tuple(problems[:MAX_PROBLEMS])


def size_check(data: Any) -> None:
    """Refuse an outsized JSON value before anything reads it. Walks without recursion; raises DefinitionError."""
    characters, waiting = 0, [(data, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_NESTING:
            raise DefinitionError(
                [Problem("where", "too_deep", f"Groups may be nested {MAX_DEPTH} deep; this rule goes deeper.")]
            )
        if isinstance(item, dict):
            characters += sum(len(str(key)) + 4 for key in item)
            waiting.extend((value, depth + 1) for value in item.values())
        elif isinstance(item, list):
            characters += len(item)
            waiting.extend((value, depth + 1) for value in item)
        elif isinstance(item, str):
            characters += len(item) + 2
        else:
            characters += 4
        if characters > MAX_BYTES:
            raise DefinitionError(
                [Problem("", "too_large", f"A rule may be {MAX_BYTES // 1024} KB of JSON; this one is larger.")]
            )
