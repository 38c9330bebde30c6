"""What does a US Privacy string say: may this person's data be sold under Californian law?

Source: IAB US Privacy String, version 1 (March 2020). Deprecated since 2024-01-31, still met alone and as GPP section 6.
"""

import re
from dataclasses import dataclass

from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.values import View

_STRING = re.compile(r"1(?:---|([YN-])([YN])([YN-]))")


@dataclass(frozen=True, slots=True)
class UsPrivacy:
    """Each ``Y``, ``N`` or ``-``; three hyphens say that the law does not apply."""

    notice: str
    opt_out_sale: str
    lspa_covered: str

    @property
    def ccpa_applies(self) -> bool:
        return self.opt_out_sale != "-"

    @property
    def is_opted_out(self) -> bool:
        return self.opt_out_sale == "Y"

    @property
    def is_sale_restricted(self) -> bool:
        """Opted out, or never given the notice that a sale needs."""
        return self.ccpa_applies and (self.is_opted_out or self.notice != "Y")


def us_privacy_read(text: str) -> UsPrivacy:
    """Raises SignalError for anything but four characters in capitals; "opted out" may not be unknown where the law applies."""
    found = _STRING.fullmatch(text)
    if not found:
        raise SignalError(
            "bad_usp",
            "A US Privacy string is 1 and three of Y, N and - in capitals. The third is Y or N unless all three are -.",
        )
    notice, opt_out, lspa = found.groups(default="-")
    return UsPrivacy(notice, opt_out, lspa)


def us_privacy_view(found: UsPrivacy) -> View:
    """The fields under the names of the specification."""
    return {
        "Version": 1,
        "Notice": found.notice,
        "OptOutSale": found.opt_out_sale,
        "LspaCovered": found.lspa_covered,
    }


def us_privacy_effects(found: UsPrivacy) -> View:
    """What follows for a sale."""
    return {
        "ccpa_applies": found.ccpa_applies,
        "sale_opt_out": found.is_opted_out,
        "sale_restricted": found.is_sale_restricted,
    }
