"""The one way in which reading a signal fails. A damaged signal has no partial result: whatever is wrong, nothing is granted."""

from cdp.core.errors import RejectedError

MAX_SIGNAL_CHARS = 65_536


class SignalError(RejectedError):
    """The signal cannot be read. ``code`` is stable; the message says what is wrong and never repeats the signal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code, field="string")


def size_check(text: str) -> None:
    """Raises SignalError above ``MAX_SIGNAL_CHARS``: no browser can send more, and work stays bounded."""
    if len(text) > MAX_SIGNAL_CHARS:
        raise SignalError("too_long", f"A signal has at most {MAX_SIGNAL_CHARS:,} characters.")
