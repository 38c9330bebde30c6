"""What a network's part of the sandbox hands back to the server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or (``is_silent``) none: the connection is held for ``hold_seconds`` and closed."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hold_seconds: float = 0.0
    is_silent: bool = False


class Refused(Exception):
    """The request is not what the network takes."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Network(Protocol):
    """One network's routes below its prefix."""

    def answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply: ...
