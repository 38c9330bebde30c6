"""US Privacy strings and Sec-GPC."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.consent.signals.decode import gpc_decode
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.gpc import gpc_is_on
from cdp.consent.signals.us_privacy import us_privacy_effects, us_privacy_read, us_privacy_view


@pytest.mark.parametrize(
    ("text", "applies", "out", "restricted"),
    [
        ("1---", False, False, False),
        ("1YNN", True, False, False),
        ("1YNY", True, False, False),
        ("1YN-", True, False, False),
        ("1YYN", True, True, True),
        ("1NYN", True, True, True),
        ("1-Y-", True, True, True),
        ("1NNN", True, False, True),
        ("1-NN", True, False, True),
    ],
)
def test_effects(text: str, applies: bool, out: bool, restricted: bool) -> None:
    found = us_privacy_read(text)
    assert us_privacy_effects(found) == {"ccpa_applies": applies, "sale_opt_out": out, "sale_restricted": restricted}
    assert "".join(map(str, us_privacy_view(found).values())) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1YN",
        "1YNNN",
        " 1YNN",
        "1YNN ",
        "1YNN\n",
        "1ynn",
        "2YNN",
        "0YNN",
        "1Y-N",
        "1--Y",
        "1Y--",
        "1XNN",
        "1YЫN",
        "١YNN",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(SignalError) as error:
        us_privacy_read(text)
    assert error.value.code == "bad_usp"


@given(st.text(max_size=6) | st.text("1YN-", max_size=5))
def test_nothing_but_the_one_error(text: str) -> None:
    try:
        found = us_privacy_read(text)
    except SignalError:
        return
    assert len(text) == 4
    assert found.is_opted_out is (text[2] == "Y")


@pytest.mark.parametrize(
    ("values", "is_on"),
    [
        (["1"], True),
        ([" 1"], True),
        (["1 "], True),
        (["\t1"], True),
        (["0,1"], True),
        (["1,1"], True),
        (["0 , 1"], True),
        (["0", "1"], True),
        ([None, "1"], True),
        ([True], True),
        ([], False),
        ([""], False),
        ([None], False),
        (["0"], False),
        (["01"], False),
        (["11"], False),
        (["1.0"], False),
        (["+1"], False),
        (["1;ext"], False),
        (["1 1"], False),
        (['"1"'], False),
        (["?1"], False),
        (["true"], False),
        (["１"], False),
        (["\u00a01"], False),
        (["1\n"], False),
        ([1], False),
        ([False], False),
        ([["1"]], False),
    ],
)
def test_gpc(values: list[object], is_on: bool) -> None:
    assert gpc_decode(values) == {"gpc": is_on, "effects": {"sale_opt_out": is_on, "sharing_opt_out": is_on}}


@given(st.lists(st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.lists(st.text())))
def test_gpc_never_raises_and_one_header_suffices(values: list[object]) -> None:
    gpc_is_on(values)
    assert gpc_is_on([*values, "1"])
