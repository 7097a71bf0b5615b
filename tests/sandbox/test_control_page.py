"""The control page in a real browser, and without scripts: it fits, it reads, and its buttons do what they say."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from looks import assert_accessible, follow, opened_browser, width_of
from sandbox.test_deliveries import Listener
from sandbox.test_process import KEY, do, running, until_delivered


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A sandbox with a small history, and somebody who takes its webhooks."""
    from serving import serve

    url, stop = serve(Listener().app)
    with running(tmp_path_factory.mktemp("shop"), "--seed", "3", "--customers", "60") as client:
        fields = {"url": f"{url}/hook", "metadata[refref_connection_id]": "con_sample"}
        fields |= {"enabled_events[0]": "charge.succeeded", "enabled_events[1]": "refund.created"}
        client.post("/v1/webhook_endpoints", data=fields, headers={"authorization": f"Bearer {KEY}"})
        do(client, "keep", subscription="sub_nobody")  # answered when the history is written
        yield client
    stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as opened:
        yield opened


def look(browser: Browser, shop: httpx.Client, *, width: int = 1280, scheme: str = "light", path: str = "/") -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(str(shop.base_url).rstrip("/") + path)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/?q=customer1", "/?q=nobody-is-like-this&said=Refunded."])
def test_axe_finds_nothing(browser: Browser, shop: httpx.Client, scheme: str, path: str) -> None:
    page = look(browser, shop, scheme=scheme, path=path)
    assert_accessible(page)
    page.context.close()


@pytest.mark.parametrize("path", ["/", "/?q=customer1"])
def test_a_phone_needs_no_horizontal_scroll(browser: Browser, shop: httpx.Client, path: str) -> None:
    page = look(browser, shop, width=360, path=path)
    assert width_of(page) <= 360
    page.context.close()


def test_a_persons_way_by_keyboard_without_scripts(browser: Browser, shop: httpx.Client) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(str(shop.base_url))
    assert page.locator("script").count() == 0
    page.locator("select[name=price]").select_option("price_sample_monthly_usd")
    page.get_by_label("Customer's e-mail").fill("newcomer@example.com")
    page.get_by_label("Referred by").fill("sample-birch")
    page.get_by_label("Trial").select_option("")
    follow(page.get_by_label("Referred by"), by_key=True)
    expect(page.get_by_role("status").first).to_contain_text("Sold Sample Monthly.")
    page.get_by_label("E-mail, name or Stripe id").fill("newcomer")
    follow(page.get_by_label("E-mail, name or Stripe id"), by_key=True)
    follow(page.get_by_role("button", name="Upgrade to pro: newcomer@example.com"), by_key=True)
    expect(page.get_by_text("Sample Pro, 79.00 USD a month").last).to_be_visible()
    follow(page.get_by_role("button", name="End with period: newcomer@example.com"), by_key=True)
    expect(page.get_by_text(re.compile("ends 20"))).to_be_visible()
    follow(page.get_by_role("button", name="Keep: newcomer@example.com"), by_key=True)
    page.get_by_label("Amount to refund of 29.00 USD of newcomer@example.com").fill("9.00")
    follow(page.get_by_label("Amount to refund of 29.00 USD of newcomer@example.com"), by_key=True)
    expect(page.get_by_text("refunded 9.00 USD")).to_be_visible()
    follow(page.get_by_role("button", name="Dispute: 29.00 USD of newcomer@example.com"), by_key=True)
    follow(page.get_by_role("button", name="Shop loses: 29.00 USD of newcomer@example.com"), by_key=True)
    expect(page.get_by_text("dispute lost")).to_be_visible()
    context.close()


def test_what_was_told_says_whether_it_was_taken(shop: httpx.Client) -> None:
    do(shop, "buy", price="price_sample_template_usd", email="told@example.com")
    until_delivered(shop)
    page = shop.get("/").text
    told = page[page.index('id="told"') :]
    assert "charge.succeeded" in told
    assert '<span class="status" data-tone="good">taken</span>' in told
    assert "charge.updated" not in told  # nobody asked for it


def test_the_way_back_to_who_listens(shop: httpx.Client) -> None:
    page = shop.get("/").text
    assert re.search(r'<a class="button to-refref" href="http://127\.0\.0\.1:\d+/">Back to RefRef</a>', page)
    assert re.search(r'href="http://127\.0\.0\.1:\d+/why\?id=ch_\w+"', page)


def test_a_guest_buys_and_leaves_no_customer(shop: httpx.Client) -> None:
    sold = do(shop, "buy", price="price_sample_template_usd", email="guest@example.com", guest="yes").json()["object"]
    assert (sold["customer"], sold["payment_status"]) == (None, "paid")
    assert "guest@example.com" in shop.get("/?q=guest@example").text


def test_a_year_passes_a_day_at_a_time(shop: httpx.Client) -> None:
    before = shop.get("/_sandbox/state").json()
    moved = shop.post("/_sandbox/advance", json={"years": 1}, timeout=60).json()["object"]
    assert moved["now"] - before["now"] > 364 * 86_400
    assert moved["events"] > 1000
    assert do(shop, "advance", days=-1).json()["error"].startswith("Say how far")


def test_pages_of_others_may_not_use_the_forms(shop: httpx.Client) -> None:
    policy = shop.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert shop.get("/_static/sandbox.css").headers["content-type"].startswith("text/css")
    assert shop.get("/_static/%2e%2e/pages.py").status_code == 404


def test_the_font_is_the_products() -> None:
    package = Path(__file__).parents[2] / "src" / "refref"
    for name in ("figtree.woff2", "logo.svg"):
        assert (package / "sandbox" / "static" / name).read_bytes() == (package / "web" / "static" / name).read_bytes()
