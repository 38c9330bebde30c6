"""Which privacy regimes does this GPP string speak for, and what does each section say?

Source: IAB Tech Lab, Global Privacy Platform consent string specification 1.0 (header, sections). A section id that is not
known is kept as it is and grants nothing; a known section that cannot be read makes the whole string unreadable.
"""

from dataclasses import dataclass
from typing import assert_never

from cdp.consent.signals.bits import BitReader
from cdp.consent.signals.errors import SignalError, size_check
from cdp.consent.signals.intervals import Intervals, intervals_count, intervals_list
from cdp.consent.signals.ranges import fibonacci_range
from cdp.consent.signals.tcf import TcString, tcf_section_read, tcf_view, version_check
from cdp.consent.signals.tcf_canada import tcf_canada_view
from cdp.consent.signals.us_privacy import UsPrivacy, us_privacy_read, us_privacy_view
from cdp.consent.signals.us_reading import TRUNCATED, UsEffects, UsReading, us_effects, us_read
from cdp.consent.signals.us_sections import US_SECTIONS
from cdp.consent.signals.values import View

HEADER_TYPE, HEADER_VERSION = 3, 1
TCF_EU, TCF_CANADA, US_PRIVACY = 2, 5, 6


@dataclass(frozen=True, slots=True)
class CanadaReading:
    """Section 5, already by name: nothing of ours reads single fields of it."""

    values: View


@dataclass(frozen=True, slots=True)
class RawSection:
    """A section whose id is not known here."""

    text: str


type Section = TcString | CanadaReading | UsPrivacy | UsReading | RawSection


@dataclass(frozen=True, slots=True)
class GppString:
    """Sections by id, in the string's order, which is ascending."""

    sections: dict[int, Section]

    def effects(self) -> UsEffects:
        """What the US sections together say."""
        readings = [found for found in self.sections.values() if isinstance(found, UsReading)]
        us_privacy = self.sections.get(US_PRIVACY)
        return us_effects(readings, us_privacy if isinstance(us_privacy, UsPrivacy) else None)


def gpp_read(text: str) -> GppString:
    """All sections of a GPP string; a bare TC string is one with that section alone. Raises SignalError."""
    size_check(text)
    if not text:
        raise SignalError("empty", "There is no string.")
    if not text.isascii():
        raise SignalError(
            "illegal_character_or_empty", "The string holds a character that is not ASCII. Copy it again."
        )
    if text.startswith("C"):
        return GppString({TCF_EU: tcf_section_read(text)})
    header, *texts = text.split("~")
    ids = _section_ids(header)
    if intervals_count(ids) != len(texts):
        raise SignalError(
            "section_count_mismatch",
            f"The header announces {intervals_count(ids)} sections; the string has {len(texts)}.",
        )
    if "" in texts:
        raise SignalError("blank_section", "A section that the header announces is empty.")
    return GppString(
        {number: _section(number, found) for number, found in zip(intervals_list(ids), texts, strict=True)}
    )


def _section_ids(header: str) -> Intervals:
    reader = BitReader(header, "truncated_header")
    if reader.number(6) != HEADER_TYPE:
        raise SignalError("bad_header", "A GPP string begins with D, or with C when it is a TC string alone.")
    version_check(reader.number(6), HEADER_VERSION)
    ids = fibonacci_range(reader)
    reader.finish()
    return ids


def _section(number: int, text: str) -> Section:
    if number == TCF_EU:
        return tcf_section_read(text)
    if number == TCF_CANADA:
        return CanadaReading(tcf_canada_view(text, TRUNCATED))
    if number == US_PRIVACY:
        return us_privacy_read(text)
    known = US_SECTIONS.get(number)
    return us_read(known, text) if known else RawSection(text)


def gpp_view(gpp: GppString) -> View:
    """Section ids, sections by their API prefix (``section_60`` where there is none), and the effects."""
    return {
        "section_ids": list(gpp.sections),
        "sections": dict(_named(number, found) for number, found in gpp.sections.items()),
        "effects": gpp.effects().view(),
    }


def _named(number: int, found: Section) -> tuple[str, View]:
    match found:
        case TcString():
            return "tcfeuv2", tcf_view(found)
        case CanadaReading():
            return "tcfcav1", found.values
        case UsPrivacy():
            return "uspv1", us_privacy_view(found)
        case UsReading():
            return found.section.name, found.view()
        case RawSection():
            return f"section_{number}", {"raw": found.text}
        case _:
            assert_never(found)
