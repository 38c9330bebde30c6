"""The networks' lists: who is on them, as digests, kept in an append-only journal that survives a kill at any moment.

An operation takes effect at its time (asynchronous networks, late requests); what is on a list is a pure function of the journal
and the clock. A line that was cut off by a kill was never answered and is dropped at the next start.
"""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

Operation = Literal["add", "remove"]
Row = tuple[bytes, ...]


class ListLine(msgspec.Struct, tag="list", frozen=True):
    """A list was made."""

    network: str
    list_id: str
    account: str
    title: str
    key: str
    at: float


class OperationLine(msgspec.Struct, tag="operation", frozen=True, omit_defaults=True):
    """Members were added or removed, with effect at ``due``."""

    network: str
    list_id: str
    operation: Operation
    ref: str
    at: float
    due: float
    rows: list[list[str]]
    received: int
    fingerprint: str
    status: str = "SUCCESS"
    errors: dict[str, int] = {}


Line = ListLine | OperationLine


@dataclass(slots=True)
class AudienceList:
    """One list: every digest belongs to one member; removing any digest of a member removes the member."""

    line: ListLine
    member_of: dict[bytes, int] = field(default_factory=dict)
    digests_of: dict[int, Row] = field(default_factory=dict)
    next_member: int = 1

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            known = {self.member_of[d] for d in row if d in self.member_of}
            digests = row
            for number in known:
                digests += tuple(d for d in self.digests_of.pop(number) if d not in digests)
            number, self.next_member = self.next_member, self.next_member + 1
            self.digests_of[number] = digests
            for digest in digests:
                self.member_of[digest] = number

    def remove(self, rows: Iterable[Row]) -> None:
        for row in rows:
            for number in {self.member_of[d] for d in row if d in self.member_of}:
                for digest in self.digests_of.pop(number):
                    del self.member_of[digest]


class Book:
    """All lists of all networks. Thread-safe; one process owns the folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.lists: dict[tuple[str, str], AudienceList] = {}
        self.operations: dict[str, OperationLine] = {}
        self.requests: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self._fingerprints: set[str] = set()
        self._pending: list[OperationLine] = []
        self._lock = threading.RLock()
        self._numbers = 0
        self._file = self._load(folder / "journal.jsonl")

    def close(self) -> None:
        self._file.close()

    def list_make(self, network: str, account: str, title: str, key: str = "") -> str:
        with self._lock:
            list_id = str(7_000_000_000 + len(self.lists) + 1)
            line = ListLine(network, list_id, account, title, key, time.time())
            self._write(line)
            self.lists[network, list_id] = AudienceList(line)
            return list_id

    def lists_of(self, network: str, account: str) -> list[ListLine]:
        with self._lock:
            return [a.line for (n, _), a in self.lists.items() if n == network and a.line.account == account]

    def list_account(self, network: str, list_id: str) -> str | None:
        """The account that owns the list, None without such a list."""
        found = self.lists.get((network, list_id))
        return found.line.account if found else None

    def operate(
        self,
        network: str,
        list_id: str,
        operation: Operation,
        rows: Sequence[Row],
        *,
        received: int,
        delay_seconds: float = 0.0,
        status: str = "SUCCESS",
        errors: dict[str, int] | None = None,
    ) -> str:
        """Record the operation (before any answer) and let it take effect after ``delay_seconds``; returns its reference."""
        hexed = [[digest.hex() for digest in row] for row in rows]
        fingerprint = content_fingerprint(network, list_id, operation, rows)
        with self._lock:
            self._numbers += 1
            now = time.time()
            ref = f"req-{self._numbers:08d}"
            line = OperationLine(
                network,
                list_id,
                operation,
                ref,
                now,
                now + delay_seconds,
                hexed,
                received,
                fingerprint,
                status,
                errors or {},
            )
            self._write(line)
            self._note(line)
            self._pending.append(line)
            self.settle(now)
            return ref

    def settle(self, now: float | None = None) -> None:
        """Let everything that is due take effect, in the order of its time."""
        moment = time.time() if now is None else now
        with self._lock:
            due = sorted((line for line in self._pending if line.due <= moment), key=lambda line: (line.due, line.ref))
            if due:
                self._pending = [line for line in self._pending if line.due > moment]
            for line in due:
                self._take_effect(line)

    def operation(self, ref: str) -> OperationLine | None:
        return self.operations.get(ref)

    def summary(self) -> list[dict[str, Any]]:
        """Every list with its member count."""
        self.settle()
        with self._lock:
            return [
                {
                    "network": network,
                    "id": list_id,
                    "account": audience.line.account,
                    "title": audience.line.title,
                    "key": audience.line.key,
                    "members": len(audience.digests_of),
                    "digests": len(audience.member_of),
                    "pending": sum(1 for line in self._pending if (line.network, line.list_id) == (network, list_id)),
                }
                for (network, list_id), audience in self.lists.items()
            ]

    def digests(self, list_id: str) -> list[str] | None:
        """Every digest on a list, ascending; None without such a list."""
        self.settle()
        with self._lock:
            for (_, found), audience in self.lists.items():
                if found == list_id:
                    return sorted(d.hex() for d in audience.member_of)
        return None

    def _take_effect(self, line: OperationLine) -> None:
        audience = self.lists.get((line.network, line.list_id))
        if audience is None:
            return
        rows = (tuple(bytes.fromhex(d) for d in row) for row in line.rows)
        if line.operation == "add":
            audience.add(rows)
        else:
            audience.remove(rows)
        # Rows are on disk and in the list; keep only what a status query needs.
        self.operations[line.ref] = msgspec.structs.replace(line, rows=[])

    def _note(self, line: OperationLine) -> None:
        name = f"{line.network} {line.operation}"
        self.requests[name] += 1
        if line.fingerprint in self._fingerprints:
            self.repeated[name] += 1
        self._fingerprints.add(line.fingerprint)
        self.operations[line.ref] = line

    def _write(self, line: Line) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()

    def _load(self, path: Path) -> BinaryIO:
        whole = 0
        operations: list[OperationLine] = []
        decoder = msgspec.json.Decoder(Line)
        if path.exists():
            with path.open("rb") as file:
                for raw in file:
                    if not raw.endswith(b"\n"):
                        break
                    line = decoder.decode(raw)
                    whole += len(raw)
                    if isinstance(line, ListLine):
                        self.lists[line.network, line.list_id] = AudienceList(line)
                    else:
                        operations.append(line)
                        self._note(line)
        self._numbers = len(operations)
        self._pending = operations
        self.settle()
        journal = path.open("ab")
        journal.truncate(whole)
        return journal


def content_fingerprint(network: str, list_id: str, operation: str, rows: Iterable[Row]) -> str:
    """Equal for two requests with the same people, whatever their order."""
    total = hashlib.blake2b(f"{network}/{list_id}/{operation}".encode(), digest_size=16)
    for row in sorted(rows):
        total.update(b"|".join(row))
    return total.hexdigest()
