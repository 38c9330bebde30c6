"""Reads of keys and of signs of life."""

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cdp.access.models import ApiKey, Heartbeat

KEY_TTL_SECONDS = 5.0
KEY_CACHE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What one request needs to know of a key."""

    prefix: str
    name: str
    secret_sha256: bytes
    scopes: frozenset[str]
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None

    def is_live(self, now: dt.datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_keys: dict[str, tuple[float, KeyFacts]] = {}


def key_find(prefix: str) -> KeyFacts | None:
    """The key with this public prefix, live or not. Kept for five seconds a process, so revoking takes that long."""
    now = time.monotonic()
    cached = _keys.get(prefix)
    if cached is not None and now - cached[0] < KEY_TTL_SECONDS:
        return cached[1]
    row = ApiKey.objects.filter(prefix=prefix).first()
    if row is None:
        _keys.pop(prefix, None)
        return None
    facts = KeyFacts(
        row.prefix, row.name, bytes(row.secret_sha256), frozenset(row.scopes), row.expires_at, row.revoked_at
    )
    if len(_keys) >= KEY_CACHE_SIZE:
        _keys.clear()
    _keys[prefix] = (now, facts)
    return facts


def key_cache_clear() -> None:
    """Forget cached keys: what revoking does in its own process, and tests between two examples."""
    _keys.clear()


def heartbeat_ages(now: dt.datetime) -> Mapping[str, float]:
    """Seconds since the last sign of life, by process."""
    return {beat.process: (now - beat.at).total_seconds() for beat in Heartbeat.objects.all()}
