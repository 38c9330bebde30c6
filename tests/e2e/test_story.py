"""The way of a marketer: log in, look, make a segment out of a cell, an audience out of it, send it, see it confirmed."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Site, page_watched

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.xdist_group("pages")]
PATIENCE_SECONDS = 90


def number_in(text: str) -> int:
    found = re.search(r"[\d,]+", text)
    assert found, text
    return int(found[0].replace(",", ""))


def reload_until(page: Page, text: str) -> None:
    """Reload until the page says so: a worker does it meanwhile."""
    for _ in range(PATIENCE_SECONDS):
        if page.get_by_text(text).count():
            return
        page.wait_for_timeout(1_000)
        page.reload()
    pytest.fail(f"{text!r} did not appear: {page.locator('main').inner_text()[:800]}")


def test_from_log_in_to_a_synced_audience(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin) as page:
        # the overview: a cell of the heat map starts a segment
        cell = page.locator("table.heat a").nth(3)
        people = number_in(cell.inner_text())
        cell.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("New segment")
        result = page.get_by_label("Live result")
        expect(result.get_by_role("status").or_(result.locator(".big")).first).to_contain_text(f"{people:,}")
        page.get_by_label("Title").fill("Browser story")
        page.get_by_role("button", name="Save").click()

        # the segment: counted at once, with members
        expect(page.get_by_role("heading", level=1)).to_have_text("Browser story")
        expect(page.locator(".big").first).to_have_text(f"{people:,}")
        expect(page.locator("main")).to_contain_text("Saved as version 1.")
        page.get_by_role("link", name="Make an audience").click()

        # the audience: where it goes, who must have agreed, who is held out
        page.get_by_label("Where the list goes").select_option(label="Meta Custom Audiences (sandbox)")
        expect(page.get_by_label("Advertising")).to_be_checked()
        page.get_by_label("10 %").check()
        page.get_by_role("button", name="Make audience").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Browser story → Meta")
        page.get_by_role("button", name="Dry run").click()
        dry = page.locator("section", has_text="Nothing was sent").first
        expect(dry).to_contain_text("Would add")
        to_add = number_in(dry.locator("dd").first.inner_text())
        assert 0 < to_add < people

        # sent by the worker, confirmed by the network
        page.get_by_role("button", name="Sync now").click()
        expect(page.locator("main")).to_contain_text("A worker takes it up now.")
        reload_until(page, f"{to_add:,} of {to_add:,}")
        expect(page.locator("main")).to_contain_text(f"On the list, confirmed{to_add:,}")
        page.locator("th a.u").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Run ")
        expect(page.locator("main")).to_contain_text("Accepted")

        # a second run has nothing to do
        page.go_back()
        page.get_by_role("button", name="Sync now").click()
        reload_until(page, "No change")


def test_a_stopped_run_is_decided_by_a_person(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin) as page:
        page.goto(f"{site.origin}/admin/audiences/")
        expect(page.get_by_role("link", name=re.compile("1 stopped"))).to_be_visible()
        page.goto(f"{site.origin}/admin/audiences/{site.ids['stopped_target']}/")
        expect(page.get_by_role("heading", name=re.compile("Stopped before sending: would remove"))).to_be_visible()
        page.get_by_role("button", name="Cancel run, keep the list").click()
        expect(page.locator("main")).to_contain_text("Cancelled. The list stays as it is.")
        assert page.get_by_role("heading", name=re.compile("Stopped before")).count() == 0


def test_an_address_is_shown_only_when_asked_for(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin) as page:
        page.goto(f"{site.origin}/admin/people/{site.ids['person']}/")
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_contain_text("•••@")
        page.get_by_role("button", name="Show address").click()
        expect(heading).to_contain_text("@example.")
        address = heading.inner_text()
        page.goto(f"{site.origin}/admin/settings/audit/")
        expect(page.locator("main")).to_contain_text("address shown")
        page.goto(f"{site.origin}/admin/people/")
        page.get_by_label("Value").fill(address)
        page.get_by_role("button", name="Find", exact=True).click()
        expect(page).to_have_url(f"{site.origin}/admin/people/{site.ids['person']}/")
        expect(heading).to_contain_text("•••@")
