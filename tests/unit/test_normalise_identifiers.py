"""One spelling per identifier; placeholders stand for nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.core.errors import RejectedError
from cdp.core.normalise import identifier_normalise, value_is_blocked


def spell(normaliser: str, value: object, **options: object) -> str:
    return identifier_normalise(normaliser, value, field="x", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("normaliser", "value", "expected"),
    [
        ("email", " Bob.Smith+news@Example.COM ", "bob.smith+news@example.com"),
        ("email", "ｂｏｂ@example.com", "bob@example.com"),  # full-width letters, NFKC
        ("email", "jürgen@müller.de", "jürgen@müller.de"),
        ("email", "a@b.co", "a@b.co"),
        ("phone", "+33 6 12 34 56 78", "+33612345678"),
        ("phone", "+1 (415) 555-2671", "+14155552671"),
        ("phone", "0033612345678", "+33612345678"),
        ("text", "  Ab-1 ", "Ab-1"),
        ("text", 42, "42"),
        ("text", 42.0, "42"),
        ("text", "👩‍🚀", "👩‍🚀"),
        ("device", "AEBE52E7-03EE-455A-B3C4-E57283966239", "aebe52e7-03ee-455a-b3c4-e57283966239"),
    ],
)
def test_spelling(normaliser: str, value: object, expected: str) -> None:
    assert spell(normaliser, value, region="FR") == expected


def test_national_numbers_need_a_region() -> None:
    assert spell("phone", "06 12 34 56 78", region="FR") == "+33612345678"
    with pytest.raises(RejectedError, match="country code"):
        spell("phone", "06 12 34 56 78")


@pytest.mark.parametrize(
    ("normaliser", "value", "code"),
    [
        ("email", "bob", "email"),
        ("email", "bob@", "email"),
        ("email", "@example.com", "email"),
        ("email", "a b@example.com", "email"),
        ("email", "bob@localhost", "email"),
        ("email", "bob@example.com\nbcc:x@example.com", "characters"),
        ("email", "x" * 65 + "@example.com", "email"),
        ("phone", "12", "phone"),
        ("phone", "call me", "phone"),
        ("text", "x" * 201, "length"),
        ("text", 2**300, "length"),
        ("text", "a\x00b", "characters"),
        ("text", "\ud800", "characters"),
        ("text", None, "type"),
        ("text", True, "type"),
        ("text", ["u1"], "type"),
        ("text", {"id": 1}, "type"),
        ("text", b"u1", "type"),
        ("text", "", "empty"),
        ("text", "   ", "empty"),
        *[
            ("text", value, "blocked")
            for value in (
                *("undefined", "Undefined", '"undefined"', "'null'", "NULL", "None", "NaN", "anonymous", "GUEST"),
                *("0", "000", "-1", "[object Object]", "true", "False", "00000000-0000-0000-0000-000000000000", "---"),
                *("distinct_id", "?", "n/a", "not set"),
            )
        ],
        ("device", "00000000-0000-0000-0000-000000000000", "blocked"),
        ("email", "null@example.com", "blocked"),
        ("text", 0, "blocked"),
        ("text", float("nan"), "blocked"),
    ],
)
def test_refused_with_field_and_fix(normaliser: str, value: object, code: str) -> None:
    with pytest.raises(RejectedError) as caught:
        spell(normaliser, value)
    assert (caught.value.code, caught.value.field) == (code, "x")


@pytest.mark.parametrize("normaliser", ["email", "phone", "text", "device"])
def test_a_refusal_never_repeats_the_value(normaliser: str) -> None:
    with pytest.raises(RejectedError) as caught:
        spell(normaliser, "secret-value\x07" + "x" * 300)
    assert "secret" not in caught.value.message


def test_types_block_values_of_their_own() -> None:
    assert spell("text", "Shop-Till")
    with pytest.raises(RejectedError, match="placeholder"):
        spell("text", "Shop-Till", blocked_values=frozenset({"shop-till"}))


@pytest.mark.parametrize("value", ["u0", "10", "1e5", "id-1", "anonymous-7f3a", "0a"])
def test_ids_that_only_look_like_placeholders_pass(value: str) -> None:
    assert not value_is_blocked(value)


@given(
    st.sampled_from(["email", "phone", "text", "device"]), st.one_of(st.text(), st.integers(), st.floats(), st.none())
)
def test_any_value_is_spelled_stably_or_refused(normaliser: str, value: object) -> None:
    try:
        text = spell(normaliser, value, region="FR")
    except RejectedError:
        return
    assert spell(normaliser, text, region="FR") == text
    assert 0 < len(text) <= 254
