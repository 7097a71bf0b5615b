"""The simulator's page in a real browser, with and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from looks import assert_accessible, follow, width_of
from web.pages.conftest import SampleSite, sign_in
from web.pages.sample import VIEWER_EMAIL


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def page(request: pytest.FixtureRequest, browser: Browser, sample_site: SampleSite) -> Iterator[Page]:
    """Give the page of a viewer: nothing is written."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, java_script_enabled=request.param)
    shown = sign_in(context, sample_site.url, VIEWER_EMAIL)
    shown.goto(f"{sample_site.url}/programs")
    follow(shown.get_by_role("link", name="Simulator"))
    yield shown
    context.close()


def play(page: Page, **replaced: str) -> None:
    """Change the story in the form, and play it."""
    field = page.get_by_label("The story", exact=True)
    text = field.input_value()
    for before, after in replaced.items():
        assert before.replace("_", " ") in text
        text = text.replace(before.replace("_", " "), after)
    field.fill(text)
    follow(page.get_by_role("button", name="Play the story"))


def test_a_story_is_opened_and_played(page: Page) -> None:
    is_script_on = page.locator("html.has-script").count() == 1
    with page.expect_navigation():
        page.get_by_label("A story to begin with").select_option("caps-and-budget")
        if not is_script_on:  # else the choice alone is enough
            page.get_by_role("button", name="Open").click()
    expect(page).to_have_url(re.compile(r"/simulator\?story=caps-and-budget$"))
    expect(page.locator("p", has_text="At most 30.00 USD for a participant in a month")).to_be_visible()
    play(page)
    expect(page.get_by_role("heading", name="As expected: 5 expectations met")).to_be_visible()
    page.get_by_text("two/1", exact=True).last.click()
    cut = "Cut from 20.00 USD to 10.00 USD: what one participant may earn is at most 30.00 USD this calendar month"
    expect(page.get_by_text(cut).first).to_be_visible()
    assert width_of(page) <= 360


def test_a_wrong_expectation_is_explained(page: Page) -> None:
    play(page, **{"amount:_6.00_USD,_status:_pending": "amount: 7.00 USD, status: pending"})
    verdict = page.locator("section[role=status]")
    expect(verdict.get_by_role("heading", name="2 of 8 expectations not as expected")).to_be_visible()
    expect(verdict.get_by_text("Expected 7.00 USD, earned 6.00 USD.").first).to_be_visible()
    expect(verdict.get_by_text("Rule “commission”: 30.00 USD × 20 % = 6.00 USD").first).to_be_visible()
    assert width_of(page) <= 360


def test_faults_stand_beside_their_lines(page: Page) -> None:
    play(page, **{"amount:_30.00_USD": "amount: 30.00 UZD", "by:_partner": "by: parner"})
    alert = page.get_by_role("alert")
    expect(alert.get_by_text("“UZD” is no currency that Stripe charges in")).to_be_visible()
    expect(alert.get_by_text("do you mean partner?")).to_be_visible()
    expect(alert.locator("pre").first).to_contain_text("amount: 30.00 UZD")
    assert "by: parner" in page.get_by_label("The story", exact=True).input_value()


def test_a_program_s_terms_can_be_chosen(page: Page) -> None:
    choice = page.get_by_label("Under which terms")
    label = choice.locator("option").nth(1).inner_text()
    choice.select_option(index=1)
    follow(page.get_by_role("button", name="Play the story"))
    expect(page.get_by_text(f"The terms: {label}")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, sample_site: SampleSite, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = sign_in(context, sample_site.url)
    page.goto(f"{sample_site.url}/simulator?story=two-sided-referral")
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
    assert_accessible(page)
    play(page, **{"amount:_10.00_USD": "amount: 12.00 USD"})
    expect(page.get_by_role("heading", name="not as expected")).to_be_visible()
    for summary in page.locator("main summary").all():
        summary.click()
    assert_accessible(page)
    play(page, **{"starts:": "begins:"})
    expect(page.get_by_role("alert")).to_be_visible()
    assert_accessible(page)
    assert complaints == []
    context.close()
