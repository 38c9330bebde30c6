"""Every page at both widths, in light and dark: no console error, no policy report, no outside request, axe clean."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.e2e.browsing import NARROW, WIDE
from tests.e2e.conftest import Site, page_watched
from tests.e2e.places import places_find

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.xdist_group("pages")]
LOOKS = [("wide", WIDE, "light"), ("narrow", NARROW, "light"), ("dark", WIDE, "dark")]
MOST_KINDS = 37  # pages that a full site has: a page that vanishes from the menus shows here


def violations(page: Page) -> Iterator[str]:
    """What axe finds, one line each: rule, first place, what to mend."""
    for found in Axe().run(page).response["violations"]:
        node = found["nodes"][0]
        checks = [*node["any"], *node["all"], *node["none"]]
        message = checks[0]["message"] if checks else found["help"]
        yield f"{found['id']} × {len(found['nodes'])} at {node['target']}: {message}"


def overflow(page: Page) -> int:
    """By how many pixels the page itself is wider than its window: wide tables scroll inside their cards."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize(("name", "size", "scheme"), LOOKS, ids=[look[0] for look in LOOKS])
def test_every_page_of_a_full_site(site: Site, browser: Browser, name: str, size: tuple[int, int], scheme: str) -> None:
    problems: list[str] = []
    with page_watched(browser, site.origin, size, scheme=scheme) as page:
        places = places_find(page, site.origin)
        assert len(places) >= MOST_KINDS, sorted(places)
        for place, path in places.items():
            page.goto(site.origin + path, wait_until="networkidle")
            assert page.locator("main").count() == 1, place
            assert page.locator("main h1").count() == 1, place
            problems += [f"{place}: {line}" for line in violations(page)]
            if (wider := overflow(page)) > 0:
                problems.append(f"{place}: {wider} px wider than the window")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_page_of_a_fresh_installation(empty_site: Site, browser: Browser, size: tuple[int, int]) -> None:
    """Each says what to do first, and that no worker has run."""
    problems: list[str] = []
    with page_watched(browser, empty_site.origin, size) as page:
        for place, path in places_find(page, empty_site.origin).items():
            page.goto(empty_site.origin + path, wait_until="networkidle")
            if page.get_by_text("No worker has run yet.").count() != 1:
                problems.append(f"{place}: no banner")
            problems += [f"{place}: {line}" for line in violations(page)]
            if (wider := overflow(page)) > 0:
                problems.append(f"{place}: {wider} px wider than the window")
        page.goto(f"{empty_site.origin}/admin/")
        assert page.get_by_role("heading", name="Bring in the first people").is_visible()
        page.goto(f"{empty_site.origin}/admin/segments/")
        assert page.get_by_role("heading", name="Make your first segment").is_visible()
        page.goto(f"{empty_site.origin}/admin/audiences/")
        assert page.get_by_role("heading", name="Make your first audience").is_visible()
    assert not problems, "\n".join(problems)
