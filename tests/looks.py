"""What a test sees of a page in the browser: whether it fits, and whether everybody can use it."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def width_of(page: Page) -> int:
    """The width that the document of the page needs, in CSS pixels; waits for a page that is on its way."""
    page.wait_for_load_state()
    return int(page.locator("html").evaluate("html => html.scrollWidth"))


def assert_accessible(page: Page, name: str = "") -> None:
    """axe finds nothing on the page, which has arrived."""
    page.wait_for_load_state()
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name}\n{found.generate_report()}"
