"""The layouts of the US sections of a GPP string, one line a section.

Sources: the GPP extensions of the US National and state sections; checked against IAB Tech Lab's library 3.2.0. A field is two
bits; a number after its name makes it a list of that many.
"""

from dataclasses import dataclass

_US_NAT = (
    "SharingNotice SaleOptOutNotice SharingOptOutNotice TargetedAdvertisingOptOutNotice "
    "SensitiveDataProcessingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut TargetedAdvertisingOptOut "
)
_MSPA = " MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode"
_NAT_END = " PersonalDataConsents" + _MSPA
_END = " AdditionalDataProcessingConsent" + _MSPA
_SALE_AND_ADS = "SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut "
_SHARING = "SharingNotice " + _SALE_AND_ADS
_PROCESSING = "ProcessingNotice " + _SALE_AND_ADS
_NOTICES = "SaleOptOutNotice TargetedAdvertisingOptOutNotice "
_CHOICES = "SaleOptOut TargetedAdvertisingOptOut "
_MSPA_FIRST = "MspaCoveredTransaction MspaMode " + _PROCESSING
_CALIFORNIA = "SaleOptOutNotice SharingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut "
_SENSITIVE = "SensitiveDataProcessing:"
_CHILD = " KnownChildSensitiveDataConsents"


@dataclass(frozen=True, slots=True)
class Field:
    """``count`` is None for a single value."""

    name: str
    count: int | None


@dataclass(frozen=True, slots=True)
class UsSection:
    """``second`` names what may follow the core after a dot: "gpc", "sensitive" (8 values) or nothing.

    ``is_disputed``: the specification and the official library give different layouts, and encoders follow the library.
    """

    section_id: int
    name: str
    layouts: dict[int, tuple[Field, ...]]
    second: str
    version_name: str = "Version"
    is_disputed: bool = False


def fields(text: str) -> tuple[Field, ...]:
    """Fields from their names."""
    pairs = (word.partition(":") for word in text.split())
    return tuple(Field(name, int(count) if count else None) for name, _, count in pairs)


def section(section_id: int, name: str, layout: str, second: str = "gpc") -> UsSection:
    """A section of which version 1 is the only one."""
    return UsSection(section_id, name, {1: fields(layout)}, second)


def disputed(section_id: int, name: str, layout: str, second: str) -> UsSection:
    """A section of 2025, with the MSPA's fields first."""
    return UsSection(section_id, name, {1: fields(layout)}, second, "MspaVersion", is_disputed=True)


US_SECTIONS: dict[int, UsSection] = {
    found.section_id: found
    for found in (
        UsSection(
            7,
            "usnat",
            {
                1: fields(_US_NAT + _SENSITIVE + "12" + _CHILD + ":2" + _NAT_END),
                2: fields(_US_NAT + _SENSITIVE + "16" + _CHILD + ":3" + _NAT_END),
            },
            "gpc",
        ),
        section(8, "usca", _CALIFORNIA + _SENSITIVE + "9" + _CHILD + ":2" + _NAT_END),
        section(9, "usva", _SHARING + _SENSITIVE + "8" + _CHILD + _MSPA, second=""),
        section(10, "usco", _SHARING + _SENSITIVE + "7" + _CHILD + _MSPA),
        section(
            11,
            "usut",
            "SharingNotice "
            + _NOTICES
            + "SensitiveDataProcessingOptOutNotice "
            + _CHOICES
            + _SENSITIVE
            + "8"
            + _CHILD
            + _MSPA,
            second="",
        ),
        section(12, "usct", _SHARING + _SENSITIVE + "8" + _CHILD + ":3" + _MSPA),
        section(13, "usfl", _PROCESSING + _SENSITIVE + "8" + _CHILD + ":3" + _END, second=""),
        section(14, "usmt", _SHARING + _SENSITIVE + "8" + _CHILD + ":3" + _END),
        section(15, "usor", _PROCESSING + _SENSITIVE + "11" + _CHILD + ":3" + _END),
        section(16, "ustx", _PROCESSING + _SENSITIVE + "8" + _CHILD + _END),
        section(17, "usde", _PROCESSING + _SENSITIVE + "9" + _CHILD + ":5" + _END),
        section(
            18,
            "usia",
            "ProcessingNotice "
            + _NOTICES
            + "SensitiveDataOptOutNotice "
            + _CHOICES
            + _SENSITIVE
            + "8"
            + _CHILD
            + _MSPA,
        ),
        section(19, "usne", _PROCESSING + _SENSITIVE + "8" + _CHILD + _END),
        section(20, "usnh", _PROCESSING + _SENSITIVE + "8" + _CHILD + ":3" + _END),
        section(21, "usnj", _PROCESSING + _SENSITIVE + "10" + _CHILD + ":5" + _END),
        section(22, "ustn", _PROCESSING + _SENSITIVE + "8" + _CHILD + _END),
        section(23, "usmn", _PROCESSING + _SENSITIVE + "8" + _CHILD + _END),
        disputed(24, "usmd", _MSPA_FIRST + "AdditionalDataProcessingConsent", "gpc"),
        disputed(25, "usin", _MSPA_FIRST + _CHILD + " AdditionalDataProcessingConsent", "sensitive"),
        disputed(26, "usky", _MSPA_FIRST + _CHILD + " AdditionalDataProcessingConsent", "sensitive"),
        disputed(27, "usri", _MSPA_FIRST + _CHILD + " AdditionalDataProcessingConsent", "sensitive"),
    )
}
