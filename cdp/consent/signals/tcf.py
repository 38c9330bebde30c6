"""What did this person answer to the European consent banner? Reader of TC strings, TCF 2.2 and 2.3.

Source: IAB Europe, "Consent string and vendor list formats" v2 (core, disclosed vendors, publisher TC). Whether a string may be
used, and for whom, is another question: ``tcf_use.py``.
"""

import datetime as dt
from dataclasses import dataclass

from cdp.consent.signals.bits import BitReader, segment_check
from cdp.consent.signals.errors import SignalError, size_check
from cdp.consent.signals.intervals import Intervals, ids_view, intervals_from_bits, intervals_list
from cdp.consent.signals.ranges import Restriction, integer_optimized, integer_range, restrictions
from cdp.consent.signals.values import View, restrictions_view, time_view

VERSION = 2
FIRST_CMP_ID = 2
PURPOSES, SPECIAL_FEATURES = 24, 12
DISCLOSED_VENDORS, ALLOWED_VENDORS, PUBLISHER_TC = 1, 2, 3
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class PublisherTc:
    """What the publisher itself was allowed, beside the vendors."""

    purposes_consent: tuple[int, ...]
    purposes_li_transparency: tuple[int, ...]
    num_custom_purposes: int
    custom_purposes_consent: tuple[int, ...]
    custom_purposes_li_transparency: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TcString:
    """Every field as it stands in the string; ``disclosed_vendors`` and ``publisher_tc`` are None when their segment is absent."""

    created: dt.datetime
    last_updated: dt.datetime
    cmp_id: int
    cmp_version: int
    consent_screen: int
    consent_language: str
    vendor_list_version: int
    tcf_policy_version: int
    is_service_specific: bool
    use_non_standard_texts: bool
    special_feature_optins: tuple[int, ...]
    purposes_consent: tuple[int, ...]
    purposes_li_transparency: tuple[int, ...]
    purpose_one_treatment: bool
    publisher_cc: str
    vendors_consent: Intervals
    vendors_li: Intervals
    publisher_restrictions: tuple[Restriction, ...]
    disclosed_vendors: Intervals | None
    publisher_tc: PublisherTc | None


def tcf_read(text: str) -> TcString:
    """The fields of a TC string. Raises SignalError when anything about it is not exactly as the specification says."""
    tc = _read(text, "truncated")
    if tc.cmp_id < FIRST_CMP_ID:
        raise SignalError(
            "reserved_cmp_id", f"No consent platform has the id {tc.cmp_id}: the string is a test or damaged."
        )
    return tc


def tcf_section_read(text: str) -> TcString:
    """As ``tcf_read``, for section 2 of a GPP string, where the official encoder leaves the platform's id at 0 until it is set."""
    return _read(text, "truncated_section")


def _read(text: str, truncated_code: str) -> TcString:
    size_check(text)
    core, *others = text.split(".")
    for segment in (core, *others):
        segment_check(segment)
    disclosed: Intervals | None = None
    publisher: PublisherTc | None = None
    seen: set[int] = set()
    head = BitReader(core, truncated_code)
    version_check(head.number(6), VERSION)
    for segment in others:
        reader = BitReader(segment, truncated_code)
        kind = reader.number(3)
        if kind in seen:
            raise SignalError("duplicate_segment", "A segment appears twice, so it is not clear which one counts.")
        seen.add(kind)
        if kind == DISCLOSED_VENDORS:
            disclosed = integer_optimized(reader)
        elif kind == ALLOWED_VENDORS:
            integer_optimized(reader)  # withdrawn with global consent: read to its end, used for nothing
        elif kind == PUBLISHER_TC:
            publisher = _publisher_tc(reader)
        else:
            raise SignalError(f"unknown_segment_type:{kind}", f"A segment is of type {kind}, which is not defined.")
        # early encoders filled the publisher's segment with zeros; no vendor gets anything from it
        reader.finish(may_be_filled=kind == PUBLISHER_TC)
    return _core(head, disclosed, publisher)


