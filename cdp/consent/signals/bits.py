"""A base64url segment as bits, read field by field to its exact end.

The IAB formats have no checksum. What protects against damage is that nothing is read past the end, nothing but zeros may
follow the last field, and the zeros only fill up the last group of 24 bits (the widest padding any official encoder writes).
"""

import re

from cdp.consent.signals.errors import SignalError

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SIX_BITS = {ord(letter): f"{number:06b}" for number, letter in enumerate(_ALPHABET)}
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
PADDING_GROUP_BITS = 24
# The 23rd term of 1, 2, 3, 5, 8 … is 46,368: with it every id of 16 bits can be written.
FIBONACCI = (
    1,
    2,
    3,
    5,
    8,
    13,
    21,
    34,
    55,
    89,
    144,
    233,
    377,
    610,
    987,
    1597,
    2584,
    4181,
    6765,
    10946,
    17711,
    28657,
    46368,
)


def segment_check(segment: str) -> None:
    """Raises SignalError unless the text is one or more characters of base64url, without padding signs."""
    if not _SEGMENT.fullmatch(segment):
        raise SignalError(
            "illegal_character_or_empty",
            "A segment is empty or holds a character outside A-Z, a-z, 0-9, - and _. Copy the whole string, without spaces.",
        )


class BitReader:
    """A place in the bits of one segment. ``truncated_code`` names the error of reading past the end."""

    __slots__ = ("_at", "_bits", "_truncated_code")

    def __init__(self, segment: str, truncated_code: str) -> None:
        segment_check(segment)
        self._bits = segment.translate(_SIX_BITS)
        self._at = 0
        self._truncated_code = truncated_code

    def text(self, width: int) -> str:
        """The next bits as zeros and ones."""
        end = self._at + width
        if end > len(self._bits):
            raise SignalError(
                self._truncated_code, "The string ends in the middle of a field: a part of it is missing."
            )
        found = self._bits[self._at : end]
        self._at = end
        return found

    def number(self, width: int) -> int:
        """An unsigned integer of ``width`` bits, 1 or more."""
        return int(self.text(width), 2)

    def flag(self) -> bool:
        return self.text(1) == "1"

    def letters(self, count: int) -> str:
        """Letters of six bits each, A to Z."""
        codes = [self.number(6) for _ in range(count)]
        if max(codes) > 25:
            raise SignalError(
                "illegal_letter", "A language or country code holds something that is no letter from A to Z."
            )
        return "".join(_ALPHABET[code] for code in codes)

    def fibonacci(self) -> int:
        """A Fibonacci-coded integer, at least 1 (GPP core specification). Longer codes than an id needs are refused."""
        end = self._bits.find("11", self._at, self._at + len(FIBONACCI) + 1)
        if end < 0:
            # either the bits end or the number is larger than any id
            if len(self._bits) - self._at <= len(FIBONACCI):
                raise SignalError(
                    self._truncated_code, "The string ends in the middle of a number: a part of it is missing."
                )
            raise SignalError("number_too_large", "A number is larger than any id can be.")
        code = self._bits[self._at : end + 1]
        self._at = end + 2
        return sum(term for term, bit in zip(FIBONACCI, code, strict=False) if bit == "1")

    def finish(self, *, may_be_filled: bool = False) -> None:
        """Raises SignalError when something but the padding is left; with ``may_be_filled`` any number of zeros may be."""
        if "1" in self._bits[self._at :]:
            raise SignalError("trailing_bits", "After the last field there are bits that belong to nothing.")
        if may_be_filled:
            return
        needed = -(-self._at // PADDING_GROUP_BITS) * PADDING_GROUP_BITS
        if len(self._bits) > needed:
            raise SignalError("trailing_bits", "The string is longer than its fields need.")
