"""Did this person's browser ask not to be sold or shared? Global Privacy Control.

Source: W3C Global Privacy Control: ``Sec-GPC`` counts only as exactly "1", anything else is as if absent, and of several
headers one suffices. A WSGI server joins several headers with commas, so a value is split there; HTTP allows blanks around it.
"""

from collections.abc import Iterable

from cdp.consent.signals.values import View

_BLANKS = " \t"


def gpc_is_on(values: Iterable[object]) -> bool:
    """Whether one of the header values is "1", or is ``navigator.globalPrivacyControl`` being true. Never raises."""
    return any(
        value is True or (isinstance(value, str) and "1" in (part.strip(_BLANKS) for part in value.split(",")))
        for value in values
    )


def gpc_view(is_on: bool) -> View:
    """A signal is an opt-out of sale and of sharing; its absence says nothing."""
    return {"gpc": is_on, "effects": {"sale_opt_out": is_on, "sharing_opt_out": is_on}}
