"""Signals made bit by bit from the specifications, for tests. The service itself never makes one."""

import datetime as dt
from collections.abc import Iterable, Sequence

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
MADE = dt.date(2026, 11, 2)
AS_OF = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
NO_VENDORS = "0" * 17


def number(value: int, width: int) -> str:
    bits = f"{value:0{width}b}"
    assert len(bits) == width, "does not fit"
    return bits


def base64url(bits: str, group: int = 6) -> str:
    """Filled with zeros to whole groups, then to whole characters."""
    bits += "0" * (-len(bits) % group)
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def bitfield(ids: Iterable[int], width: int) -> str:
    chosen = set(ids)
    return "".join("1" if position in chosen else "0" for position in range(1, width + 1))


def vendor_bits(ids: Sequence[int]) -> str:
    return number(max(ids, default=0), 16) + "0" + bitfield(ids, max(ids, default=0))


def range_bits(pairs: Sequence[tuple[int, int]]) -> str:
    one = ("0" + number(a, 16) if a == b else "1" + number(a, 16) + number(b, 16) for a, b in pairs)
    return number(len(pairs), 12) + "".join(one)


def vendor_ranges(pairs: Sequence[tuple[int, int]], largest: int | None = None) -> str:
    return number(max(b for _, b in pairs) if largest is None else largest, 16) + "1" + range_bits(pairs)


def restriction_bits(*found: tuple[int, int, Sequence[tuple[int, int]]]) -> str:
    each = (number(purpose, 6) + number(kind, 2) + range_bits(pairs) for purpose, kind, pairs in found)
    return number(len(found), 12) + "".join(each)


def day_bits(day: dt.date) -> str:
    return number((day - dt.date(1970, 1, 1)).days * 864_000, 36)


def tcf_core_bits(
    *,
    version: int = 2,
    created: dt.date = MADE,
    last_updated: dt.date | None = None,
    policy: int = 5,
    cmp_id: int = 401,
    is_service_specific: bool = True,
    purposes: Iterable[int] = range(1, 12),
    is_purpose_one_hidden: bool = False,
    vendors: str | None = None,
    vendors_li: str = NO_VENDORS,
    restrictions: str = "0" * 12,
    language: str = "EN",
) -> str:
    letters = "".join(number(ALPHABET.index(letter), 6) for letter in language)
    return (
        number(version, 6)
        + day_bits(created)
        + day_bits(last_updated or created)
        + number(cmp_id, 12)
        + number(2, 12)
        + number(1, 6)
        + letters
        + number(190, 12)
        + number(policy, 6)
        + str(int(is_service_specific))
        + "0"
        + bitfield((), 12)
        + bitfield(purposes, 24)
        + bitfield((), 24)
        + str(int(is_purpose_one_hidden))
        + letters
        + (vendor_bits([10, 21, 755]) if vendors is None else vendors)
        + vendors_li
        + restrictions
    )


def tcf_disclosed(vendors: str | None = None) -> str:
    return base64url("001" + (vendor_bits([10, 21, 755]) if vendors is None else vendors))


def tcf_string(disclosed: str | None = "", **core: object) -> str:
    """Core and disclosed vendors; ``disclosed=None`` leaves the second out."""
    text = base64url(tcf_core_bits(**core))  # type: ignore[arg-type]
    return text if disclosed is None else f"{text}.{disclosed or tcf_disclosed()}"


def fibonacci(value: int) -> str:
    terms = [1, 2]
    while terms[-1] <= value:
        terms.append(terms[-1] + terms[-2])
    code = ""
    for term in reversed(terms):
        if term <= value:
            code, value = "1" + code, value - term
        elif code:
            code = "0" + code
    return code + "1"


def fibonacci_pairs(pairs: Sequence[tuple[int, int]]) -> str:
    bits, before = number(len(pairs), 12), 0
    for first, last in pairs:
        bits += ("0" if first == last else "1") + fibonacci(first - before)
        bits += "" if first == last else fibonacci(last - first)
        before = last
    return bits


def gpp_header(*ids: int) -> str:
    return base64url(number(3, 6) + number(1, 6) + fibonacci_pairs([(i, i) for i in ids]), 8)


def gpp_string(sections: dict[int, str]) -> str:
    return "~".join([gpp_header(*sections), *sections.values()])


def us_section(version: int, *values: int) -> str:
    """Two bits a value."""
    return base64url(number(version, 6) + "".join(number(value, 2) for value in values), 8)
