"""Trait keys in one spelling, values that fit their type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.core.errors import RejectedError
from cdp.profiles.trait_values import (
    trait_key_check,
    trait_key_is_plain,
    trait_key_normalise,
    trait_type_infer,
    trait_value_fit,
    traits_flatten,
)


@pytest.mark.parametrize("key", ["firstName", "First Name", "first_name", "first-name", " FIRST_NAME ", "FirstName"])
def test_one_spelling(key: str) -> None:
    assert trait_key_normalise(key) == "first_name"


@pytest.mark.parametrize("key", ["", "123", "__", "é", "x" * 61])
def test_keys_without_a_spelling_are_refused(key: str) -> None:
    with pytest.raises(RejectedError):
        trait_key_normalise(key)


def test_computed_keys_are_dotted() -> None:
    trait_key_check("rfm.r", is_computed=True)
    for key, is_computed in (("rfm.r", False), ("plan", True)):
        with pytest.raises(RejectedError):
            trait_key_check(key, is_computed=is_computed)


def test_nested_traits_are_flattened() -> None:
    payload = {"firstName": "Ann", "address": {"city": "Lyon", "postalCode": "69001"}, "tags": ["a"]}
    assert traits_flatten(payload) == {
        "first_name": "Ann",
        "address_city": "Lyon",
        "address_postal_code": "69001",
        "tags": ["a"],
    }


def test_too_many_and_too_deep_are_refused() -> None:
    with pytest.raises(RejectedError, match="300"):
        traits_flatten({f"k{i}": i for i in range(301)})
    deep: dict[str, object] = {"a": 1}
    for _ in range(6):
        deep = {"a": deep}
    with pytest.raises(RejectedError, match="deeper"):
        traits_flatten(deep)


@pytest.mark.parametrize(
    ("value_type", "value", "stored"),
    [
        ("text", "FR", "FR"),
        ("text", 12, "12"),
        ("text", True, "true"),
        ("number", 12, 12),
        ("number", "12.5", 12.5),
        ("boolean", True, True),
        ("boolean", "False", False),
        ("date", "1980-05-01", "1980-05-01T00:00:00Z"),
        ("date", "2026-11-23T10:00:00+02:00", "2026-11-23T08:00:00Z"),
        ("date", "2026-11-23T10:00:00.5Z", "2026-11-23T10:00:00.500000Z"),
        ("text_list", ["b", "a", "b", None], ["a", "b"]),
        ("text_list", "a", ["a"]),
        ("number", None, None),
    ],
)
def test_values_fit(value_type: str, value: object, stored: object) -> None:
    assert trait_value_fit("k", value_type, value) == stored


@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        ("number", "many"),
        ("number", True),
        ("number", float("nan")),
        ("number", 1e300),
        ("number", "inf"),
        ("boolean", 1),
        ("date", "yesterday"),
        ("date", 1700000000),
        ("text", {"a": 1}),
        ("text", "x" * 2001),
        ("text", "a\x00b"),
        ("text_list", ["x"] * 201),
    ],
)
def test_values_that_do_not_fit_are_named(value_type: str, value: object) -> None:
    with pytest.raises(RejectedError, match="trait k ") as caught:
        trait_value_fit("k", value_type, value)
    assert caught.value.field == "traits.k"


@pytest.mark.parametrize(
    ("value", "value_type"),
    [
        (True, "boolean"),
        (1, "number"),
        ("2026-11-23", "date"),
        ("2026-13-23", "text"),
        ("x", "text"),
        (["x"], "text_list"),
    ],
)
def test_types_are_inferred(value: object, value_type: str) -> None:
    assert trait_type_infer(value) == value_type


@given(st.text())
def test_a_normalised_key_is_plain_and_stable(key: str) -> None:
    try:
        spelled = trait_key_normalise(key)
    except RejectedError:
        return
    assert trait_key_is_plain(spelled)
    assert trait_key_normalise(spelled) == spelled
