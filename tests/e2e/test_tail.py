"""A source in the browser: calls show as they arrive, the tail can be held still, a refused call is sent again."""

import base64
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import NARROW, WIDE
from tests.e2e.conftest import Site, page_watched
from tests.e2e.test_pages import overflow, violations

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.xdist_group("pages")]


def send(page: Page, origin: str, write_key: str, **call: str) -> None:
    """One call as a server would send it."""
    basic = base64.b64encode(f"{write_key}:".encode()).decode()
    answer = page.request.post(
        f"{origin}/v1/track", data={"type": "track", **call}, headers={"Authorization": f"Basic {basic}"}
    )
    assert answer.status == 200


def source_new(page: Page, origin: str, title: str) -> str:
    """A source made by hand; its write key."""
    page.goto(f"{origin}/admin/sources/new/")
    page.get_by_label("Name").fill(title)
    page.get_by_role("button", name="Create source").click()
    page.wait_for_url(re.compile(r"/admin/sources/\d+/$"))
    return page.locator(".secret code").first.inner_text()


def looks(page: Page) -> list[str]:
    """What is wrong with the page as it stands, wide and narrow."""
    found = []
    for width, height in (NARROW, WIDE):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(200)
        found += [f"{page.url} {width}: {line}" for line in violations(page)]
        if overflow(page) > 0:
            found.append(f"{page.url} {width}: wider than the window")
    return found


def test_calls_show_as_they_arrive_and_a_refused_one_is_sent_again(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin) as page:
        key = source_new(page, site.origin, "Tail story")
        tail, address = page.locator("[data-tail]"), page.url
        expect(tail).to_contain_text("No call has arrived yet.")
        assert key not in tail.inner_text()
        problems = looks(page)
        send(page, site.origin, key, event="First", userId="jane.doe@example.com", messageId="m-1")
        expect(tail.get_by_role("rowheader", name="First")).to_be_visible(timeout=6_000)
        assert "jane.doe" not in tail.inner_text()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Paused", exact=True)).to_be_visible()
        send(page, site.origin, key, event="Second")
        page.wait_for_timeout(3_000)
        expect(tail).not_to_contain_text("Second")
        page.get_by_role("button", name="Go on").click()
        refused = tail.get_by_role("row", name="Second")
        expect(refused).to_contain_text("Refused", timeout=6_000)
        expect(refused).to_contain_text("Send userId or anonymousId")
        assert page.url == address
        problems += looks(page)
        page.get_by_role("link", name="Refused rows").first.click()
        problems += looks(page)
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_text("still refused: Send userId or anonymousId")).to_be_visible()
        page.get_by_role("link", name="Send again…").click()
        problems += looks(page)
        page.get_by_role("button", name="Send 1 row again").click()
        expect(page.get_by_role("cell", name="Still refused")).to_be_visible()
        problems += looks(page)
        assert not problems, "\n".join(problems)
