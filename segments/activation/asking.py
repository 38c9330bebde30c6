"""The consent gate as activation asks it: no answer is neither a yes nor a withdrawal."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cdp.consent.gate import GateReason, GateResult, consent_gate
from cdp.core.errors import RetryableError

__all__ = ["gate_ask"]


def gate_ask(people: npt.NDArray[np.int64], purposes: Sequence[str], at: dt.datetime) -> GateResult:
    """As ``consent_gate``. Raises RetryableError when it could not answer: nobody is sent then, and nobody is taken off."""
    asked = consent_gate(people, purposes, at)
    if bool((asked.reason == GateReason.ERROR).any()):
        raise RetryableError("the consent gate did not answer")
    return asked
