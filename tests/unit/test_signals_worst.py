"""The most work that 64 kB can ask for: memory in every run, time in the long lane."""

import time
import tracemalloc

import msgspec
import pytest

from cdp.consent.signals.decode import SignalKind, signal_decode, signal_refused
from cdp.consent.signals.errors import MAX_SIGNAL_CHARS, SignalError
from tests.signal_strings import (
    AS_OF,
    MADE,
    NO_VENDORS,
    base64url,
    bitfield,
    day_bits,
    fibonacci_pairs,
    gpp_header,
    number,
    range_bits,
    restriction_bits,
    tcf_core_bits,
    vendor_ranges,
)

MAX_SECONDS, MAX_BYTES = 1.0, 50_000_000
EVERY_ID = vendor_ranges([(1, 65_535)] * 4_095)
EVERY_SECOND_ID = number(65_535, 16) + "0" + bitfield(range(1, 65_536, 2), 65_535)
CANADA_HEAD = number(1, 6) + day_bits(MADE) * 2 + "0" * 30 + "0" * 12 + "0" * 12 + "0" * 6 + "0" * 61
UNKNOWN = 32_000

WORST: dict[str, tuple[SignalKind, str]] = {
    "4,095 ranges of every vendor, twice": ("tcf", base64url(tcf_core_bits(vendors=EVERY_ID, vendors_li=EVERY_ID))),
    "every second vendor": (
        "tcf",
        base64url(tcf_core_bits(vendors=EVERY_SECOND_ID, vendors_li=EVERY_SECOND_ID))
        + "."
        + base64url("001" + EVERY_SECOND_ID)
        + "."
        + base64url("010" + EVERY_SECOND_ID),
    ),
    "4,095 restrictions of 200 vendors": (
        "tcf",
        base64url(
            tcf_core_bits(
                vendors=NO_VENDORS, restrictions=restriction_bits(*((1, 0, [(i, i + 199)]) for i in range(300, 4_395)))
            )
        ),
    ),
    "restrictions of single vendors": (
        "tcf",
        base64url(
            tcf_core_bits(
                vendors=NO_VENDORS,
                restrictions=restriction_bits(*[(1, 0, [(i, i) for i in range(1, 8_190, 2)])] * 5),
            )
        ),
    ),
    "zeros": ("tcf", "C" + "A" * (MAX_SIGNAL_CHARS - 1)),
    "dots": ("tcf", "C" + "." * (MAX_SIGNAL_CHARS - 1)),
    "segments": ("tcf", "C" + ".YA" * 21_000),
    "one endless number": ("gpp", "DBAB" + "V" * 65_000),
    "tildes": ("gpp", "DBABM" + "~" * 65_000),
    "unknown sections": (
        "gpp",
        base64url(number(3, 6) + number(1, 6) + fibonacci_pairs([(28, 27 + UNKNOWN)]), 8) + "~a" * UNKNOWN,
    ),
    "parts of a US section": ("gpp", gpp_header(7) + "~CVQVAAAAAABo" + ".YA" * 21_000),
    "Canada, every second vendor": (
        "gpp",
        gpp_header(5) + "~" + base64url(CANADA_HEAD + EVERY_SECOND_ID * 2 + number(0, 12)),
    ),
    "Canada, both forms in vain": (
        "gpp",
        gpp_header(5) + "~" + base64url(CANADA_HEAD + EVERY_SECOND_ID * 2 + number(4_095, 12) + "01" * 65_000),
    ),
    "Canada, ranges": (
        "gpp",
        gpp_header(5)
        + "~"
        + base64url(
            CANADA_HEAD
            + (number(65_535, 16) + "1" + fibonacci_pairs([(i, i + 1) for i in range(1, 12_000, 3)])) * 2
            + number(1_500, 12)
            + (number(1, 6) + "00" + number(65_535, 16) + "1" + fibonacci_pairs([(1, 65_535)])) * 1_500
        ),
    ),
    "Canada, ranges of old": (
        "gpp",
        gpp_header(5) + "~" + base64url(CANADA_HEAD + EVERY_ID * 2 + number(1, 12) + "00000100" + range_bits([(1, 9)])),
    ),
    "US Privacy": ("usp", "1" * MAX_SIGNAL_CHARS),
    "GPC": ("gpc", "0," * (MAX_SIGNAL_CHARS // 2)),
}


def work(kind: SignalKind, text: str) -> bytes:
    assert len(text) <= MAX_SIGNAL_CHARS
    try:
        return msgspec.json.encode(signal_decode(kind, text, AS_OF))
    except SignalError as error:
        return msgspec.json.encode(signal_refused(kind, error))


@pytest.mark.parametrize("name", WORST)
def test_memory(name: str) -> None:
    tracemalloc.start()
    try:
        work(*WORST[name])
        assert tracemalloc.get_traced_memory()[1] <= MAX_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.long
@pytest.mark.parametrize("name", WORST)
def test_time(name: str) -> None:
    work(*WORST[name])
    started = time.perf_counter()
    work(*WORST[name])
    assert time.perf_counter() - started <= MAX_SECONDS


def test_what_can_be_read_is_read() -> None:
    readable = {name for name, (kind, text) in WORST.items() if b'"valid":true' in work(kind, text)}
    assert readable == {
        "4,095 ranges of every vendor, twice",
        "every second vendor",
        "4,095 restrictions of 200 vendors",
        "restrictions of single vendors",
        "unknown sections",
        "Canada, every second vendor",
        "Canada, ranges",
        "Canada, ranges of old",
    }
