"""Backtests in a real browser: chosen, watched, read, cancelled, taken as a file."""

import csv
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from looks import assert_accessible, follow, width_of
from refref.core.catalog import Product
from refref.core.terms import RewardRule, Terms
from refref.db import catalog
from refref.db.pool import Database
from refref.flows.drafts import save_draft
from refref.worker.backtests import run_due_backtests
from web.pages.conftest import SampleSite, client_of, sign_in
from web.pages.sample import EMAIL, VIEWER_EMAIL

SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder to leave pictures in
DRAFT = Terms(rules=(RewardRule(rule_id="commission", rate_bps=3_000, condition="sale.number > 1"),))


@pytest.fixture(scope="module")
def path(sample_site: SampleSite) -> str:
    """Give the address of the backtests of the program, which has a draft."""
    sample = sample_site.sample

    async def draft(database: Database) -> None:
        async with database.tenant(sample.organization_id) as tx:
            await save_draft(
                tx, sample.organization_id, sample.program_id, terms=DRAFT, actor="system", now=datetime.now(UTC)
            )

    sample_site.site.run(draft)
    return f"{sample_site.url}/programs/{sample.program_id}/backtests"


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, sample_site: SampleSite) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=request.param)
    yield sign_in(context, sample_site.url)
    context.close()


def work(site: SampleSite) -> None:
    """Let the worker take what waits."""
    site.site.run(run_due_backtests)


def picture(page: Page, name: str) -> None:
    if SCREENSHOTS:
        theme = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
        width = page.evaluate("innerWidth")
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}-{theme}-{width}.png"), full_page=True)


def check(page: Page) -> None:
    assert_accessible(page)


def test_from_the_choice_to_the_result(page: Page, path: str, sample_site: SampleSite) -> None:
    page.goto(path)
    check(page)
    page.get_by_label("Which terms").select_option("The draft")
    follow(page.get_by_role("button", name="Start"))
    expect(page.get_by_role("heading", name="Waiting for the worker")).to_be_visible()
    check(page)
    picture(page, "waiting")
    work(sample_site)
    expect(page.get_by_role("heading", name="In all")).to_be_visible()
    main = page.get_by_role("main")
    for text in ("come out otherwise", "Per participant", "Per product", "The largest changes", "sale.number is 1"):
        expect(main).to_contain_text(text)
    check(page)
    picture(page, "result")
    page.set_viewport_size({"width": 360, "height": 740})
    assert width_of(page) <= 360
    check(page)
    picture(page, "result")
    page.goto(path)
    assert width_of(page) <= 360
    expect(page.get_by_text("Done").first).to_be_visible()
    picture(page, "list")


def test_one_that_runs_can_be_cancelled_and_refuses_a_second(page: Page, path: str) -> None:
    page.goto(path)
    page.get_by_label("Which terms").select_option("Version 1")
    page.get_by_label("As if in force since").fill("2026-01-31")
    follow(page.get_by_role("button", name="Start"))
    expect(page.get_by_role("heading", name="Backtest: Version 1")).to_be_visible()
    running = page.url
    page.goto(path)
    follow(page.get_by_role("button", name="Start"))
    expect(page.get_by_role("alert")).to_contain_text("is running")
    page.goto(running)
    follow(page.get_by_role("button", name="Cancel"))
    expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()
    check(page)


def test_the_tables_are_files(path: str, sample_site: SampleSite) -> None:
    own = (sample_site.sample.organization_id, sample_site.sample.connection_id)

    async def name_the_product(database: Database) -> None:
        async with database.tenant(own[0]) as tx:
            await catalog.store_items(tx, *own, [Product("prod_sample", "Sample Plan", 1)])

    sample_site.site.run(name_the_product)
    with client_of(sample_site.url, EMAIL) as client:
        token = client.get(path).text.partition('name="csrf_token" value="')[2].partition('"')[0]
        started = client.post(path, data={"csrf_token": token, "what": "draft", "since": ""})
        assert started.status_code == 303
        work(sample_site)
        for table, column in (("participants", "name"), ("products", "currency")):
            answer = client.get(f"{started.headers['location']}/{table}.csv")
            rows = list(csv.DictReader(io.StringIO(answer.text)))
            assert rows
            assert all(row[column] for row in rows)
            assert all(
                int(row["difference_minor"].lstrip("'")) == int(row["draft_minor"]) - int(row["booked_minor"])
                for row in rows
            )
        assert {row["id"]: row["name"] for row in rows if row["id"]} == {"prod_sample": "Sample Plan"}
        assert "Sample Plan" in client.get(started.headers["location"]).text
        assert client.get(f"{started.headers['location']}/else.csv").status_code == 404
        wrong = client.post(path, data={"csrf_token": token, "what": "x", "since": ""})
        assert wrong.status_code == 422
        late = client.post(path, data={"csrf_token": token, "what": "draft", "since": "soon"})
        assert "Give a day such as 2026-01-31" in late.text


def test_a_viewer_looks_and_starts_nothing(path: str, sample_site: SampleSite) -> None:
    with client_of(sample_site.url, VIEWER_EMAIL) as client:
        shown = client.get(path)
        assert "Ask an admin" in shown.text
        assert client.get(f"{path}/btt_none").status_code == 404
