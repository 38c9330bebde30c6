"""Bits, intervals and lists of ids: nothing read past the end, nothing expanded, nothing left over."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.consent.signals.bits import BitReader
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.intervals import (
    LISTED_IDS,
    ids_view,
    intervals_contain,
    intervals_count,
    intervals_from_bits,
    intervals_list,
    intervals_merge,
)
from cdp.consent.signals.ranges import fibonacci_range, integer_optimized, integer_range, restrictions
from tests.signal_strings import base64url, fibonacci, fibonacci_pairs, number, range_bits, vendor_ranges

PAIRS = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 50)).map(lambda pair: (pair[0], sum(pair))), max_size=30)


def reader(bits: str) -> BitReader:
    return BitReader(base64url(bits), "truncated")


def code_of(error: pytest.ExceptionInfo[SignalError]) -> str:
    return error.value.code


@pytest.mark.parametrize("segment", ["", "A=", "A+", "A/", "A B", "A\n", "Ä", "А", "A.B", "A\x00"])
def test_only_base64url_without_padding_signs(segment: str) -> None:
    with pytest.raises(SignalError) as error:
        BitReader(segment, "truncated")
    assert code_of(error) == "illegal_character_or_empty"


def test_fields_in_order() -> None:
    found = reader("000101" + "1" + "011" + "000000" + "011001")
    assert (found.number(6), found.flag(), found.text(3), found.letters(2)) == (5, True, "011", "AZ")
    found.finish()


def test_reading_past_the_end_is_the_callers_error() -> None:
    with pytest.raises(SignalError) as error:
        BitReader("A", "truncated_section").number(7)
    assert code_of(error) == "truncated_section"


@pytest.mark.parametrize(("segment", "used"), [("AB", 6), ("B", 5), ("AAAAA", 6), ("AAAAAA", 24)])
def test_what_is_left_must_be_the_padding_of_one_group(segment: str, used: int) -> None:
    found = BitReader(segment, "truncated")
    found.text(used)
    with pytest.raises(SignalError) as error:
        found.finish()
    assert code_of(error) == "trailing_bits"


@pytest.mark.parametrize(("segment", "used"), [("A", 3), ("AA", 3), ("AAAA", 3), ("AAAA", 24), ("AAAAAAAA", 25)])
def test_any_official_padding_is_one(segment: str, used: int) -> None:
    found = BitReader(segment, "truncated")
    found.text(used)
    found.finish()


@given(st.integers(1, 65_535))
def test_fibonacci_numbers(value: int) -> None:
    assert reader(fibonacci(value)).fibonacci() == value


@pytest.mark.parametrize(
    ("bits", "code"), [("0" * 24, "number_too_large"), ("0" * 12, "truncated"), ("1", "truncated")]
)
def test_fibonacci_numbers_end(bits: str, code: str) -> None:
    with pytest.raises(SignalError) as error:
        reader(bits).fibonacci()
    assert code_of(error) == code


@given(PAIRS)
def test_merged_intervals_are_the_set(pairs: list[tuple[int, int]]) -> None:
    merged = intervals_merge(pairs)
    ids = {i for first, last in pairs for i in range(first, last + 1)}
    assert intervals_list(merged) == sorted(ids)
    assert intervals_count(merged) == len(ids)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(merged))
    assert all(intervals_contain(merged, i) == (i in ids) for i in range(460))


@given(st.text("01", max_size=300))
def test_bits_become_intervals(bits: str) -> None:
    assert intervals_list(intervals_from_bits(bits)) == [i for i, bit in enumerate(bits, 1) if bit == "1"]


def test_large_sets_are_shown_as_ranges() -> None:
    assert ids_view(((1, LISTED_IDS),)) == list(range(1, LISTED_IDS + 1))
    assert ids_view(((1, LISTED_IDS), (900, 900))) == {"ranges": [[1, LISTED_IDS], [900, 900]]}


@given(PAIRS)
def test_ranges_in_any_order(pairs: list[tuple[int, int]]) -> None:
    assert integer_range(reader(range_bits(pairs))) == intervals_merge(pairs)


@given(st.sets(st.integers(1, 65_535), max_size=40))
def test_fibonacci_ranges(ids: set[int]) -> None:
    pairs = intervals_merge((i, i) for i in ids)
    assert fibonacci_range(reader(fibonacci_pairs(pairs))) == pairs


@pytest.mark.parametrize(
    ("bits", "code"),
    [
        (range_bits([(9, 3)]), "reversed_range"),
        (range_bits([(0, 3)]), "id_zero"),
        (range_bits([(0, 0)]), "id_zero"),
        (range_bits([(3, 9)])[:-6], "truncated"),
        (number(4_095, 12), "truncated"),
    ],
)
def test_damaged_ranges(bits: str, code: str) -> None:
    with pytest.raises(SignalError) as error:
        integer_range(reader(bits))
    assert code_of(error) == code


def test_ids_beyond_sixteen_bits() -> None:
    with pytest.raises(SignalError) as error:
        fibonacci_range(reader(number(1, 12) + "1" + fibonacci(65_535) + fibonacci(1)))
    assert code_of(error) == "number_too_large"


def test_a_range_beyond_the_announced_largest_id() -> None:
    assert integer_optimized(reader(vendor_ranges([(1, 9)], largest=12))) == ((1, 9),)
    with pytest.raises(SignalError) as error:
        integer_optimized(reader(vendor_ranges([(1, 9)], largest=8)))
    assert code_of(error) == "range_beyond_max_vendor_id"


def test_a_restriction_names_a_purpose() -> None:
    with pytest.raises(SignalError) as error:
        restrictions(reader(number(1, 12) + number(0, 8) + range_bits([(5, 5)])), integer_range)
    assert code_of(error) == "id_zero"
