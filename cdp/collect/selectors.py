"""Which source a write key belongs to, without asking the database for every request."""

import hashlib
import hmac
import time
from dataclasses import dataclass

from cdp.collect.models import Source

SOURCES_TTL_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What one request needs to know of a source."""

    source_no: int
    key: str
    title: str
    kind: str
    write_key: str
    origins: frozenset[str]

    def lets_in(self, origin: str) -> bool:
        """Whether a browser page of this origin may send; ``*`` on a line of its own lets every page."""
        return origin in self.origins or "*" in self.origins


@dataclass(frozen=True, slots=True)
class _Sources:
    by_digest: dict[bytes, SourceFacts]
    origins: frozenset[str]
    read_at: float


_sources: _Sources | None = None


def _digest(write_key: str) -> bytes:
    return hashlib.sha256(write_key.encode("utf-8", "replace")).digest()


def _sources_read() -> _Sources:
    """All enabled sources, read again after three seconds, so a new key or a closed one counts within that time."""
    global _sources
    now = time.monotonic()
    if _sources is None or now - _sources.read_at >= SOURCES_TTL_SECONDS:
        found = [
            SourceFacts(
                source_no=row.source_no,
                key=row.key,
                title=row.title,
                kind=row.kind,
                write_key=row.write_key,
                origins=frozenset(row.allowed_origins.split()),
            )
            for row in Source.objects.filter(is_enabled=True)
        ]
        _sources = _Sources(
            {_digest(source.write_key): source for source in found},
            frozenset().union(*(source.origins for source in found)),
            now,
        )
    return _sources


def source_find(write_key: str) -> SourceFacts | None:
    """The enabled source with this write key. Found by digest, then compared in constant time."""
    source = _sources_read().by_digest.get(_digest(write_key))
    if source is None or not hmac.compare_digest(source.write_key.encode(), write_key.encode("utf-8", "replace")):
        return None
    return source


def origin_is_known(origin: str) -> bool:
    """Whether any source lets this origin in: all that a preflight, which carries no key, can be told."""
    origins = _sources_read().origins
    return origin in origins or "*" in origins


def sources_forget() -> None:
    """Drop the remembered sources: after a change in this process, and between two tests."""
    global _sources
    _sources = None


def source_kinds() -> dict[int, str]:
    """{source_no: kind} of every source, switched off or not."""
    return dict(Source.objects.values_list("source_no", "kind"))
