"""What stands beside a consent act forever holds no personal data."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.consent.evidence import evidence_clean


@pytest.mark.parametrize(
    ("given_evidence", "kept"),
    [
        ({"url": "https://shop.example/signup?email=bob@example.com#x"}, {"url": "https://shop.example/signup"}),
        ({"url": "https://bob:pw@shop.example/a"}, {"url": "https://shop.example/a"}),
        ({"url": "https://shop.example/u/bob@example.com"}, {"url": "https://shop.example/u/[address]"}),
        ({"url": "javascript:alert(1)"}, {}),
        ({"url": "https://[bad"}, {}),
        ({"ip": "203.0.113.77"}, {"ip_network": "203.0.113.0/24"}),
        ({"ip": "2001:db8:1:2:3::4"}, {"ip_network": "2001:db8:1::/48"}),
        ({"ip": "somewhere"}, {}),
        ({"form": "footer for bob@example.com, +33 6 12 34 56 78"}, {"form": "footer for [address] [number]"}),
        (
            {"tcf": "CPokAsAPokAsAAGABCENC.YAAA", "gpc": True},
            {"tcf": "CPokAsAPokAsAAGABCENC.YAAA", "gpc": True},
        ),
        ({"tcf": "bob@example.com"}, {}),
        ({"email": "bob@example.com", "first_name": "Bob", "nested": {"form": "x"}, "form": 7}, {}),
    ],
)
def test_only_what_may_stay(given_evidence: dict[str, object], kept: dict[str, object]) -> None:
    assert evidence_clean(given_evidence) == kept


@given(st.dictionaries(st.sampled_from(["url", "form", "tcf", "ip", "referrer", "x"]), st.text() | st.emails()))
def test_no_address_ever_stays(given_evidence: dict[str, object]) -> None:
    assert not any(re.search(r"[^\s@/]@[^\s@/]", str(value)) for value in evidence_clean(given_evidence).values())
