"""The shape of a decoded signal on its way out: what JSON can say."""

import datetime as dt
from collections.abc import Mapping, Sequence

from cdp.consent.signals.intervals import ids_view, intervals_count, ranges_view
from cdp.consent.signals.ranges import Restriction

type Value = bool | int | str | Sequence[Value] | Mapping[str, Value] | None
type View = dict[str, Value]

# All lists of one signal's restrictions together are at most this long; beyond, every one is shown as ranges.
LISTED_RESTRICTED_IDS = 10_000


def time_view(moment: dt.datetime) -> str:
    """2026-11-02T00:00:00Z; tenths of a second are shown when there are any."""
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def restrictions_view(found: tuple[Restriction, ...]) -> list[Value]:
    """As ``{"purpose", "type", "vendors"}`` each, in the string's order."""
    is_short = sum(intervals_count(r.vendors) for r in found) <= LISTED_RESTRICTED_IDS
    show = ids_view if is_short else ranges_view
    return [{"purpose": r.purpose, "type": r.type, "vendors": show(r.vendors)} for r in found]
