"""The two unmodified browser clients, in a page of another origin, over good and bad roads."""

import time
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from tests.e2e.sdk.conftest import WEB_STORIES, Collector
from tests.e2e.sdk.judging import SAID, road_judge, told_judge
from tests.e2e.sdk.proxy import Fault, Road, road_open

PATIENCE_SECONDS = 30
LINGER_SECONDS = 1.5  # longer than either client's first pause before it tries again
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def wait_until_delivered(road: Road, calls: int) -> None:
    """Until every call was answered 200, and a little longer, in which nothing more may come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(road.delivered()) < calls and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(LINGER_SECONDS)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("story", WEB_STORIES)
def test_everything_arrives_once(collector: Collector, pages: str, browser: Browser, story: str) -> None:
    client, mode, fault = story.split("-")
    said = SAID if client == "segment_web" else [call for call in SAID if call[0] != "screen"]  # pages have no screens
    outside: list[str] = []
    with road_open(collector.origin, Fault(fault)) as road:
        context = browser.new_context()
        page = context.new_page()
        page.on("request", lambda r: None if r.url.startswith((pages, road.origin)) else outside.append(r.url))
        page.on("pageerror", lambda error: outside.append(f"threw: {error}"))
        try:
            query = urlencode({"url": road.origin, "writeKey": story, "mode": mode})
            page.goto(f"{pages}/clients/{client}.html?{query}")
            if mode == "beacon":
                page.wait_for_function("Object.keys(localStorage).some(key => key.endsWith('.batchQueue'))")
                page.goto(f"{pages}/clients/")  # what was said last leaves with the page
            wait_until_delivered(road, len(said))
        finally:
            context.close()
    assert outside == []
    road_judge(road, len(said))
    told_judge(collector.tell(story), road, story, said)