def version_check(found: int, readable: int) -> None:
    """Raises SignalError: another version has another layout, and is never read with this one."""
    if found != readable:
        raise SignalError(
            f"unsupported_version:{found}", f"The string is of version {found}; only version {readable} can be read."
        )


def moment_read(reader: BitReader) -> dt.datetime:
    """36 bits: tenths of a second since 1970, aware UTC."""
    return _EPOCH + dt.timedelta(milliseconds=reader.number(36) * 100)


def ids_read(reader: BitReader, count: int) -> tuple[int, ...]:
    """A bit field of purposes or features, as the ids that are set."""
    return tuple(intervals_list(intervals_from_bits(reader.text(count))))


def _core(reader: BitReader, disclosed: Intervals | None, publisher: PublisherTc | None) -> TcString:
    """The core segment after its version, in the order of its fields."""
    found = TcString(
        created=moment_read(reader),
        last_updated=moment_read(reader),
        cmp_id=reader.number(12),
        cmp_version=reader.number(12),
        consent_screen=reader.number(6),
        consent_language=reader.letters(2),
        vendor_list_version=reader.number(12),
        tcf_policy_version=reader.number(6),
        is_service_specific=reader.flag(),
        use_non_standard_texts=reader.flag(),
        special_feature_optins=ids_read(reader, SPECIAL_FEATURES),
        purposes_consent=ids_read(reader, PURPOSES),
        purposes_li_transparency=ids_read(reader, PURPOSES),
        purpose_one_treatment=reader.flag(),
        publisher_cc=reader.letters(2),
        vendors_consent=integer_optimized(reader),
        vendors_li=integer_optimized(reader),
        publisher_restrictions=restrictions(reader, integer_range),
        disclosed_vendors=disclosed,
        publisher_tc=publisher,
    )
    reader.finish()
    return found


def _publisher_tc(reader: BitReader) -> PublisherTc:
    consent, transparency = ids_read(reader, PURPOSES), ids_read(reader, PURPOSES)
    custom = reader.number(6)
    return PublisherTc(consent, transparency, custom, ids_read(reader, custom), ids_read(reader, custom))


def tcf_view(tc: TcString) -> View:
    """The fields by name, ready for JSON."""
    publisher = tc.publisher_tc
    return {
        "version": VERSION,
        "created": time_view(tc.created),
        "last_updated": time_view(tc.last_updated),
        "cmp_id": tc.cmp_id,
        "cmp_version": tc.cmp_version,
        "consent_screen": tc.consent_screen,
        "consent_language": tc.consent_language,
        "vendor_list_version": tc.vendor_list_version,
        "tcf_policy_version": tc.tcf_policy_version,
        "is_service_specific": tc.is_service_specific,
        "use_non_standard_texts": tc.use_non_standard_texts,
        "special_feature_optins": tc.special_feature_optins,
        "purposes_consent": tc.purposes_consent,
        "purposes_li_transparency": tc.purposes_li_transparency,
        "purpose_one_treatment": tc.purpose_one_treatment,
        "publisher_cc": tc.publisher_cc,
        "vendors_consent": ids_view(tc.vendors_consent),
        "vendors_li": ids_view(tc.vendors_li),
        "publisher_restrictions": restrictions_view(tc.publisher_restrictions),
        "disclosed_vendors": None if tc.disclosed_vendors is None else ids_view(tc.disclosed_vendors),
        "publisher_tc": None
        if publisher is None
        else {
            "purposes_consent": publisher.purposes_consent,
            "purposes_li_transparency": publisher.purposes_li_transparency,
            "num_custom_purposes": publisher.num_custom_purposes,
            "custom_purposes_consent": publisher.custom_purposes_consent,
            "custom_purposes_li_transparency": publisher.custom_purposes_li_transparency,
        },
    }
