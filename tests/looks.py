"""A real browser for tests, and what a test sees of a page: whether it fits, and whether everybody can use it.

Owns how a test waits for a page. Waits end as soon as what they wait for is there; their limits only end a test that
would hang, and are so long that no busy machine reaches them.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
LIMIT_MS = 60_000

expect.set_options(timeout=LIMIT_MS)


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """A real browser; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def follow(step: Locator, *, by_key: bool = False) -> None:
    """Click what leads to another page (or press Enter on it), and go on once that page has arrived, scripts included.

    Whatever comes next cannot meet the page that is being left: a field that is on both would lose what is typed.
    """
    with step.page.expect_navigation(timeout=LIMIT_MS):
        if by_key:
            step.press("Enter")
        else:
            step.click()


def width_of(page: Page) -> int:
    """The width that the document of the page needs, in CSS pixels; waits for a page that is on its way."""
    page.wait_for_load_state()
    return int(page.locator("html").evaluate("html => html.scrollWidth"))


def assert_accessible(page: Page, name: str = "") -> None:
    """axe finds nothing on the page, which has arrived and whose colours and places have come to rest."""
    page.wait_for_load_state()
    page.evaluate(_AT_REST)
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name}\n{found.generate_report()}"


# Colours fade into one another, menus slide open; what turns for ever is left to turn.
_AT_REST = """
() => Promise.all(
  document.getAnimations()
    .filter((one) => one.playState === "running" && Number.isFinite(one.effect.getComputedTiming().endTime))
    .map((one) => one.finished.catch(() => null)),
)
"""
