"""One door to all readers: a signal of some kind goes in, what it says comes out, as JSON can say it.

Whoever keeps a signal as evidence stores the text it gave to ``signal_decode`` as it was, with ``DECODER`` beside it: a later
reader can then say again what it says. An answer is never kept in place of the text.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Literal, assert_never, get_args

from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.gpc import gpc_is_on, gpc_view
from cdp.consent.signals.gpp import gpp_read, gpp_view
from cdp.consent.signals.tcf import tcf_read, tcf_view
from cdp.consent.signals.tcf_use import permits_view, tcf_unusable_reasons
from cdp.consent.signals.us_privacy import us_privacy_effects, us_privacy_read, us_privacy_view
from cdp.consent.signals.values import View

DECODER = "signals-1"
type SignalKind = Literal["tcf", "gpp", "usp", "gpc"]
KINDS: tuple[SignalKind, ...] = get_args(SignalKind.__value__)


def signal_decode(kind: SignalKind, text: str, as_of: dt.datetime) -> View:
    """What the signal says; ``as_of`` (aware UTC) decides whether a TC string is still usable.

    Raises SignalError, and nothing else, for any text. GPC never does: what is not "1" is as if absent.
    """
    match kind:
        case "tcf":
            return _tcf(text, as_of)
        case "gpp":
            return {"valid": True, **gpp_view(gpp_read(text))}
        case "usp":
            found = us_privacy_read(text)
            return {"valid": True, "decoded": us_privacy_view(found), "effects": us_privacy_effects(found)}
        case "gpc":
            return gpc_decode([text])
        case _:
            assert_never(kind)


def gpc_decode(values: Iterable[object]) -> View:
    """What several ``Sec-GPC`` headers, or a browser's own true, say together."""
    return gpc_view(gpc_is_on(values))


def signal_refused(kind: SignalKind | None, error: SignalError) -> View:
    """The answer that stands for a signal which cannot be read: the reason, and nothing granted."""
    answer: View = {"valid": False, "error": error.code}
    return {**answer, "usable": False} if kind == "tcf" else answer


def _tcf(text: str, as_of: dt.datetime) -> View:
    tc = tcf_read(text)
    reasons = tcf_unusable_reasons(tc, as_of)
    return {
        "valid": True,
        "usable": not reasons,
        "unusable_reasons": reasons,
        "decoded": tcf_view(tc),
        "permits_by_consent": permits_view(tc, is_usable=not reasons),
    }
