"""What did this person answer to the Canadian consent banner? Reader of GPP section 5 (IAB Canada TCF, version 1).

Source: GPP extension "IAB Canada TCF". Vendor lists are Fibonacci ranges; encoders before 2026 wrote integer ranges instead,
and a string does not say which. The official library tries the first form and then the second, and so does this reader.
"""

from collections.abc import Callable

from cdp.consent.signals.bits import BitReader
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.intervals import ids_view
from cdp.consent.signals.ranges import RangeReader, fibonacci_optimized, integer_optimized, integer_range, restrictions
from cdp.consent.signals.tcf import (
    DISCLOSED_VENDORS,
    PUBLISHER_TC,
    PURPOSES,
    SPECIAL_FEATURES,
    ids_read,
    moment_read,
    version_check,
)
from cdp.consent.signals.values import View, restrictions_view, time_view

VERSION = 1
type SegmentRead = Callable[[BitReader, RangeReader, RangeReader], View]


def tcf_canada_view(text: str, truncated_code: str) -> View:
    """The fields by name, ready for JSON. Raises SignalError."""
    core, *others = text.split(".")
    version_check(BitReader(core, truncated_code).number(6), VERSION)
    view = either_form(core, truncated_code, _core)
    view |= {"disclosed_vendors": None, "publisher_tc": None}
    seen: set[int] = set()
    for segment in others:
        kind = BitReader(segment, truncated_code).number(3)
        if kind in seen:
            raise SignalError("duplicate_segment", "A segment appears twice, so it is not clear which one counts.")
        seen.add(kind)
        if kind == DISCLOSED_VENDORS:
            view |= either_form(segment, truncated_code, _disclosed)
        elif kind == PUBLISHER_TC:
            view["publisher_tc"] = _publisher_tc(BitReader(segment, truncated_code))
        else:
            raise SignalError(f"unknown_segment_type:{kind}", f"A segment is of type {kind}, which is not defined.")
    return view


def either_form(segment: str, truncated_code: str, read: SegmentRead) -> View:
    """The segment with Fibonacci lists, or with integer lists when that fails; the first failure is the one told."""
    try:
        return read(BitReader(segment, truncated_code), fibonacci_optimized, fibonacci_optimized)
    except SignalError as error:
        try:
            return read(BitReader(segment, truncated_code), integer_optimized, integer_range)
        except SignalError:
            raise error from None


def _core(reader: BitReader, read_vendors: RangeReader, read_restricted: RangeReader) -> View:
    view: View = {
        "version": reader.number(6),
        "created": time_view(moment_read(reader)),
        "last_updated": time_view(moment_read(reader)),
        "cmp_id": reader.number(12),
        "cmp_version": reader.number(12),
        "consent_screen": reader.number(6),
        "consent_language": reader.letters(2),
        "vendor_list_version": reader.number(12),
        "tcf_policy_version": reader.number(6),
        "use_non_standard_stacks": reader.flag(),
        "special_feature_express_consent": ids_read(reader, SPECIAL_FEATURES),
        "purposes_express_consent": ids_read(reader, PURPOSES),
        "purposes_implied_consent": ids_read(reader, PURPOSES),
        "vendors_express_consent": ids_view(read_vendors(reader)),
        "vendors_implied_consent": ids_view(read_vendors(reader)),
        "publisher_restrictions": restrictions_view(restrictions(reader, read_restricted)),
    }
    reader.finish()
    return view


def _disclosed(reader: BitReader, read_vendors: RangeReader, read_restricted: RangeReader) -> View:
    reader.number(3)
    view: View = {"disclosed_vendors": ids_view(read_vendors(reader))}
    reader.finish()
    return view


def _publisher_tc(reader: BitReader) -> View:
    reader.number(3)
    express, implied, custom = ids_read(reader, PURPOSES), ids_read(reader, PURPOSES), reader.number(6)
    view: View = {
        "purposes_express_consent": express,
        "purposes_implied_consent": implied,
        "num_custom_purposes": custom,
        "custom_purposes_express_consent": ids_read(reader, custom),
        "custom_purposes_implied_consent": ids_read(reader, custom),
    }
    reader.finish()
    return view
