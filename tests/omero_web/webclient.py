"""OMERO.web in a browser, as a user handles it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from needs import chromium
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response, expect, sync_playwright

# Most steps take a tenth of a second; a machine that is busy with other tests may need this.
PATIENCE_MS = 240_000
CLICKS = 30
WINDOW = {"width": 1280, "height": 800}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# iviewer asks whether another service for tiles is installed; the answer "no" is a 404.
PROBES = ("/omero_ms_image_region/",)


class Webclient:
    """A user's window.

    Attributes:
        page: The window.
        complaints: Errors of pages and servers, and requests that went elsewhere.
    """

    def __init__(self, page: Page, url: str, pictures: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._url = url
        self._pictures = pictures
        self._runs = 0
        self._watch(page)
        page.context.on("page", self._watch)

    def picture(self, name: str, page: Page | None = None) -> None:
        """Keeps what the window shows, for people to look at."""
        (page or self.page).screenshot(path=self._pictures / f"{name}.png")

    def url(self, path: str) -> str:
        """The whole address of a path."""
        return self._url + path

    def log_in(self, user: str, password: str) -> None:
        """Logs in and waits for the tree."""
        self.page.goto(f"{self._url}/webclient/")
        self.page.fill("#id_username", user)
        self.page.fill("#id_password", password)
        self.page.click("input[type=submit]")
        expect(self._node("Orphaned Images")).to_be_visible()

    def open(self, *names: str) -> None:
        """Opens containers in the tree, from the outermost, and selects the last thing."""
        for name in names[:-1]:
            node = self._node(name)
            if node.get_attribute("aria-expanded") != "true":
                # The arrow stands right before the name.
                node.locator("xpath=preceding-sibling::i").click()
        self._node(names[-1]).click()
        expect(self.page.locator("#dataTree .jstree-clicked")).to_have_text(re.compile(re.escape(names[-1])))
        expect(self.page.locator("#metadata_general h1").first).to_be_visible()

    def thumbnail(self, image: int) -> tuple[int, int]:
        """Width and height of the picture of an image in the middle."""
        picture = self.page.locator(f"#image_icon-{image} img")
        expect(picture).to_have_attribute("src", re.compile("^data:image/jpeg"))
        width, height = picture.evaluate("img => img.decode().then(() => [img.naturalWidth, img.naturalHeight])")
        return int(width), int(height)

    def fact(self, name: str) -> Locator:
        """What the right-hand panel says under a heading like `ROI Count:`."""
        return self.page.locator("#metadata_general table.core_metadata tr", has_text=name).locator("td").first

    def pane(self, name: str) -> Locator:
        """Opens a pane of the right-hand panel; the number beside its name."""
        self.page.wait_for_load_state("networkidle")
        heading = self.page.locator("#metadata_general h1", has_text=name)
        closed = re.compile(r"\bclosed\b")
        # A click on a panel that is still being drawn does nothing.
        for _ in range(CLICKS):
            if closed.search(heading.get_attribute("class") or ""):
                heading.click()
            with suppress(AssertionError):
                expect(heading).not_to_have_class(closed, timeout=2_000)
                break
        return heading.locator(".annotationCount")

    def script_dialog(self, script: str) -> Page:
        """Opens the dialog of a script of the menu."""
        self.page.click("#scriptButton")
        with self.page.expect_popup() as opened:
            self.page.locator("#scriptList a", has_text=script).click()
        opened.value.wait_for_load_state()
        return opened.value

    def run(self, dialog: Page) -> None:
        """Starts the script of a dialog, and waits until the panel of activities shows it."""
        dialog.get_by_role("button", name="Run Script").click()
        # The panel keeps all of the session, the newest first.
        self._runs += 1
        expect(self.page.locator("#jobsTable tr.script")).to_have_count(self._runs)

    def message(self) -> str:
        """Waits for the end of the newest script; the sentence that it left."""
        row = self.page.locator("#jobsTable tr.script").first
        expect(row.locator("img[alt=Success]")).to_be_visible()
        return row.locator(".message").inner_text().strip()

    def go_to_result(self) -> None:
        """Follows the newest script's button to its image, which is selected there with what is new on it."""
        self.page.locator("#jobsTable tr.script").first.locator("a.browse").click()
        expect(self.page).to_have_url(re.compile("show="))
        expect(self.page.locator("#dataTree .jstree-clicked")).to_be_visible()
        expect(self.page.locator("#metadata_general h1").first).to_be_visible()

    def popup(self, button: str) -> Page:
        """The window that a click opens."""
        with self.page.expect_popup() as opened:
            self.page.locator(button).first.click()
        opened.value.wait_for_load_state()
        return opened.value

    def _node(self, name: str) -> Locator:
        return self.page.locator("#dataTree .jstree-anchor", has_text=name)

    def _watch(self, page: Page) -> None:
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", self._heard)
        page.on("response", self._answered)
        page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and not response.url.endswith(PROBES):
            self.complaints.append(f"{response.status} {response.url}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and not request.url.startswith(self._url):
            self.complaints.append(f"asked {request.url}")


@contextmanager
def open_webclient(url: str, pictures: Path) -> Iterator[Webclient]:
    """A window of a fresh browser without a past, closed in the end."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS), timeout=PATIENCE_MS)
        try:
            context = browser.new_context(viewport=WINDOW)
            yield Webclient(context.new_page(), url, pictures)
        finally:
            browser.close()
