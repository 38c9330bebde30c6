"""What do the US sections of a GPP string say, and what follows from them for advertising?

Source: GPP extensions of the US sections: of an opt-out 0 is not applicable, 1 opted out, 2 did not opt out; of a notice 1 given,
2 not given; of a consent for a child 1 no, 2 yes. 3 means nothing anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cdp.consent.signals.bits import BitReader
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.us_privacy import UsPrivacy
from cdp.consent.signals.us_sections import Field, UsSection
from cdp.consent.signals.values import View

TRUNCATED = "truncated_section"
OPTED_OUT, DID_NOT_OPT_OUT = 1, 2
NOTICE_GIVEN, NO_CONSENT, GPC_SEGMENT = 1, 1, 1
SENSITIVE = Field("SensitiveDataProcessing", 8)
CHILD = "KnownChildSensitiveDataConsents"
CHOICES = ("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut")
type UsValues = dict[str, int | bool | tuple[int, ...] | None]


@dataclass(frozen=True, slots=True)
class UsReading:
    """The fields of one section. A disputed section may be without any, and its ``raw`` text is shown beside them."""

    section: UsSection
    values: UsValues
    raw: str

    def view(self) -> View:
        if not self.section.is_disputed:
            return {**self.values}
        return {**self.values, "raw": self.raw, "layout_disputed": True}


def us_read(section: UsSection, text: str) -> UsReading:
    """Raises SignalError, but for a disputed section: its text is kept, and it counts as opted out whatever it says."""
    try:
        return UsReading(section, _values(section, text), text)
    except SignalError:
        if not section.is_disputed:
            raise
        return UsReading(section, {}, text)


def _values(section: UsSection, text: str) -> UsValues:
    core, *others = text.split(".")
    reader = BitReader(core, TRUNCATED)
    version = reader.number(6)
    if version not in section.layouts:
        raise SignalError(
            f"unsupported_version:{version}",
            f"Section {section.name} is of version {version}; it is not read with the layout of another version.",
        )
    values: UsValues = {section.version_name: version}
    values |= {field.name: _value(reader, field) for field in section.layouts[version]}
    reader.finish()
    if len(others) > (1 if section.second else 0):
        raise SignalError("unexpected_segment", f"Section {section.name} has more parts than are defined for it.")
    second = BitReader(others[0], TRUNCATED) if others else None
    match section.second:
        case "gpc":
            values["Gpc"] = _gpc(second) if second else None
        case "sensitive":
            values[SENSITIVE.name] = _value(second, SENSITIVE) if second else None
    if second:
        second.finish()
    return values


def _value(reader: BitReader, field: Field) -> int | tuple[int, ...]:
    found = tuple(reader.number(2) for _ in range(field.count or 1))
    if 3 in found:
        raise SignalError("undefined_value", f"{field.name} holds 3, which means nothing.")
    return found[0] if field.count is None else found


def _gpc(reader: BitReader) -> bool:
    kind = reader.number(2)
    if kind != GPC_SEGMENT:
        raise SignalError(
            f"unknown_segment_type:{kind}", f"A part of a US section is of type {kind}, which is not defined."
        )
    return reader.flag()


@dataclass(frozen=True, slots=True)
class UsEffects:
    """The strict reading over all US sections; an opt-out anywhere is one."""

    us_signal_present: bool = False
    sale_opt_out: bool = False
    sharing_opt_out: bool = False
    targeted_advertising_opt_out: bool = False
    gpc: bool = False
    known_child_without_consent: bool = False
    is_unclear: bool = False

    @property
    def ad_audience_sync_allowed_us(self) -> bool:
        """Only with a signal, and with nothing in it that speaks against it."""
        return self.us_signal_present and not (
            self.sale_opt_out
            or self.sharing_opt_out
            or self.targeted_advertising_opt_out
            or self.gpc
            or self.known_child_without_consent
            or self.is_unclear
        )

    def view(self) -> View:
        return {
            "us_signal_present": self.us_signal_present,
            "sale_opt_out": self.sale_opt_out,
            "sharing_opt_out": self.sharing_opt_out,
            "targeted_advertising_opt_out": self.targeted_advertising_opt_out,
            "gpc": self.gpc,
            "known_child_without_consent": self.known_child_without_consent,
            "ad_audience_sync_allowed_us": self.ad_audience_sync_allowed_us,
        }


def us_effects(readings: Sequence[UsReading], us_privacy: UsPrivacy | None) -> UsEffects:
    """GPC and a disputed layout count as every opt-out."""
    gpc = any(reading.values.get("Gpc") is True for reading in readings)
    is_all_out = gpc or any(reading.section.is_disputed for reading in readings)
    sale, sharing, advertising = (
        is_all_out or any(reading.values.get(choice) == OPTED_OUT for reading in readings) for choice in CHOICES
    )
    return UsEffects(
        us_signal_present=bool(readings) or us_privacy is not None,
        sale_opt_out=sale or (us_privacy is not None and us_privacy.is_opted_out),
        sharing_opt_out=sharing,
        targeted_advertising_opt_out=advertising,
        gpc=gpc,
        known_child_without_consent=any(_is_child_without_consent(reading.values) for reading in readings),
        is_unclear=any(_contradicts_itself(reading.values) for reading in readings)
        or (us_privacy is not None and us_privacy.is_sale_restricted),
    )


def _is_child_without_consent(values: UsValues) -> bool:
    found = values.get(CHILD)
    return NO_CONSENT in found if isinstance(found, tuple) else found == NO_CONSENT


def _contradicts_itself(values: UsValues) -> bool:
    """A choice is 0 exactly when no notice of it was given; a single flipped bit breaks that, and so shows itself."""
    return any(
        (values[choice] == DID_NOT_OPT_OUT) != (values[f"{choice}Notice"] == NOTICE_GIVEN)
        for choice in CHOICES
        if choice in values and values[choice] != OPTED_OUT
    )
