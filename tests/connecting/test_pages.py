"""The pages of Integrations in a real browser, on a sandbox: connect, look, repair, cut off, reconnect, end."""

import asyncio
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from connecting.town import ENOUGH, platform_of, settings_for, stripe_on_a_port
from looks import assert_accessible, follow, width_of
from refref.connecting.access import Acting, Desk
from refref.connecting.watch import check_connection
from refref.db.pool import Database
from refref.sandbox import Sandbox
from refref.vault import Vault
from refref.web.app import create_app
from serving import quiet_server
from web.pages.conftest import browser, sign_in
from web.pages.sample import make_owner

__all__ = ["browser"]  # a fixture
SHOTS = Path(os.environ["SHOTS"]) if "SHOTS" in os.environ else None  # a folder for pictures


@dataclass
class Site:
    url: str
    sb: Sandbox
    stripe_url: str
    database: Database
    loop: asyncio.AbstractEventLoop
    organization_id: str
    desk: Desk

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)


@pytest.fixture
def site(database: str) -> Iterator[Site]:
    sb = Sandbox(clock_start="2026-01-31T00:00:00Z", seed=7)
    ready: list[Site] = []
    started, stop = threading.Event(), threading.Event()

    async def main(stripe_url: str) -> None:
        own = await Database.open(database, max_size=6)
        owner = await make_owner(own, datetime.now(UTC))
        async with quiet_server(_late) as url:
            settings = settings_for(database, base_url=url)
            settings = replace(settings, platforms=(platform_of(sb, stripe_url, url),))
            app = create_app(settings, own)
            _apps.append(app)
            desk = Desk(own, Vault(settings.master_keys, settings.platforms), url)
            ready.append(Site(url, sb, stripe_url, own, asyncio.get_running_loop(), owner.organization_id, desk))
            started.set()
            await asyncio.to_thread(stop.wait)
        await app.close()
        await own.close()

    _apps: list[Any] = []

    async def _late(scope: Any, receive: Any, send: Any) -> None:
        await _apps[0](scope, receive, send)

    with stripe_on_a_port(sb) as stripe_url:
        thread = threading.Thread(target=lambda: asyncio.run(main(stripe_url)))
        thread.start()
        try:
            assert started.wait(120)
            yield ready[0]
        finally:
            stop.set()
            thread.join()


def shot(page: Page, name: str) -> None:
    """Axe is content in both colour schemes, a phone needs no horizontal scroll; pictures where they are asked for."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
        assert_accessible(page, name)
        if SHOTS:
            page.screenshot(path=SHOTS / f"{name}-{scheme}.png", full_page=True)
    size = page.viewport_size
    page.set_viewport_size({"width": 360, "height": 740})
    assert width_of(page) <= 360, name
    if SHOTS:
        page.screenshot(path=SHOTS / f"{name}-phone.png", full_page=True)
    assert size is not None
    page.set_viewport_size(size)
    page.emulate_media(color_scheme="light")


def test_a_connection_s_life(browser: Browser, site: Site) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = sign_in(context, site.url)
    page.goto(f"{site.url}/integrations")
    shot(page, "none")
    follow(page.get_by_role("link", name="Connect Stripe"))
    shot(page, "connect")
    by_key = page.get_by_role("region", name="With a restricted key")
    by_key.get_by_label("Restricted key").fill("rk_test_unknown_to_stripe")
    by_key.get_by_text("A sandbox instead of Stripe").click()
    by_key.get_by_label("Its address").fill("http://10.0.0.1:1")
    follow(by_key.get_by_role("button"))
    expect(page.get_by_text("In test mode a sandbox on this machine")).to_be_visible()
    shot(page, "refused")

    key = str(site.sb.create_key({**ENOUGH, "invoice": "write", "dispute": "read"})["key"])
    by_key.get_by_label("Name").fill("Shop, test")
    by_key.get_by_label("Restricted key").fill(key)
    by_key.get_by_label("Its address").fill(site.stripe_url)
    follow(by_key.get_by_role("button"))
    expect(page).to_have_url(re.compile("/integrations/stripe/con_"))
    expect(page.get_by_text("The key may change what RefRef only reads")).to_be_visible()
    shot(page, "connected")

    follow(page.get_by_role("button", name="Check now"))
    expect(page.get_by_text("Stripe has no webhook endpoint for this connection")).to_be_visible()
    follow(page.get_by_role("button", name="Set it up"))
    expect(page.get_by_text("Nothing is wrong with it")).to_be_visible()
    endpoint = site.sb.live("webhook_endpoint")[0]
    site.sb.update_webhook_endpoint(endpoint["id"], {"enabled_events": ["invoice.paid", "payout.paid"]})
    follow(page.get_by_role("button", name="Check now"))
    expect(page.get_by_text("Events are missing without which rewards")).to_be_visible()
    shot(page, "faulty")
    follow(page.get_by_role("button", name="Repair it"))
    expect(page.get_by_text("Nothing is wrong with it")).to_be_visible()
    follow(page.get_by_role("button", name="Roll its secret"))
    expect(page.get_by_text("; ends ")).to_be_visible()

    connection_id = page.url.rpartition("/")[2]
    site.sb.revoke_key(key)
    site.run(check_connection(site.desk, Acting(site.organization_id, "system", datetime.now(UTC)), connection_id))
    page.reload()
    expect(page.get_by_role("heading", name="Stripe refuses the key")).to_be_visible()
    shot(page, "cut-off")
    page.get_by_text("Use another key").click()
    page.get_by_label("Restricted key").fill(str(site.sb.create_key(ENOUGH)["key"]))
    follow(page.get_by_role("button", name="Try and store"))
    expect(page.get_by_text("What was wrong before")).to_be_visible()
    expect(page.get_by_role("heading", name="Stripe refuses the key")).to_have_count(0)

    page.get_by_text("Disconnect", exact=True).click()
    follow(page.get_by_role("button", name="Disconnect Shop, test"))
    expect(page.get_by_text("Another key takes it up again")).to_be_visible()
    assert site.sb.live("webhook_endpoint") == []
    context.close()


def test_connect_with_stripe(browser: Browser, site: Site) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = sign_in(context, site.url)
    merchant = site.sb.open_merchant("Sample Merchant")["id"]
    page.goto(f"{site.url}/integrations/stripe/connect")
    follow(page.get_by_role("button", name="Connect with Stripe"))
    expect(page).to_have_url(re.compile(r"/oauth/authorize\?"))
    page.locator("select[name=account]").select_option(merchant)
    follow(page.locator("button[value='approve']"))
    expect(page).to_have_url(re.compile("/integrations/stripe/con_"))
    expect(page.get_by_text("Connect with Stripe (read)")).to_be_visible()
    shot(page, "oauth")
    page.goto(f"{site.url}/integrations")
    shot(page, "list")
    context.close()
