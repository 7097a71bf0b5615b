"""What JavaScript adds to the program builder: lists to choose from, conditions that fit their field, rows, no sideways
scrolling on a phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from looks import assert_accessible, follow, width_of
from refref.core.catalog import Coupon, Price, Product
from refref.db import catalog
from refref.db.pool import Database
from web.pages.conftest import SampleSite, client_of, sign_in
from web.pages.drafts import draft_of, new_program, set_draft
from web.pages.sample import EMAIL
from web.pages.test_builder import PAGES, RICH


@pytest.fixture(scope="module")
def program(sample_site: SampleSite) -> str:
    """Give the path of a program whose draft says all that the forms can say, in a shop with a catalogue."""
    sample = sample_site.sample

    async def store(database: Database) -> None:
        async with database.tenant(sample.organization_id) as tx:
            items = [
                Product("prod_course", "Sample Course", 1),
                Product("prod_tool", "Sample Tool", 1),
                Price("price_course", "prod_course", "eur", 1, 4_900),
                Price("price_month", "prod_course", "usd", 1, 950, interval="month"),
                Coupon("SPRING", "Sample Spring", 1),
            ]
            await catalog.store_items(tx, sample.organization_id, sample.connection_id, items)

    sample_site.site.run(store)
    with client_of(sample_site.url, EMAIL) as owner:
        made = new_program(owner)
    set_draft(sample_site, made, RICH)
    return made


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, sample_site: SampleSite) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=request.param)
    yield sign_in(context, sample_site.url)
    context.close()


def test_every_page_of_a_full_draft_fits_a_phone_and_reads_well(
    page: Page, sample_site: SampleSite, program: str
) -> None:
    for path in ("", *(f"/{name}" for name in PAGES), "/rules", "/events", "/events/2/try"):
        page.goto(f"{sample_site.url}{program}/draft{path}")
        assert width_of(page) <= 360, path
        assert_accessible(page, path)


def test_products_are_found_by_name_and_chosen(page: Page, sample_site: SampleSite, program: str) -> None:
    page.goto(f"{sample_site.url}{program}/draft/rules/4")
    page.get_by_text("Products, group, campaign, dates").click()
    field = page.get_by_label("Only these products, prices or plans", exact=True)
    picker = page.locator("[data-picker]", has=page.locator('[name="products"]'))
    picker.get_by_text("Choose from your products and prices").click()
    expect(picker.get_by_role("button", name="Sample Tool")).to_be_visible()
    picker.get_by_label("Search by name or id").fill("course")
    expect(picker.get_by_role("button", name="Sample Tool")).to_have_count(0)
    page.get_by_role("button", name="9.50 USD every month").click()
    expect(field).to_have_value("price_month")
    expect(picker.locator("[data-names]")).to_have_text("Sample Course")
    page.get_by_role("button", name="Sample Course").first.click()
    expect(field).to_have_value("price_month, prod_course")
    page.get_by_role("button", name="9.50 USD every month").click()
    expect(field).to_have_value("prod_course")


def test_participants_are_found_by_name_and_chosen(page: Page, sample_site: SampleSite, program: str) -> None:
    page.goto(f"{sample_site.url}{program}/draft/rules/4")

    def row(number: int) -> Locator:
        return page.locator("[data-row]", has=page.locator(f'[name="split.{number}.participant"]'))

    page.get_by_role("button", name="Add a share").click()
    with client_of(sample_site.url, EMAIL) as owner:
        shown = owner.get(f"{program}/people?kind=split").text
    assert "No participant of this program is found" in shown, "the program of the draft has none yet"
    last = row(4)
    last.get_by_text("Choose a participant").click()
    last.get_by_role("button", name="Whoever referred").click()
    expect(last.get_by_role("textbox", name="Participant")).to_have_value("referrer")
    expect(row(1).get_by_role("textbox", name="Participant")).not_to_have_value("referrer")


def test_amounts_of_a_condition_are_typed_in_the_units_of_their_currency(
    page: Page, sample_site: SampleSite, program: str
) -> None:
    page.goto(f"{sample_site.url}{program}/draft/rules/4")
    row = page.get_by_role("group", name="Condition 1")
    row.get_by_label("What is looked at").select_option("sale.amount")
    expect(row.get_by_label("With what")).to_have_attribute("placeholder", "50.00 USD, 45.00 EUR")
    row.get_by_label("How it is compared").select_option(label="is at least")
    row.get_by_label("With what").fill("50 usd")
    expect(page.get_by_text('sale.currency == "usd" && sale.amount_minor >= 5000')).to_be_visible()


def test_the_newest_of_many_changes_is_shown_however_slow_an_answer_is(
    page: Page, sample_site: SampleSite, program: str
) -> None:
    page.goto(f"{sample_site.url}{program}/draft/rules/4")
    unanswered: list[Route] = []

    def leave_the_first_unanswered(route: Route) -> None:
        if unanswered:
            route.continue_()
        else:
            unanswered.append(route)

    page.route("**/condition?*", leave_the_first_unanswered)
    row = page.get_by_role("group", name="Condition 1")
    row.get_by_label("What is looked at").select_option("sale.amount")
    row.get_by_label("How it is compared").select_option(label="is at least")
    row.get_by_label("With what").fill("70 usd")
    expect(page.get_by_text('sale.currency == "usd" && sale.amount_minor >= 7000')).to_be_visible()
    assert len(unanswered) == 1
    page.unroute("**/condition?*")


def test_a_condition_is_built_from_rows(page: Page, sample_site: SampleSite, program: str) -> None:
    page.goto(f"{sample_site.url}{program}/draft/rules/4")
    row = page.get_by_role("group", name="Condition 1")
    row.get_by_label("What is looked at").select_option("customer.country")
    row.get_by_label("How it is compared").select_option(label="is one of")
    row.get_by_label("With what").fill("DE, FR")
    expect(page.get_by_text('customer.country in ["DE", "FR"]')).to_be_visible()
    row.get_by_label("What is looked at").select_option("sale.is_first")
    expect(row.get_by_label("With what")).to_be_hidden()
    expect(page.get_by_text("As an expression: sale.is_first")).to_be_visible()
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_label("Written as").select_option("cel")
    page.get_by_label("Expression", exact=True).fill("sale.is_first &&")
    expect(page.get_by_text("Line 1, column 17")).to_be_visible()


def test_a_row_is_added_and_saved(page: Page, sample_site: SampleSite, program: str) -> None:
    page.goto(f"{sample_site.url}{program}/draft/limits")
    page.get_by_role("button", name="Add a limit").click()
    page.get_by_label("At most").last.fill("250.00 USD")
    page.get_by_label("For", exact=True).last.select_option("program")
    follow(page.get_by_role("button", name="Save the limits"))
    expect(page).to_have_url(f"{sample_site.url}{program}/draft")
    with client_of(sample_site.url, EMAIL) as owner:
        caps = draft_of(owner, program).caps
    assert (caps[-1].on, caps[-1].amounts) == ("program", {"usd": 25_000})
    set_draft(sample_site, program, RICH)
