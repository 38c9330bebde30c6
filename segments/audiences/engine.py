"""The analytical engine of this process: DuckDB with people, events and memberships as views, never behind PostgreSQL.

One connection per process, kept open and brought up to date when the data version has moved; one question at a time,
since a question already uses every thread. A question that takes too long is stopped.
"""

import atexit
import datetime as dt
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import structlog
from django.conf import settings
from django.db import connection as database
from pyroaring import BitMap64

from cdp.core.errors import RejectedError, RetryableError
from cdp.events.reader import events_open, events_version
from cdp.events.store import engine_connect, store_open
from cdp.profiles.reader import profiles_register, profiles_version
from segments.audiences.models import SegmentBitmap
from segments.definition.compile import EngineTables
from segments.definition.nodes import AllOf, AnyOf, CoreNode, DidEvent, MemberOf, Not, Sampled, ValueTest

__all__ = ["Engine", "Needs", "TooCostlyError", "Versions", "engine_open", "needs_of"]

log = structlog.get_logger(__name__)

WAIT_SECONDS = 20.0
# Files that left the manifest are deleted after an hour, so a view over them must not live as long.
VIEW_SECONDS = 600.0
MAX_STATEMENTS = 512
STATED_PREFIXES = ("t_", "c_", "i_")


class TooCostlyError(RejectedError):
    """The question took longer or more memory than it may. Nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="too_costly", field="definition")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a rule reads besides people: groups of computed traits, events or not, members of which segments."""

    groups: frozenset[str] = frozenset()
    events: bool = False
    segment_nos: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Versions:
    """Differs whenever an answer could differ, apart from time passing."""

    profiles: object
    events: object = ""
    memberships: object = ()


@dataclass(slots=True)
class _View:
    """A registered view: what it shows, until when it may be used, and how to let its files go."""

    version: object
    table: Any
    until: float
    close: Callable[[], None]


@dataclass(slots=True)
class Engine:
    """Use inside ``engine_open`` only. ``duck`` has the views that were asked for with ``tables``."""

    duck: Any
    _views: dict[str, _View] = field(default_factory=dict)
    _people: tuple[object, int] = (None, 0)
    _statements: OrderedDict[tuple[str, CoreNode], tuple[EngineTables, str]] = field(default_factory=OrderedDict)

    def versions(self, needs: Needs) -> Versions:
        """Of the data of now."""
        events = events_version() if needs.events else ""
        return Versions(profiles_version(), events, _bitmap_versions(needs.segment_nos))

    def shown(self, needs: Needs) -> Versions:
        """Of what the views of the last ``tables`` show."""
        events = self._views["events"].version if needs.events else ""
        memberships = self._views["memberships"].version if needs.segment_nos else ()
        return Versions(self._views[_profiles_name(needs.groups)].version, events, memberships)

    def tables(self, needs: Needs, wanted: Versions | None = None) -> EngineTables:
        """The views as Ibis tables, of this moment; ``wanted`` saves asking for the versions again."""
        wanted = wanted or self.versions(needs)
        return EngineTables(
            profiles=self._profiles(needs.groups, wanted),
            events=self._events(wanted) if needs.events else None,
            memberships=self._memberships(needs.segment_nos, wanted) if needs.segment_nos else None,
        )

    def arrays(self, expression: Any, *, seconds: float) -> dict[str, Any]:
        """Run an Ibis expression; {column: numpy array}. Raises TooCostlyError after ``seconds`` or out of memory."""
        statement = str(ibis.to_sql(expression, dialect="duckdb"))
        return self._run(statement, seconds, lambda result: dict(result.fetchnumpy()))

    def arrays_of(
        self, question: str, core: CoreNode, tables: EngineTables, make: Callable[[], Any], *, seconds: float
    ) -> dict[str, Any]:
        """``arrays(make())``, with the statement kept for the next time the same ``question`` is asked of the same rule."""
        known = self._statements.get((question, core))
        if known is None or not _are_same(known[0], tables):
            known = tables, str(ibis.to_sql(make(), dialect="duckdb"))
            self._statements[question, core] = known
            if len(self._statements) > MAX_STATEMENTS:
                self._statements.popitem(last=False)
        return self._run(known[1], seconds, lambda result: dict(result.fetchnumpy()))

    def rows(self, expression: Any, *, seconds: float) -> list[dict[str, Any]]:
        """Run an Ibis expression; rows as dicts of Python values."""
        statement = str(ibis.to_sql(expression, dialect="duckdb"))
        return self._run(statement, seconds, _as_dicts)

    def people(self, profiles: Any, version: object, *, seconds: float) -> int:
        """How many living people there are; counted once for each version of them."""
        if self._people[0] != version:
            found = self.arrays(profiles.aggregate(people=profiles.count()), seconds=seconds)
            self._people = (version, int(found["people"][0]))
        return self._people[1]

    def close(self) -> None:
        """Let every file and the connection go."""
        for view in self._views.values():
            view.close()
        self._views.clear()
        self.duck.close()

    def _run[T](self, statement: str, seconds: float, fetch: Callable[[Any], T]) -> T:
        watch = threading.Timer(seconds, self.duck.interrupt)
        watch.daemon = True
        watch.start()
        try:
            return fetch(self.duck.execute(statement))
        except duckdb.InterruptException as error:
            raise TooCostlyError(
                f"This took longer than {seconds:g} seconds and was stopped. Narrow the rule."
            ) from error
        except duckdb.OutOfMemoryException as error:
            raise TooCostlyError("This needs more memory than a question may use. Narrow the rule.") from error
        finally:
            watch.cancel()

    def _profiles(self, groups: frozenset[str], wanted: Versions) -> Any:
        """One view per set of groups, since each group is a join over all people."""
        name = _profiles_name(groups)

        def register() -> tuple[object, Callable[[], None]]:
            view = profiles_register(self.duck, groups=sorted(groups), name=name)
            return view.version, view.close

        return self._view(name, wanted.profiles, register)

    def _events(self, wanted: Versions) -> Any:
        def register() -> tuple[object, Callable[[], None]]:
            snapshot = events_open().__enter__()
            snapshot.register(self.duck, "events")
            return snapshot.version, lambda: snapshot.__exit__(None, None, None)

        return self._view("events", wanted.events, register)

    def _memberships(self, segment_nos: frozenset[int], wanted: Versions) -> Any:
        def register() -> tuple[object, Callable[[], None]]:
            found = SegmentBitmap.objects.filter(segment_no__in=segment_nos).order_by("segment_no")
            bitmaps = {row.segment_no: BitMap64.deserialize(bytes(row.bitmap)) for row in found}
            numbers = [np.fromiter(bitmap, np.int64, len(bitmap)) for bitmap in bitmaps.values()]
            segments = [np.full(len(bitmap), number, np.int64) for number, bitmap in bitmaps.items()]
            empty = [np.empty(0, np.int64)]
            table = pa.table(
                {"segment_no": np.concatenate(segments + empty), "profile_no": np.concatenate(numbers + empty)}
            )
            self.duck.register("memberships", table)
            return _bitmap_versions(segment_nos), lambda: None

        return self._view("memberships", wanted.memberships, register)

    def _view(self, name: str, version: object, register: Callable[[], tuple[object, Callable[[], None]]]) -> Any:
        """The view as it is when it shows ``version``, else registered anew."""
        known = self._views.get(name)
        if known is not None and known.version == version and time.monotonic() < known.until:
            return known.table
        shown, close = register()
        if known is not None:
            known.close()
        schema = ibis.Schema.from_pyarrow(self.duck.sql(f'FROM "{name}" LIMIT 0').to_arrow_table().schema)
        # The same object while the columns stay: statements made for it hold.
        table = known.table if known is not None and known.table.schema() == schema else ibis.table(schema, name=name)
        self._views[name] = _View(shown, table, time.monotonic() + VIEW_SECONDS, close)
        return table


