"""Chromium, as the tests and the screenshots drive it: found, started, watched."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

WIDE, NARROW = (1440, 900), (390, 844)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browser_open(path: str) -> Iterator[Browser]:
    """Headless, until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS), headless=True)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Watch:
    """What a page must not do: write errors, throw, report a breach of the content policy, fetch from elsewhere, fail."""

    origin: str
    allowed_statuses: frozenset[int] = frozenset()
    found: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        """Listen from now on."""
        page.on("console", lambda message: self._console(message))
        page.on("pageerror", lambda error: self.found.append(f"threw: {error}"))
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure or ""))
        page.on("response", lambda response: self._answered(response.url, response.status))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if "Failed to load resource" in message.text:
            return  # the status is judged by ``_answered``
        self.found.append(f"{message.type}: {message.text}")

    def _failed(self, url: str, reason: str) -> None:
        if "ERR_ABORTED" not in reason:  # a count that a further edit cancelled
            self.found.append(f"failed: {url} {reason}")

    def _answered(self, url: str, status: int) -> None:
        if not url.startswith((self.origin, "data:")):
            self.found.append(f"outside request: {url}")
        elif status >= 400 and status not in self.allowed_statuses:
            self.found.append(f"{status}: {url.removeprefix(self.origin)}")

    def check(self) -> None:
        """Raises AssertionError with everything that was found."""
        assert not self.found, "\n".join(self.found)


def log_in(page: Page, origin: str, username: str, password: str) -> None:
    """Through the log-in page, as people do."""
    page.goto(f"{origin}/admin/")
    page.locator("#id_username").fill(username)
    page.locator("#id_password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{origin}/admin/")
