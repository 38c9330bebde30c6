"""Pictures of every page of a running demo: ``python -m tests.e2e.screenshots http://127.0.0.1:8000 USER PASSWORD``.

Writes docs/screenshots/<page>-1440.png and -390.png, the overview in the dark too, and says how large they are in all.
Stops with an error when a page is not silent.
"""

import sys
from pathlib import Path

from playwright.sync_api import Browser

from tests.conftest import chromium_find
from tests.e2e.browsing import NARROW, WIDE, Watch, browser_open, log_in
from tests.e2e.pictures import picture_write
from tests.e2e.places import places_find

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
TALLEST = {WIDE: 1_800, NARROW: 2_400}
MOST_BYTES = 8_000_000


def pictures_take(
    browser: Browser, origin: str, username: str, password: str, scheme: str, size: tuple[int, int]
) -> int:
    """Every page at one width (in the dark only the overview); returns the bytes written."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page, helper, watch = context.new_page(), browser.new_page(), Watch(origin)
    watch.follow(page)
    log_in(page, origin, username, password)
    places = places_find(page, origin) if scheme == "light" else {"overview-dark": "/admin/"}
    total = 0
    for name, path in places.items():
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(origin + path, wait_until="networkidle")
        tall = int(page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": size[0], "height": max(size[1], min(tall, TALLEST[size]))})
        total += picture_write(helper, page.screenshot(), FOLDER / f"{name}-{size[0]}.png")
    watch.check()
    context.close()
    helper.close()
    return total


def main(origin: str, username: str, password: str) -> None:
    """Take them all."""
    chromium = chromium_find()
    if chromium is None:
        sys.exit("No Chromium: install it, or set CDP_CHROMIUM to its path.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    with browser_open(chromium) as browser:
        total = sum(
            pictures_take(browser, origin.rstrip("/"), username, password, scheme, size)
            for scheme, size in (("light", WIDE), ("light", NARROW), ("dark", WIDE))
        )
    count = len(list(FOLDER.glob("*.png")))
    sys.stdout.write(f"{count} pictures, {total / 1e6:.1f} MB\n")
    if total > MOST_BYTES:
        sys.exit(f"More than {MOST_BYTES / 1e6:.0f} MB: lower TALLEST.")


if __name__ == "__main__":
    main(*sys.argv[1:4])
