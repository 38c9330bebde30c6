"""The frame by keyboard and on a small screen: skip link, menu, search, light and dark, the live mark."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browsing import NARROW
from tests.e2e.conftest import READER, Site, page_watched

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.xdist_group("pages")]


def test_skip_link_is_first_and_leads_to_the_content(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()


def test_menu_of_a_small_screen_opens_and_closes_by_keyboard(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin, NARROW) as page:
        burger, people = page.get_by_role("button", name="Menu"), page.get_by_role("link", name="People", exact=True)
        expect(people).to_be_hidden()
        burger.press("Enter")
        expect(people).to_be_visible()
        expect(burger).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("Escape")
        expect(people).to_be_hidden()
        expect(burger).to_be_focused()


def test_search_finds_a_segment_and_never_sends_an_address(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.keyboard.press("Control+k")
        field = page.get_by_placeholder("Type to search")
        field.fill("anna.meyer@example.org")
        field.press("End")
        expect(page.locator("#command-results")).to_contain_text("Look people up on the People page")
        assert not [url for url in asked if "example.org" in url]
        field.fill("champ")
        field.press("End")
        expect(page.locator("#command-results")).to_contain_text("Champions")
        field.press("ArrowDown")
        field.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Champions")


def test_dark_is_remembered(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin) as page:
        page.get_by_text("Mira Kaur").click()
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_class(re.compile("dark"))
        page.goto(f"{site.origin}/admin/models/")
        expect(page.locator("html")).to_have_class(re.compile("dark"))
        page.get_by_text("Mira Kaur").click()
        expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


def test_the_mark_tells_that_a_worker_lives(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin) as page:
        for _ in range(40):  # beat's first tick comes within ten seconds
            page.goto(f"{site.origin}/admin/people/")
            if page.get_by_text(re.compile(r"Live · data up to \d\d:\d\d:\d\d")).count():
                break
            page.wait_for_timeout(500)
        expect(page.get_by_text(re.compile("Live · data up to"))).to_be_visible()
        assert page.get_by_role("alert").count() == 0


def test_rule_editor_names_what_to_mend_and_counts_again(site: Site, browser: Browser) -> None:
    with page_watched(browser, site.origin) as page:
        page.goto(f"{site.origin}/admin/segments/new/?name=Champions")
        result = page.get_by_label("Live result")
        expect(result).to_contain_text("Exact in")
        expect(result).to_contain_text("Reach today")
        rule = page.get_by_label("Rule")
        good = rule.input_value()
        rule.fill(good.replace("rfm.name", "rfm.nme"))
        expect(result).to_contain_text("rfm.nme")
        expect(rule).to_have_attribute("aria-invalid", "true")
        rule.fill(good + "}")
        expect(result).to_contain_text("Line ")
        rule.fill(good)
        expect(result).to_contain_text("Exact in")


def test_staff_without_permissions_see_no_data(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.origin}/admin/people/")
    expect(page).to_have_url(re.compile(r"/admin/login/\?next=/admin/people/"))
    page.locator("#id_username").fill(READER)
    page.locator("#id_password").fill("browser-story-1")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Not for this log-in")).to_be_visible()
    context.close()
