"""Figures that cost a pass over a big table are kept for some seconds in the process; the page says from when they are."""

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remembered[T]:
    """A figure and the moment it was counted."""

    value: T
    at: dt.datetime


_kept: dict[str, Remembered[object]] = {}
_locks: dict[str, threading.Lock] = {}
_guard = threading.Lock()


def remembered[T](key: str, seconds: float, now: dt.datetime, work: Callable[[], T]) -> Remembered[T]:
    """``work()``, at most once in ``seconds`` per process and ``key``; callers that come meanwhile wait for the one count."""
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        known = _kept.get(key)
        if known is not None and 0 <= (now - known.at).total_seconds() < seconds:
            return known  # type: ignore[return-value]
        fresh = Remembered(work(), now)
        _kept[key] = fresh
        return fresh


def remembered_forget() -> None:
    """Drop everything: tests, and after an act whose effect the next page must show."""
    _kept.clear()
