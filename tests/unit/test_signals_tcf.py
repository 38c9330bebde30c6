"""TC strings: what is read, when it may be used, for whom, and that damage never gives anybody anything."""

import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdp.consent.signals.errors import MAX_SIGNAL_CHARS, SignalError
from cdp.consent.signals.tcf import tcf_read, tcf_section_read, tcf_view
from cdp.consent.signals.tcf_use import months_later, permits_view, tcf_permits_by_consent, tcf_unusable_reasons
from tests.signal_strings import (
    ALPHABET,
    AS_OF,
    NO_VENDORS,
    base64url,
    restriction_bits,
    tcf_core_bits,
    tcf_disclosed,
    tcf_string,
    vendor_bits,
    vendor_ranges,
)

VALID = tcf_string()
PUBLISHER = base64url("011" + "1" * 24 + "0" * 24 + "000010" + "10" + "01", 24)


def refused(text: str) -> str:
    with pytest.raises(SignalError) as error:
        tcf_read(text)
    return error.value.code


def reasons(as_of: dt.datetime = AS_OF, **changes: object) -> list[str]:
    return tcf_unusable_reasons(tcf_read(tcf_string(**changes)), as_of)  # type: ignore[arg-type]


def test_segments_stand_in_any_order() -> None:
    core, disclosed = VALID.split(".")
    one = tcf_read(f"{core}.{disclosed}.{PUBLISHER}")
    assert one == tcf_read(f"{core}.{PUBLISHER}.{disclosed}")
    assert one.publisher_tc is not None
    assert one.publisher_tc.custom_purposes_consent == (1,)
    assert one.publisher_tc.custom_purposes_li_transparency == (2,)
    assert tcf_read(core).disclosed_vendors is None


def test_withdrawn_allowed_vendors_are_read_and_ignored() -> None:
    allowed = base64url("010" + vendor_bits([3]))
    assert tcf_read(f"{VALID}.{allowed}") == tcf_read(VALID)
    assert refused(f"{VALID}.{allowed[:-1]}") == "truncated"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "illegal_character_or_empty"),
        (" " + VALID, "illegal_character_or_empty"),
        (VALID + "\n", "illegal_character_or_empty"),
        (VALID + ".", "illegal_character_or_empty"),
        (VALID + "==", "illegal_character_or_empty"),
        (VALID.replace(".", ".."), "illegal_character_or_empty"),
        (VALID + "é", "illegal_character_or_empty"),
        (VALID.lower(), "unsupported_version:28"),
        (tcf_string(version=1), "unsupported_version:1"),
        (tcf_string(version=3), "unsupported_version:3"),
        (tcf_string(language="E_"), "illegal_letter"),
        (f"{VALID}.{tcf_disclosed()}", "duplicate_segment"),
        (f"{VALID}.{PUBLISHER}.{PUBLISHER}", "duplicate_segment"),
        (f"{VALID}.{VALID.split('.')[0]}", "unknown_segment_type:0"),
        (f"{VALID}.{base64url('100' + NO_VENDORS)}", "unknown_segment_type:4"),
        (".".join(reversed(VALID.split("."))), "unsupported_version:8"),
        (VALID + "AAAA", "trailing_bits"),
        (VALID.replace(".", "AAAA."), "trailing_bits"),
        (tcf_string(vendors=vendor_ranges([(30, 20)], largest=40)), "reversed_range"),
        (tcf_string(vendors=vendor_ranges([(0, 20)])), "id_zero"),
        (tcf_string(disclosed=base64url("001" + vendor_ranges([(1, 20)], largest=19))), "range_beyond_max_vendor_id"),
        (tcf_string(restrictions=restriction_bits((4, 3, [(755, 755)]))), "undefined_value"),
        (tcf_string(cmp_id=0), "reserved_cmp_id"),
        (tcf_string(cmp_id=1), "reserved_cmp_id"),
        ("C" + "A" * MAX_SIGNAL_CHARS, "too_long"),
    ],
)
def test_refused(text: str, code: str) -> None:
    assert refused(text) == code


