"""Lists of ids as TCF and GPP write them: a bit field up to the largest id, or single ids and ranges.

Sources: TCF consent string specification v2.2 (vendor sections, publisher restrictions); GPP consent string specification
(Range(Fibonacci), OptimizedRange, OptimizedIntRange, N-ArrayOfRanges).
"""

from collections.abc import Callable
from dataclasses import dataclass

from cdp.consent.signals.bits import BitReader
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.intervals import Interval, Intervals, intervals_from_bits, intervals_merge

LARGEST_ID = 65_535
UNDEFINED_TYPE = 3
type RangeReader = Callable[[BitReader], Intervals]


@dataclass(frozen=True, slots=True)
class Restriction:
    """A publisher's word about one purpose for some vendors: 0 not allowed, 1 consent only, 2 legitimate interest only."""

    purpose: int
    type: int
    vendors: Intervals


def integer_range(reader: BitReader) -> Intervals:
    """Range(Int): a count of 12 bits, then single ids or first and last ids of 16 bits, in any order."""
    pairs: list[Interval] = []
    for _ in range(reader.number(12)):
        is_range = reader.flag()
        first = reader.number(16)
        last = reader.number(16) if is_range else first
        if first == 0:
            raise SignalError("id_zero", "A list of ids holds the id 0, which nobody has.")
        if last < first:
            raise SignalError("reversed_range", "A range of ids ends before it begins.")
        pairs.append((first, last))
    return intervals_merge(pairs)


def fibonacci_range(reader: BitReader) -> Intervals:
    """Range(Fibonacci): each id as its distance from the one before, hence ascending without repetition."""
    pairs: list[Interval] = []
    before = 0
    for _ in range(reader.number(12)):
        is_range = reader.flag()
        first = before + reader.fibonacci()
        before = first + reader.fibonacci() if is_range else first
        if before > LARGEST_ID:
            raise SignalError("number_too_large", "A number is larger than any id can be.")
        pairs.append((first, before))
    return intervals_merge(pairs)


def optimized(reader: BitReader, read_range: RangeReader) -> Intervals:
    """The largest id in 16 bits, one bit for the form, then a range list or a bit field of that many bits."""
    largest = reader.number(16)
    if not reader.flag():
        return intervals_from_bits(reader.text(largest))
    found = read_range(reader)
    if found and found[-1][1] > largest:
        raise SignalError(
            "range_beyond_max_vendor_id", "A range goes beyond the largest vendor id that the string announces."
        )
    return found


def integer_optimized(reader: BitReader) -> Intervals:
    """OptimizedIntRange, the form of the European vendor lists."""
    return optimized(reader, integer_range)


def fibonacci_optimized(reader: BitReader) -> Intervals:
    """OptimizedRange as the official encoders write it, the form of the Canadian vendor lists."""
    return optimized(reader, fibonacci_range)


def restrictions(reader: BitReader, read_vendors: RangeReader) -> tuple[Restriction, ...]:
    """A count of 12 bits, then purpose (6), type (2) and vendors of each restriction, in the string's order."""
    found: list[Restriction] = []
    for _ in range(reader.number(12)):
        purpose, kind = reader.number(6), reader.number(2)
        if purpose == 0:
            raise SignalError("id_zero", "A publisher restriction names the purpose 0, which does not exist.")
        if kind == UNDEFINED_TYPE:
            raise SignalError("undefined_value", "A publisher restriction is of type 3, which means nothing.")
        found.append(Restriction(purpose, kind, read_vendors(reader)))
    return tuple(found)
