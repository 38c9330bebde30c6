"""GPP strings: header, every section, what follows for advertising, and that damage never reads as "did not opt out"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.consent.signals.decode import signal_decode
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.gpp import gpp_read, gpp_view
from cdp.consent.signals.us_reading import CHOICES, DID_NOT_OPT_OUT, UsReading
from cdp.consent.signals.us_sections import US_SECTIONS, UsSection
from tests.signal_strings import (
    ALPHABET,
    AS_OF,
    MADE,
    base64url,
    bitfield,
    day_bits,
    fibonacci_pairs,
    gpp_header,
    gpp_string,
    number,
    tcf_string,
    us_section,
    vendor_ranges,
)

GPC_ON, GPC_OFF = "YA", "QA"
AGREED = [section for section in US_SECTIONS.values() if not section.is_disputed]
DISPUTED = [section for section in US_SECTIONS.values() if section.is_disputed]


def refused(text: str) -> str:
    with pytest.raises(SignalError) as error:
        gpp_read(text)
    return error.value.code


def view(text: str) -> dict[str, object]:
    return signal_decode("gpp", text, AS_OF)  # type: ignore[return-value]


def section_text(section: UsSection, version: int = 0, **values: int | tuple[int, ...]) -> str:
    """A section in which everything is 0 but what is named."""
    version = version or max(section.layouts)
    flat: list[int] = []
    for field in section.layouts[version]:
        value = values.get(field.name, 0)
        flat += value if isinstance(value, tuple) else [value] * (field.count or 1)
    return us_section(version, *flat)


def clear(section: UsSection) -> dict[str, int | tuple[int, ...]]:
    """Notice given and not opted out of anything."""
    names = {field.name for field in section.layouts[max(section.layouts)]}
    chosen = [choice for choice in CHOICES if choice in names]
    return (
        {choice: 2 for choice in chosen} | {f"{choice}Notice": 1 for choice in chosen} | {"MspaCoveredTransaction": 1}
    )


def effects(sections: dict[int, str]) -> dict[str, bool]:
    found: dict[str, bool] = gpp_view(gpp_read(gpp_string(sections)))["effects"]  # type: ignore[assignment]
    return found


def is_allowed(text: str) -> bool:
    """Whether ads are allowed; False when the text cannot be read. Any error but SignalError goes through."""
    try:
        return gpp_read(text).effects().ad_audience_sync_allowed_us
    except SignalError:
        return False


def clear_choices(text: str) -> set[tuple[int, str]]:
    """The "did not opt out" of a text."""
    try:
        sections = gpp_read(text).sections
    except SignalError:
        return set()
    return {
        (number, choice)
        for number, found in sections.items()
        if isinstance(found, UsReading)
        for choice in CHOICES
        if found.values.get(choice) == DID_NOT_OPT_OUT
    }


def test_the_sections_of_the_official_library() -> None:
    assert sorted(US_SECTIONS) == list(range(7, 28))
    bits = {s.name: [6 + 2 * sum(f.count or 1 for f in layout) for layout in s.layouts.values()] for s in AGREED}
    assert bits == {
        "usnat": [60, 70], "usca": [46], "usva": [40], "usco": [38], "usut": [42], "usct": [44], "usfl": [46],
        "usmt": [46], "usor": [52], "ustx": [42], "usde": [52], "usia": [42], "usne": [42], "usnh": [46], "usnj": [54],
        "ustn": [42], "usmn": [42],
    }  # fmt: skip


@pytest.mark.parametrize("section", AGREED, ids=lambda section: section.name)
def test_every_field_of_every_section(section: UsSection) -> None:
    for version, layout in section.layouts.items():
        for field in layout:
            value: int | tuple[int, ...] = 2 if field.count is None else tuple(1 + i % 2 for i in range(field.count))
            text = gpp_string({section.section_id: section_text(section, version, **{field.name: value})})
            read = gpp_read(text).sections[section.section_id]
            assert isinstance(read, UsReading)
            assert read.values.pop("Version") == version
            assert read.values.pop(field.name) == value
            assert ("Gpc" in read.values) is (section.second == "gpc")
            assert all(rest in (0, None) or set(rest) == {0} for rest in read.values.values())  # type: ignore[arg-type]


@pytest.mark.parametrize("section", AGREED, ids=lambda section: section.name)
def test_a_choice_of_three_is_undefined(section: UsSection) -> None:
    for field in section.layouts[max(section.layouts)]:
        text = gpp_string({section.section_id: section_text(section, **{field.name: 3})})
        assert refused(text) == "undefined_value"


@pytest.mark.parametrize("section", AGREED, ids=lambda section: section.name)
def test_no_version_is_read_as_another(section: UsSection) -> None:
    for version in {0, 1, 2, 3, 63} - section.layouts.keys():
        text = section_text(section)
        other = ALPHABET[version] + text[1:]
        assert refused(gpp_string({section.section_id: other})) == f"unsupported_version:{version}"


@pytest.mark.parametrize("section", AGREED, ids=lambda section: section.name)
def test_effects_of_every_section(section: UsSection) -> None:
    base = clear(section)
    assert effects({section.section_id: section_text(section, **base)})["ad_audience_sync_allowed_us"]
    for choice in base.keys() & set(CHOICES):
        out = effects({section.section_id: section_text(section, **(base | {choice: 1}))})
        key = {"SaleOptOut": "sale", "SharingOptOut": "sharing", "TargetedAdvertisingOptOut": "targeted_advertising"}
        assert {name for name, holds in out.items() if holds} == {"us_signal_present", f"{key[choice]}_opt_out"}
    child = next(field for field in section.layouts[max(section.layouts)] if field.name.startswith("KnownChild"))
    for place in range(child.count or 1):
        one = 1 if child.count is None else tuple(int(i == place) for i in range(child.count))
        with_child = effects({section.section_id: section_text(section, **(base | {child.name: one}))})
        assert {name for name, holds in with_child.items() if holds} == {
            "us_signal_present",
            "known_child_without_consent",
        }


@pytest.mark.parametrize("section", [s for s in AGREED if s.second], ids=lambda section: section.name)
def test_gpc_beats_every_choice(section: UsSection) -> None:
    text = section_text(section, **clear(section))
    found = effects({section.section_id: f"{text}.{GPC_ON}"})
    assert found == {
        "us_signal_present": True,
        "sale_opt_out": True,
        "sharing_opt_out": True,
        "targeted_advertising_opt_out": True,
        "gpc": True,
        "known_child_without_consent": False,
        "ad_audience_sync_allowed_us": False,
    }
    for gpc, expected in (("", None), (f".{GPC_OFF}", False), (f".{GPC_ON}", True), (".Y", True), (".YAAA", True)):
        read = gpp_read(gpp_string({section.section_id: text + gpc})).sections[section.section_id]
        assert isinstance(read, UsReading)
        assert read.values["Gpc"] is expected
    for gpc, code in (
        (".", "illegal_character_or_empty"),
        (".Z", "trailing_bits"),
        (".oA", "unknown_segment_type:2"),
        (".AA", "unknown_segment_type:0"),
        (".YA.YA", "unexpected_segment"),
        (".YAAAA", "trailing_bits"),
    ):
        assert refused(gpp_string({section.section_id: text + gpc})) == code


@pytest.mark.parametrize("section", [s for s in AGREED if not s.second], ids=lambda section: section.name)
def test_sections_without_a_second_part(section: UsSection) -> None:
    assert refused(gpp_string({section.section_id: f"{section_text(section)}.{GPC_ON}"})) == "unexpected_segment"


@pytest.mark.parametrize("section", DISPUTED, ids=lambda section: section.name)
@pytest.mark.parametrize("damage", ["", "whole", "other version", "no base64"])
def test_disputed_layouts_count_as_opted_out(section: UsSection, damage: str) -> None:
    text = section_text(section, **(clear(section) | {"MspaCoveredTransaction": 2}))
    text = {"": text, "whole": text[:-1], "other version": "Z" + text[1:], "no base64": "!"}[damage]
    gpp = gpp_read(gpp_string({7: section_text(US_SECTIONS[7], **clear(US_SECTIONS[7])), section.section_id: text}))
    found = gpp.effects()
    assert (found.sale_opt_out, found.sharing_opt_out, found.targeted_advertising_opt_out) == (True, True, True)
    assert not found.ad_audience_sync_allowed_us
    shown = gpp_view(gpp)["sections"][section.name]  # type: ignore[index,call-overload]
    assert (shown["raw"], shown["layout_disputed"]) == (text, True)
    assert ("SaleOptOut" in shown) is (damage == "")


def test_the_second_part_of_a_disputed_section() -> None:
    with_sensitive = gpp_read(gpp_string({25: section_text(US_SECTIONS[25]) + "." + base64url("10" * 8, 8)}))
    read = with_sensitive.sections[25]
    assert isinstance(read, UsReading)
    assert read.values["SensitiveDataProcessing"] == (2,) * 8
    child = section_text(US_SECTIONS[25], KnownChildSensitiveDataConsents=1)
    assert effects({25: child})["known_child_without_consent"]


@pytest.mark.parametrize(
    "contradiction",
    [{"SaleOptOutNotice": 0}, {"SaleOptOutNotice": 2}, {"SaleOptOut": 0}, {"TargetedAdvertisingOptOut": 0}],
)
def test_a_choice_without_its_notice_allows_nothing(contradiction: dict[str, int]) -> None:
    section = US_SECTIONS[10]
    found = effects({10: section_text(section, **(clear(section) | contradiction))})
    assert {name for name, holds in found.items() if holds} == {"us_signal_present"}


# --- header and the other sections ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" DBAA", "illegal_character_or_empty"),
        ("DBAA\n", "illegal_character_or_empty"),
        ("DBAA~é", "illegal_character_or_empty"),
        ("dbabla~CVQVAAAAAABo.YA", "bad_header"),
        ("1YNN", "bad_header"),
        ("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "bad_header"),
        ("DAAA", "unsupported_version:0"),
        ("DCAA", "unsupported_version:2"),
        ("DB", "truncated_header"),
        ("D", "truncated_header"),
        ("DBAB", "truncated_header"),
        ("DBAAB", "trailing_bits"),
        ("DBAA.QA", "illegal_character_or_empty"),
        ("DBAA~", "section_count_mismatch"),
        ("~", "illegal_character_or_empty"),
        (gpp_header(6, 7) + "~~1YNN", "blank_section"),
        (gpp_header(6) + "~1YNN~", "section_count_mismatch"),
        (gpp_header(6) + "~1Y--", "bad_usp"),
        (gpp_header(6) + "~1YNN.YA", "bad_usp"),
        (gpp_header(2) + "~" + tcf_string()[:-3], "truncated_section"),
        (gpp_header(5) + "~" + tcf_string(), "unsupported_version:2"),
        ("D" * 65_537, "too_long"),
    ],
)
def test_refused(text: str, code: str) -> None:
    assert refused(text) == code


def test_a_header_alone_says_nothing() -> None:
    assert view("DBAA") == {
        "valid": True,
        "section_ids": [],
        "sections": {},
        "effects": dict.fromkeys(effects({60: "x"}), False),
    }


def test_a_bare_tc_string_is_section_2() -> None:
    bare = gpp_view(gpp_read(tcf_string()))
    assert bare == gpp_view(gpp_read(gpp_string({2: tcf_string()})))
    assert bare["section_ids"] == [2]


def test_ids_written_as_one_group() -> None:
    header = base64url(number(3, 6) + number(1, 6) + fibonacci_pairs([(60, 62)]), 8)
    assert gpp_view(gpp_read(f"{header}~a~b~c"))["sections"] == {
        "section_60": {"raw": "a"},
        "section_61": {"raw": "b"},
        "section_62": {"raw": "c"},
    }


def test_an_announced_million_is_not_expanded() -> None:
    header = base64url(number(3, 6) + number(1, 6) + fibonacci_pairs([(1, 65_535)]), 8)
    assert refused(header + "~a") == "section_count_mismatch"


@pytest.mark.parametrize(("text", "allowed"), [("1YNN", True), ("1YYN", False), ("1NNN", False), ("1---", True)])
def test_us_privacy_inside(text: str, allowed: bool) -> None:
    found = view(gpp_string({6: text}))
    assert found["sections"] == {
        "uspv1": {"Version": 1, "Notice": text[1], "OptOutSale": text[2], "LspaCovered": text[3]}
    }
    assert found["effects"]["ad_audience_sync_allowed_us"] is allowed  # type: ignore[index,call-overload]
    assert found["effects"]["sale_opt_out"] is (text[2] == "Y")  # type: ignore[index,call-overload]


# --- Canada ------------------------------------------------------------------------------------------------------------------


def canada(express: str, implied: str, restricted: str) -> str:
    return base64url(
        number(1, 6) + day_bits(MADE) * 2 + number(50, 12) + number(2, 12) + number(0, 6) + number(4, 6) + number(13, 6)
        + number(413, 12) + number(2, 6) + "1" + bitfield([7], 12) + bitfield([1, 24], 24) + bitfield([2], 24)
        + express + implied + restricted,
        8,
    )  # fmt: skip


def test_canada_in_both_forms() -> None:
    fibonacci = canada(
        number(800, 16) + "1" + fibonacci_pairs([(12, 12), (24, 30), (800, 800)]),
        number(3, 16) + "0101",
        number(1, 12) + number(3, 6) + number(0, 2) + number(500, 16) + "1" + fibonacci_pairs([(3, 3), (500, 500)]),
    )
    integer = canada(
        vendor_ranges([(12, 12), (24, 30), (800, 800)]),
        number(3, 16) + "0101",
        number(1, 12) + number(3, 6) + number(0, 2) + number(2, 12) + "0" + number(3, 16) + "0" + number(500, 16),
    )
    found = [view(gpp_string({5: text}))["sections"]["tcfcav1"] for text in (fibonacci, integer)]  # type: ignore[index,call-overload]
    assert found[0] == found[1]
    assert found[0]["vendors_express_consent"] == [12, *range(24, 31), 800]
    assert found[0]["vendors_implied_consent"] == [1, 3]
    assert found[0]["publisher_restrictions"] == [{"purpose": 3, "type": 0, "vendors": [3, 500]}]
    assert (found[0]["purposes_express_consent"], found[0]["disclosed_vendors"]) == ((1, 24), None)


def test_the_official_librarys_canadian_strings() -> None:
    core = "BPSG_8APSG_8AAyACAENGdCgf_gfgAfgfgBhADVqxGAD0AILVgAA.fHHHA4444ao"
    old = "BPSG_8APSG_8AAyACAENGdCgf_gfgAfgfgBgABABAAABAB4AACACAAA.fHHHA4444ao"
    for text in (core, old):
        found = view(gpp_string({5: text}))["sections"]["tcfcav1"]  # type: ignore[index,call-overload]
        assert (found["vendors_express_consent"], found["vendors_implied_consent"]) == ([12, 24, 48], [18, 30])
        assert found["publisher_tc"]["num_custom_purposes"] == 3
    disclosed = "BPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAA.IAGO5w"
    for text in (disclosed, disclosed + "AA"):
        found = view(gpp_string({5: text}))["sections"]["tcfcav1"]  # type: ignore[index,call-overload]
        assert found["disclosed_vendors"] == [1, 2, 3, 5, 6, 7, 10, 11, 12]
    first = disclosed.split(".")[0]
    assert refused(gpp_string({5: disclosed + ".IAGO5w"})) == "duplicate_segment"
    assert refused(gpp_string({5: first + ".QAAA"})) == "unknown_segment_type:2"
    assert refused(gpp_string({5: first[:-3]})) == "truncated_section"


# --- damage ------------------------------------------------------------------------------------------------------------------

WHOLE = [
    gpp_string({s.section_id: section_text(s, **(clear(s) | extra)) + (f".{GPC_OFF}" if s.second == "gpc" else "")})
    for s in AGREED
    for extra in ({}, {"SaleOptOut": 1}, {"SaleOptOutNotice": 0, "SaleOptOut": 0})
]


@pytest.mark.parametrize("text", WHOLE)
def test_no_truncation_adds_did_not_opt_out(text: str) -> None:
    for length in range(len(text)):
        assert clear_choices(text[:length]) <= clear_choices(text)
        assert is_allowed(text[:length]) <= is_allowed(text)


@pytest.mark.parametrize("text", [text for text in WHOLE if not is_allowed(text)])
def test_no_flipped_bit_allows_what_was_opted_out(text: str) -> None:
    for place, letter in enumerate(text):
        if letter in ALPHABET:
            for bit in range(6):
                other = ALPHABET[ALPHABET.index(letter) ^ (1 << bit)]
                assert not is_allowed(text[:place] + other + text[place + 1 :]), (place, bit)


@given(st.text(max_size=120) | st.text(ALPHABET + ".~", max_size=120))
def test_arbitrary_text_allows_nothing(text: str) -> None:
    for prefix in ("", "D", "DB"):
        assert not is_allowed(prefix + text)
    for prefix in (gpp_header(7) + "~", gpp_header(7) + "~C", gpp_header(24) + "~B"):
        is_allowed(prefix + text)  # an answer or the one error


@given(st.sampled_from(WHOLE), st.data())
def test_mutations_end_in_an_answer_or_the_one_error(text: str, data: st.DataObject) -> None:
    first, last = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    is_allowed(text[:first] + data.draw(st.text(ALPHABET + ".~=", max_size=8)) + text[last:])