def test_a_section_of_a_gpp_string_may_name_no_platform() -> None:
    assert tcf_section_read(tcf_string(cmp_id=0)).cmp_id == 0


def test_overlapping_ranges_are_one_set() -> None:
    text = tcf_string(vendors=vendor_ranges([(20, 40), (10, 25), (700, 755), (12, 12)]))
    assert tcf_read(text).vendors_consent == ((10, 40), (700, 755))


def test_tenths_of_a_second_are_kept() -> None:
    bits = tcf_core_bits()
    tc = tcf_read(base64url(bits[:6] + "0" * 35 + "1" + bits[42:]))
    assert tcf_view(tc)["created"] == "1970-01-01T00:00:00.100Z"
    assert tcf_view(tc)["last_updated"] == "2026-11-02T00:00:00Z"


def test_early_encoders_filled_the_publishers_segment() -> None:
    filled = base64url("011" + "0" * 54) + "A" * 9
    assert tcf_read(f"{VALID}.{filled}").publisher_tc is not None
    assert refused(f"{VALID}.{filled}B") == "trailing_bits"


# --- may it be used ----------------------------------------------------------------------------------------------------


def test_usable() -> None:
    assert reasons() == []
    assert reasons(policy=4) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"is_service_specific": False}, ["not_service_specific"]),
        ({"disclosed": None}, ["disclosed_vendors_missing"]),
        ({"disclosed": None, "policy": 4}, ["disclosed_vendors_missing"]),
        ({"disclosed": None, "policy": 4, "created": dt.date(2026, 3, 1)}, ["disclosed_vendors_missing"]),
        ({"disclosed": None, "policy": 4, "created": dt.date(2026, 2, 28)}, []),
        ({"disclosed": None, "policy": 5, "created": dt.date(2026, 2, 28)}, ["disclosed_vendors_missing"]),
        ({"policy": 3}, ["policy_version_below_4"]),
        ({"policy": 6}, ["policy_version_unknown"]),
        ({"created": dt.date(2025, 10, 23)}, []),
        ({"created": dt.date(2025, 10, 22)}, ["older_than_13_months"]),
        ({"created": dt.date(2026, 11, 23)}, []),
        ({"created": dt.date(2026, 11, 24)}, ["created_in_the_future"]),
        ({"last_updated": dt.date(2026, 11, 3)}, ["created_differs_from_last_updated"]),
        (
            {"created": dt.date(2025, 1, 1), "last_updated": dt.date(2026, 11, 3)},
            ["created_differs_from_last_updated", "older_than_13_months"],
        ),
    ],
)
def test_reasons(changes: dict[str, object], expected: list[str]) -> None:
    assert reasons(**changes) == expected  # type: ignore[arg-type]


def test_old_policies_hold_for_strings_of_their_time() -> None:
    then = dt.datetime(2023, 10, 15, tzinfo=dt.UTC)
    assert reasons(then, policy=3, created=dt.date(2023, 9, 30), disclosed=None) == []
    assert reasons(then, policy=3, created=dt.date(2023, 10, 1), disclosed=None) == ["policy_version_below_4"]


def test_months_end() -> None:
    assert months_later(dt.date(2025, 1, 31), 13) == dt.date(2026, 2, 28)
    assert months_later(dt.date(2023, 1, 29), 13) == dt.date(2024, 2, 29)
    assert months_later(dt.date(2025, 11, 30), 13) == dt.date(2026, 12, 30)


