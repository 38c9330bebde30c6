"""Faults on demand: which network fails next, how, and how often."""

import threading
from collections.abc import Iterable

import msgspec

KINDS = {
    "429": "asks to wait `retry_after` seconds; nothing is applied",
    "500": "fails; nothing is applied",
    "auth": "refuses the token",
    "slow": "answers after `seconds`",
    "partial": "refuses `count` rows of the batch, applies the rest",
    "timeout_after_apply": "applies the batch, then gives no answer",
    "late_apply": "gives no answer and applies the batch `seconds` later",
    "drop": "gives no answer and applies nothing",
    "reject_digest": "refuses every batch that holds `digest`, naming no row",
    "failed": "accepts the batch, then fails to process it (asynchronous networks)",
    "delay": "processes the batch `seconds` later (asynchronous networks)",
}


class Fault(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """``times`` −1 holds until cleared; ``operation`` (add, remove, create, status, token) empty means any."""

    network: str
    kind: str
    times: int = 1
    operation: str = ""
    seconds: float = 2.0
    retry_after: float = 1.0
    count: int = 1
    digest: str = ""
    code: str = ""
    after: int = 0
    """Let this many matching requests pass first."""


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._open: list[Fault] = []
        self._lock = threading.Lock()

    def plan(self, fault: Fault) -> None:
        """Raises ValueError naming the kinds there are."""
        if fault.kind not in KINDS:
            raise ValueError(f"kind: no fault {fault.kind!r}; there are {', '.join(KINDS)}")
        with self._lock:
            self._open.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._open.clear()

    def planned(self) -> list[Fault]:
        with self._lock:
            return list(self._open)

    def next(self, network: str, operation: str, digests: Iterable[str] | None = None) -> Fault | None:
        """Take the first fault that meets this request. ``digests`` decides for ``reject_digest`` only."""
        with self._lock:
            for fault in self._open:
                if fault.network != network or fault.times == 0 or fault.operation not in {"", operation}:
                    continue
                if fault.kind == "reject_digest":
                    if digests is None or fault.digest not in set(digests):
                        continue
                elif operation in {"create", "status", "token"} and not fault.operation:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                if fault.times > 0:
                    fault.times -= 1
                self._open = [f for f in self._open if f.times != 0]
                return fault
        return None
