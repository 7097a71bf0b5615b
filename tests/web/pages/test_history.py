"""The history pages: a reading with its bar, a comparison with what was missing, a statement; in a real browser."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from looks import assert_accessible, follow, width_of
from refref.db import catalog_syncs, history, statements
from refref.db.history import Gap, HistoryRun
from refref.db.pool import Database
from refref.db.statements import Movement, StatedPayment
from web.pages.conftest import SampleSite, sign_in

NOW = datetime(2026, 11, 1, tzinfo=UTC)
KINDS = ("backfill", "reconcile", "statement")
SHOTS = os.environ.get("SCREENSHOTS")  # a folder, where somebody wants to look


async def add_readings(database: Database, site: SampleSite) -> None:
    """A running backfill, a comparison that found something, and a statement."""
    org, con = await _place(database, site)
    span = (NOW - timedelta(days=35), NOW)
    async with database.tenant(org) as tx:
        runs = {
            "backfill": HistoryRun(org, "rdg_backfill", con, "backfill", "waiting", None, NOW, "system", NOW),
            "reconcile": HistoryRun(org, "rdg_reconcile", con, "reconcile", "waiting", *span, "system", NOW),
            "blind": HistoryRun(org, "rdg_blind", con, "statement", "waiting", *span, "system", NOW),
            "statement": HistoryRun(
                org, "rdg_statement", con, "statement", "waiting", NOW - timedelta(days=31), NOW, "system", NOW
            ),
        }
        parts = {
            "backfill": ["customers", "invoices", "disputes"],
            "reconcile": ["events", "charges"],
            "blind": ["payments", "movements"],
            "statement": ["payments", "movements"],
        }
        for kind, run in runs.items():
            await history.insert_run(tx, run, parts[kind])
            taken = await history.take(tx, org, run.run_id)
            assert taken is not None
            runs[kind] = taken
            if kind == "blind":  # the key may read no balance
                await history.skip(tx, taken, "movements", "No permission.")
                await history.finish(tx, taken)
        await catalog_syncs.insert_sync(tx, org, con, started_by="system", started_at=NOW)
        where = {"part": "prices", "cursor_id": "price_x", "read": 1_200, "deleted": 3, "error": None}
        await catalog_syncs.update_progress(tx, org, con, 1, **where)
        await _fill_backfill(tx, runs["backfill"])
        await _fill_reconcile(tx, runs["reconcile"])
        await _fill_statement(tx, runs["statement"])


async def _place(database: Database, site: SampleSite) -> tuple[str, str]:
    async with database.reference() as tx:
        org: str = await tx.fetchval("select organization_id from membership limit 1")
    async with database.tenant(org) as tx:
        con: str = await tx.fetchval("select connection_id from program where program_id = $1", site.sample.program_id)
    return org, con


async def _fill_backfill(tx: object, run: HistoryRun) -> None:
    counted = {"gaps": 10_000, "stored": 10_000, "reached_at": 500, "is_done": True}
    await history.advance(tx, run, "customers", cursor_id="", read=10_000, **counted)
    await history.note_span(tx, run, "invoices", 1_000, 0)
    counted = {"gaps": 40_000, "stored": 40_000, "reached_at": 500, "is_done": False}
    await history.advance(tx, run, "invoices", cursor_id="in_x", read=40_000, **counted)
    await history.skip(tx, run, "disputes", "The provided key does not have the required permissions.")
    await tx.execute("update history_run set started_at = now() - interval '10 hours' where run_id = $1", run.run_id)


async def _fill_reconcile(tx: object, run: HistoryRun) -> None:
    for part in ("events", "charges"):
        await history.advance(tx, run, part, cursor_id="", read=1_234, gaps=2, stored=2, reached_at=None, is_done=True)
    gaps = [Gap("charges", "ch_sample1", "missing"), Gap("charges", "ch_sample2", "outdated: amount_refunded")]
    await history.note_gaps(tx, run, [*gaps, Gap("events", "evt_sample1", "invoice.paid")])
    await history.finish(tx, run)


async def _fill_statement(tx: object, run: HistoryRun) -> None:
    payments = [
        StatedPayment("in_1", "rewarded", "", NOW, "cus_1", "usd", 10_000, 0, 0, 20_000),  # charged twice
        StatedPayment("in_2", "not_attributed", "not_attributed", NOW, "cus_2", "usd", 5_000, 0, 1_000, 4_000),
        StatedPayment("in_3", "excluded", "self_referral", NOW, "cus_3", "eur", 700, 100),
    ]
    await statements.insert_payments(tx, run, payments)
    movements = [
        Movement("txn_1", "charge", True, "ch_1", "in_1", "usd", 10_000, 320, 1_790_000_000),
        Movement("txn_2", "charge", True, "ch_2", "", "usd", 2_500, 100, 1_790_000_000),
        Movement("txn_3", "refund", True, "re_1", "in_3", "eur", -100, 0, 1_790_000_000, 120, "eur"),
        Movement("txn_4", "payout", False, "po_1", "", "usd", -9_000, 0, 1_790_000_000),
    ]
    await statements.insert_movements(tx, run, movements)
    for part in ("payments", "movements"):
        await history.advance(tx, run, part, cursor_id="", read=4, gaps=1, stored=4, reached_at=None, is_done=True)
    await history.finish(tx, run)


@pytest.fixture(scope="module")
def site(sample_site: SampleSite) -> SampleSite:
    sample_site.site.run(lambda database: add_readings(database, sample_site))
    return sample_site


@pytest.fixture(scope="module", params=["light-1280", "dark-1280", "light-360", "dark-360"])
def page(request: pytest.FixtureRequest, browser: Browser, site: SampleSite) -> Iterator[Page]:
    scheme, _, width = request.param.partition("-")
    context = browser.new_context(viewport={"width": int(width), "height": 900}, color_scheme=scheme)
    yield sign_in(context, site.url)
    context.close()


@pytest.mark.parametrize("path", ["/history", *(f"/history/rdg_{kind}" for kind in KINDS)])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(page: Page, site: SampleSite, path: str) -> None:
    page.goto(site.url + path)
    assert_accessible(page)
    width = page.viewport_size["width"]
    assert width_of(page) <= width
    if SHOTS:
        scheme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
        name = f"{path.strip('/').replace('/', '-')}-{scheme}-{width}.png"
        page.screenshot(path=str(Path(SHOTS) / name), full_page=True)


def test_a_running_backfill_shows_a_bar_an_estimate_and_what_was_left_out(page: Page, site: SampleSite) -> None:
    page.goto(f"{site.url}/history/rdg_backfill")
    expect(page.get_by_role("progressbar", name="How much is read")).to_have_attribute("value", "8333")
    expect(page.locator("#rows")).to_contain_text("83 %, about 2 hours left")
    expect(page.locator("#rows")).to_contain_text("left out: The provided key does not have the required permissions.")


def test_a_comparison_names_what_was_missing(page: Page, site: SampleSite) -> None:
    page.goto(f"{site.url}/history/rdg_reconcile")
    rows = page.locator("section:has(#gaps) tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("outdated: amount_refunded")


def test_a_statement_says_how_much_is_explained(page: Page, site: SampleSite) -> None:
    page.goto(f"{site.url}/history/rdg_statement")
    expect(page.get_by_role("heading", level=1)).to_have_text("Statement of 2026-10")
    explained = page.locator("section:has(#explained) tbody tr")
    expect(explained.filter(has_text="EUR")).to_contain_text("100 %")
    expect(explained.filter(has_text="USD")).to_contain_text("80 %")
    expect(page.locator("section:has(#unexplained)")).to_contain_text("txn_2")
    with page.expect_download() as download:
        page.locator("section:has(#classes)").get_by_role("link", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("in_1,rewarded,,")


def test_a_person_starts_cancels_and_resumes(browser: Browser, site: SampleSite) -> None:
    context = browser.new_context()
    page = sign_in(context, site.url)
    page.goto(f"{site.url}/history")
    follow(page.get_by_role("button", name="Read the history"))
    expect(page.get_by_text("is running. Wait for it, or cancel it.")).to_be_visible()
    page.goto(f"{site.url}/history/rdg_backfill")
    follow(page.get_by_role("button", name="Cancel"))
    expect(page.locator("#rows")).to_contain_text("Cancelled")
    follow(page.get_by_role("button", name="Resume"))
    expect(page.locator("#rows")).to_contain_text("Waiting")
    page.goto(f"{site.url}/history")
    follow(page.get_by_role("button", name="Compare now"))
    expect(page).to_have_url(re.compile(r"/history/rdg_[0-9a-z]{20}$"))
    page.goto(f"{site.url}/history")
    follow(page.get_by_role("button", name="Poll instead of webhooks"))
    expect(page.get_by_text("By polling")).to_be_visible()
    follow(page.get_by_role("button", name="Rely on webhooks again"))
    expect(page.get_by_text("By webhooks")).to_be_visible()
    context.close()


def test_a_statement_names_what_does_not_tie(page: Page, site: SampleSite) -> None:
    page.goto(f"{site.url}/history/rdg_statement")
    ties = page.locator("section:has(#ties) tbody tr")
    expect(ties).to_have_count(4)  # two currencies, a payment, a refund
    expect(ties.nth(1).locator("td")).to_contain_text(["USD", "150.00", "10.00", "240.00", "1", "0", "40.00"])
    expect(ties.nth(2)).to_contain_text("in_1")
    expect(ties.nth(2).locator("td")).to_contain_text(["in_1", "100.00", "200.00"])
    expect(ties.nth(3).locator("td")).to_contain_text(["re_1", "1.20", "1.00"])


def test_the_catalogue_shows_how_far_it_is_read(page: Page, site: SampleSite) -> None:
    page.goto(f"{site.url}/history")
    panel = page.locator("section:has(#catalog)")
    expect(panel).to_contain_text("Reading")
    expect(panel).to_contain_text("1,200, now prices; 3 are no longer in Stripe")
    expect(panel.get_by_role("button")).to_have_count(0)


def test_the_catalogue_cannot_be_read_without_a_key(page: Page, site: SampleSite) -> None:
    page.goto(f"{site.url}/history")
    token = page.locator("form input[name=csrf_token]").first.get_attribute("value")
    answer = page.request.post(f"{site.url}/history", form={"kind": "catalog", "csrf_token": token or ""})
    assert answer.status == 422
    assert "The connection has no Stripe key: add one." in answer.text()


@pytest.mark.parametrize("name", ["payments", "movements"])
def test_the_tables_of_a_statement_are_those_of_a_statement(page: Page, site: SampleSite, name: str) -> None:
    found = page.request.get(f"{site.url}/history/rdg_statement/{name}.csv")
    assert (found.status, len(found.text().splitlines())) == (200, {"payments": 4, "movements": 5}[name])
    for run_id in ("rdg_none", "rdg_backfill"):
        assert page.request.get(f"{site.url}/history/{run_id}/{name}.csv").status == 404


def test_a_statement_without_the_balance_says_so(page: Page, site: SampleSite) -> None:
    page.goto(f"{site.url}/history/rdg_blind")
    expect(page.locator("section:has(#explained)")).to_contain_text("the key may not read balance transactions")
    expect(page.locator("section:has(#movements)")).to_contain_text("Not read")