# --- for whom ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "permitted"),
    [
        ({}, True),
        ({"purposes": [1, 3]}, False),
        ({"purposes": []}, False),
        ({"vendors": vendor_bits([754, 756])}, False),
        ({"vendors": vendor_ranges([(1, 65_535)])}, True),
        ({"disclosed": tcf_disclosed(vendor_bits([754, 756]))}, False),
        ({"is_purpose_one_hidden": True}, False),
        ({"restrictions": restriction_bits((4, 0, [(700, 800)]))}, False),
        ({"restrictions": restriction_bits((4, 1, [(700, 800)]))}, True),
        ({"restrictions": restriction_bits((4, 2, [(700, 800)]))}, False),
        ({"restrictions": restriction_bits((4, 1, [(755, 755)]), (4, 0, [(755, 755)]))}, False),
        ({"restrictions": restriction_bits((4, 0, [(754, 754), (756, 756)]), (2, 0, [(755, 755)]))}, True),
    ],
)
def test_permits(changes: dict[str, object], permitted: bool) -> None:
    tc = tcf_read(tcf_string(**changes))  # type: ignore[arg-type]
    assert tcf_permits_by_consent(tc, 755, (1, 3, 4)) is permitted
    assert permits_view(tc, is_usable=False) == dict.fromkeys(permits_view(tc, is_usable=True), False)


def test_no_purpose_permits_nothing() -> None:
    assert not tcf_permits_by_consent(tcf_read(VALID), 755, ())


# --- damage ----------------------------------------------------------------------------------------------------------------


def permitted(text: str) -> set[str]:
    """What a text permits at AS_OF: nothing when it cannot be read. Any error but SignalError goes through."""
    try:
        tc = tcf_read(text)
    except SignalError:
        return set()
    is_usable = not tcf_unusable_reasons(tc, AS_OF)
    return {question for question, holds in permits_view(tc, is_usable).items() if holds}


DENYING = {
    "nothing": tcf_string(purposes=[], vendors=NO_VENDORS),
    "no vendor": tcf_string(vendors=NO_VENDORS),
    "old": tcf_string(created=dt.date(2025, 9, 1)),
    "policy 3": tcf_string(policy=3),
    "not disclosed": tcf_string(disclosed=tcf_disclosed(vendor_bits([5]))),
    "no segment": tcf_string(disclosed=None),
    "two restrictions": tcf_string(
        restrictions=restriction_bits((1, 0, [(755, 755), (21, 21)]), (1, 2, [(755, 755), (21, 21)]))
    ),
    "two purposes missing": tcf_string(purposes=[2, 5, 6, 8, 9, 10, 11]),
}
GRANTING = {
    "all": VALID,
    "by range": tcf_string(vendors=vendor_ranges([(1, 800)]), disclosed=tcf_disclosed(vendor_ranges([(1, 65_535)]))),
    "with the publisher": f"{VALID}.{PUBLISHER}",
}


@pytest.mark.parametrize("text", [*DENYING.values(), *GRANTING.values()], ids=[*DENYING, *GRANTING])
def test_no_truncation_adds_a_purpose_or_a_vendor(text: str) -> None:
    whole = tcf_read(text)
    for length in range(len(text)):
        assert permitted(text[:length]) <= permitted(text)
        try:
            part = tcf_read(text[:length])
        except SignalError:
            continue
        assert (part.purposes_consent, part.vendors_consent) == (whole.purposes_consent, whole.vendors_consent)


@pytest.mark.parametrize("text", [*DENYING.values()], ids=[*DENYING])
def test_no_flipped_bit_permits_what_was_denied(text: str) -> None:
    """The format has no checksum, so a flip of the one bit that stands between a person and a vendor cannot be seen. Where a
    refusal rests on more than one bit, one alone never undoes it."""
    assert permitted(text) == set()
    for place, letter in enumerate(text):
        if letter in ALPHABET:
            for bit in range(6):
                other = ALPHABET[ALPHABET.index(letter) ^ (1 << bit)]
                assert permitted(text[:place] + other + text[place + 1 :]) == set(), (place, bit)


@given(st.text(max_size=200) | st.text(ALPHABET + ".", max_size=200))
@example("C" + "A" * 42)
def test_arbitrary_text_grants_nothing(text: str) -> None:
    assert permitted(text) == set()
    assert permitted("C" + text) == set()


@given(st.sampled_from([*DENYING.values(), *GRANTING.values()]), st.data())
def test_mutations_end_in_an_answer_or_the_one_error(text: str, data: st.DataObject) -> None:
    first, last = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    permitted(text[:first] + data.draw(st.text(ALPHABET + ".~=", max_size=8)) + text[last:])