def _are_same(one: EngineTables, other: EngineTables) -> bool:
    """Whether they are the same tables. (Comparing Ibis tables builds an expression.)"""
    pairs = (
        (one.profiles, other.profiles),
        (one.events, other.events),
        (one.memberships, other.memberships),
    )
    return all(left is right for left, right in pairs)


def _profiles_name(groups: frozenset[str]) -> str:
    return "_".join(["profiles", *sorted(groups)])


def _as_dicts(result: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def needs_of(cores: Iterable[CoreNode]) -> Needs:
    """What these rules read."""
    groups, segment_nos, events = set(), set(), False
    waiting = list(cores)
    while waiting:
        match waiting.pop():
            case AllOf(parts=parts) | AnyOf(parts=parts):
                waiting.extend(parts)
            case Not(part=part):
                waiting.append(part)
            case ValueTest(column=column):
                if "__" in column and not column.startswith(STATED_PREFIXES):
                    groups.add(column.split("__", 1)[0])
            case DidEvent():
                events = True
            case MemberOf(segment_no=segment_no):
                segment_nos.add(segment_no)
            case Sampled():
                pass
    return Needs(frozenset(groups), events, frozenset(segment_nos))


_one_at_a_time = threading.BoundedSemaphore(1)
_kept: dict[tuple[object, ...], Engine] = {}


@contextmanager
def engine_open(*, wait_seconds: float = WAIT_SECONDS) -> Iterator[Engine]:
    """This process's engine, alone. Raises RetryableError when others keep it busy for ``wait_seconds``."""
    if not _one_at_a_time.acquire(timeout=wait_seconds):
        raise RetryableError("Many counts are under way. Try again in a moment.", retry_after_seconds=5)
    try:
        yield _engine()
    except duckdb.IOException:
        engine_forget()  # a file went away under a view: the next question starts afresh
        raise
    finally:
        _one_at_a_time.release()


def engine_forget() -> None:
    """Close this process's engine; the next use opens a new one."""
    for engine in _kept.values():
        with suppress(duckdb.Error):
            engine.close()
    _kept.clear()


atexit.register(engine_forget)


def _engine() -> Engine:
    key = (os.getpid(), settings.CDP_EVENT_STORAGE_URL, database.settings_dict["NAME"])
    if key not in _kept:
        engine_forget()
        duck = engine_connect(store_open())
        duck.execute("SET TimeZone = 'UTC'")
        _kept[key] = Engine(duck)
        log.info("engine_opened")
    return _kept[key]


def _bitmap_versions(segment_nos: frozenset[int]) -> tuple[tuple[int, dt.datetime], ...]:
    found = SegmentBitmap.objects.filter(segment_no__in=segment_nos).order_by("segment_no")
    return tuple(found.values_list("segment_no", "written_at")) if segment_nos else ()
