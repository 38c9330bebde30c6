"""What to do next when something goes wrong.

Three families, by recovery. Anything that is none of these is a bug and is not caught.
A message names the field and the fix; it never carries an identifier, a trait, a hash or a token.
"""

from dataclasses import dataclass


class RetryableError(Exception):
    """Wait and repeat: a time-out, a 429, a lost connection.

    ``retry_after_seconds`` is what the other side asked for, or None.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RejectedError(Exception):
    """This record or request is wrong; keep the rest.

    ``code`` is stable and machine-readable, ``field`` is a path such as ``batch[3].messageId``.
    """

    def __init__(self, message: str, *, code: str = "invalid", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field


class NeedsHumanError(Exception):
    """Credentials, quota or configuration: pause the connection until somebody has acted."""

    def __init__(self, message: str, *, code: str = "needs_human") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field of a request or one line of a file."""

    field: str
    code: str
    message: str
