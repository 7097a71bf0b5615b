"""The pages in a real browser: they fit a phone, read well to a screen reader, and work without JavaScript."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from looks import assert_accessible, follow, width_of
from refref.db.pool import Database
from web.pages.conftest import SampleSite, Site, sign_in
from web.pages.sample import EMAIL, PASSWORD, sell_once

PATHS = (
    "/",
    "/?days=365",
    "/payments",
    "/rewards",
    "/rewards/{reward_id}",
    "/customers",
    "/customers/{customer_id}",
    "/customers/{unreferred_customer_id}",
    "/referrals",
    "/participants",
    "/participants/new",
    "/participants/{participant_id}",
    "/programs",
    "/programs/new",
    "/simulator",
    "/programs/new?template=two-sided-referral",
    "/programs/{program_id}",
    "/programs/{program_id}/versions",
    "/programs/{program_id}/draft",
    "/programs/{program_id}/draft/events",
    "/programs/{program_id}/draft/events/new",
    "/programs/{program_id}/draft/events/new?kind=custom",
    "/programs/{program_id}/draft/rules",
    "/programs/{program_id}/draft/rules/1",
    "/programs/{program_id}/draft/limits",
    "/programs/{program_id}/draft/currencies",
    "/programs/{program_id}/draft/fraud",
    "/programs/{program_id}/draft/settings",
    "/events",
    "/events/{parked_event_id}",
    "/settings",
    "/settings/currencies",
    "/settings/currencies?from=gbp&to=usd&on=2026-10-30",
    "/set-up",
    "/integrations",
    "/integrations/stripe/connect",
    "/integrations/stripe/{connection_id}",
    "/why",
    "/why?id={customer_id}",
    "/why?id=customer4@example.com",
    "/why?id=in_nothing",
)


def address(site: SampleSite, path: str) -> str:
    values = {name: getattr(site.sample, name) for name in site.sample.__slots__}
    return site.url + path.format(**values)


@pytest.fixture(scope="module", params=["light", "dark"])
def desktop(request: pytest.FixtureRequest, browser: Browser, sample_site: SampleSite) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=request.param)
    yield sign_in(context, sample_site.url)
    context.close()


@pytest.fixture(scope="module")
def phone(browser: Browser, sample_site: SampleSite) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    yield sign_in(context, sample_site.url)
    context.close()


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_needs_no_horizontal_scroll(phone: Page, sample_site: SampleSite, path: str) -> None:
    phone.goto(address(sample_site, path))
    assert width_of(phone) <= 360


@pytest.mark.parametrize("path", ["/events", "/payments", "/rewards", "/participants", "/customers", "/referrals"])
def test_lists_fit_a_desktop(desktop: Page, sample_site: SampleSite, path: str) -> None:
    desktop.goto(address(sample_site, path))
    overflow = "box => box.scrollWidth - box.clientWidth"
    assert desktop.locator(".panel:has(> .list)").first.evaluate(overflow) == 0


@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing(desktop: Page, sample_site: SampleSite, path: str) -> None:
    complaints: list[str] = []
    desktop.on(
        "console", lambda message: complaints.append(message.text) if "Security Policy" in message.text else None
    )
    desktop.goto(address(sample_site, path))
    assert_accessible(desktop)
    assert complaints == []


def test_axe_finds_nothing_on_a_phone(phone: Page, sample_site: SampleSite) -> None:
    for path in ("/", "/rewards", "/rewards/{reward_id}", "/payments", "/settings"):
        phone.goto(address(sample_site, path))
        assert_accessible(phone)
    phone.get_by_text("Menu", exact=True).click()
    expect(phone.get_by_role("link", name="Participants")).to_be_visible()
    assert_accessible(phone)


def test_signing_in_leads_back_to_what_was_asked_for(browser: Browser, sample_site: SampleSite) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{sample_site.url}/rewards?status=pending")
    assert "/sign-in?next=" in page.url
    assert_accessible(page)
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill("not the password")
    follow(page.get_by_role("button", name="Sign in"))
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("button", name="Sign in"))
    expect(page).to_have_url(f"{sample_site.url}/rewards?status=pending")
    follow(page.get_by_role("button", name="Sign out"))
    expect(page).to_have_url(f"{sample_site.url}/sign-in")
    context.close()


def test_everything_works_without_javascript(browser: Browser, sample_site: SampleSite) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = sign_in(context, sample_site.url)
    page.goto(f"{sample_site.url}/rewards")
    page.get_by_label("Status").select_option("payable")
    follow(page.get_by_role("button", name="Show"))
    expect(page.get_by_text("Payable since").first).to_be_visible()
    expect(page.get_by_text("Pending until")).to_have_count(0)
    page.get_by_label("Any Stripe or RefRef id").fill(sample_site.sample.payment_key)
    follow(page.get_by_label("Any Stripe or RefRef id"), by_key=True)
    expect(page.get_by_text("What counts")).to_be_visible()
    context.close()


def test_a_sale_appears_by_itself(browser: Browser, sample_site: SampleSite) -> None:
    context = browser.new_context()
    page = sign_in(context, sample_site.url)
    expect(page.get_by_text("in_samplelive")).to_have_count(0)
    sample = sample_site.sample

    async def sell(database: Database) -> None:
        await sell_once(database, sample, "in_samplelive", datetime.now(UTC))

    sample_site.site.run(sell)
    expect(page.get_by_text("in_samplelive")).to_be_visible()
    context.close()


def test_what_is_open_stays_open_while_the_page_refreshes(desktop: Page, sample_site: SampleSite) -> None:
    desktop.goto(address(sample_site, "/rewards/{reward_id}"))
    desktop.get_by_text("Stripe objects that we know of").click()
    for _ in range(2):
        with desktop.expect_response(lambda response: "/rewards/" in response.url):
            pass
    expect(desktop.get_by_role("link", name="sub_sample1")).to_be_visible()


def test_the_explanation_says_every_number(desktop: Page, sample_site: SampleSite) -> None:
    desktop.goto(address(sample_site, "/rewards/{reward_id}"))
    main = desktop.get_by_role("main")
    for text in (
        "Sample plan, one seat",
        "Tax, left out",
        "The base, on which rewards are worked out",
        "95.00 USD × 20 % = 19.00 USD",
        "Terms, version 1",
        "partner-2",
        "Refunded to the customer",
        "Hold ended",
    ):
        expect(main).to_contain_text(text)


def test_the_keyboard_suffices(browser: Browser, sample_site: SampleSite) -> None:
    context = browser.new_context()
    page = sign_in(context, sample_site.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.get_by_label("Any Stripe or RefRef id")).to_be_focused()
    page.keyboard.type("customer2@example.com")
    page.keyboard.press("Enter")
    page.wait_for_url("**/why?id=*")
    expect(page.get_by_role("main")).to_contain_text("payments; each with its reason")
    context.close()


def test_the_theme_is_kept(browser: Browser, sample_site: SampleSite) -> None:
    context = browser.new_context(color_scheme="light")
    page = sign_in(context, sample_site.url)
    toggle = page.get_by_role("button", name="System theme")
    toggle.click()
    page.get_by_role("button", name="Light theme").click()
    page.reload()
    expect(page.get_by_role("button", name="Dark theme")).to_be_visible()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    context.close()


def test_from_the_first_run_to_a_participant(browser: Browser, new_site: Site) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(new_site.url)
    expect(page).to_have_url(f"{new_site.url}/first-run")
    assert_accessible(page)
    page.get_by_label("Organization").fill("Sample Shop")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("button", name="Create the account"))
    expect(page).to_have_url(f"{new_site.url}/set-up")
    follow(page.get_by_role("link", name="Connect Stripe"))
    by_webhook = page.get_by_role("region", name="With webhooks alone")
    by_webhook.get_by_label("Mode").select_option("test")
    follow(by_webhook.get_by_role("button", name="Connect"))
    expect(page.get_by_text("/stripe/webhooks/con_")).to_be_visible()
    page.get_by_label("Its signing secret").fill("whsec_samplesamplesamplesample")
    follow(page.get_by_role("button", name="Store"))
    expect(page.get_by_text("Signing secret …mple")).to_be_visible()
    page.goto(f"{new_site.url}/programs/new")
    follow(page.get_by_role("link", name="Affiliate").first)
    page.get_by_label("Name of the program").fill("Partner program")
    page.get_by_label("The referrer gets").fill("12.5")
    follow(page.get_by_role("button", name="Make it and publish"))
    expect(page.get_by_text("12.5 % of every payment.")).to_be_visible()
    follow(page.get_by_role("link", name="Change the terms"))
    follow(page.get_by_role("link", name="Reward rules"))
    follow(page.get_by_role("link", name="Commission"))
    page.get_by_label("Worked out as").select_option("fixed")
    page.get_by_label("Fixed amount, per currency").fill("7.50 USD")
    follow(page.get_by_role("button", name="Save the rule"))
    follow(page.get_by_role("link", name="Overview").last)
    follow(page.get_by_role("button", name="Publish version 2"))
    expect(page.get_by_text("7.50 USD for every payment.")).to_be_visible()
    page.goto(f"{new_site.url}/participants/new")
    page.get_by_label("Name").fill("Sample Partner")
    page.get_by_label("E-mail", exact=True).fill("partner@example.com")
    page.get_by_label("Refcode").fill("sample-partner")
    follow(page.get_by_role("button", name="Add", exact=True))
    expect(page.get_by_role("main").get_by_text("sample-partner")).to_be_visible()
    follow(page.get_by_role("button", name="Pause"))
    expect(page.get_by_text("until you resume")).to_be_visible()
    context.close()


def test_empty_lists_say_what_to_do_next(browser: Browser, empty_site: Site) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = sign_in(context, empty_site.url)
    expect(page.get_by_role("link", name="Make a program")).to_be_visible()
    for path, step in (
        ("/payments", "Check the set-up"),
        ("/rewards", "See the participants"),
        ("/customers", "Check the set-up"),
        ("/referrals", "See the participants' codes"),
        ("/participants", "Make a program"),
        ("/programs", "Make the first program"),
        ("/events", "Open the checklist"),
    ):
        page.goto(empty_site.url + path)
        expect(page.get_by_role("main").get_by_role("link", name=step)).to_be_visible()
        assert width_of(page) <= 360
        assert_accessible(page)
    page.goto(f"{empty_site.url}/rewards?q=nothing")
    expect(page.get_by_role("link", name="Clear the filters")).to_be_visible()
    context.close()


def test_a_customer_is_bound_by_hand_after_seeing_the_money_and_it_is_taken_back(
    browser: Browser, sample_site: SampleSite
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 760})
    page = sign_in(context, sample_site.url)

    def look() -> None:
        assert width_of(page) <= 360
        assert_accessible(page)

    page.goto(address(sample_site, "/customers/cus_sample8"))
    follow(page.get_by_role("link", name="Bind by hand"))
    page.get_by_label("Code of the participant").fill("no-such-code")
    page.get_by_label("Referred on").fill("2020-01-01")
    page.get_by_label("Reason").fill("Said so on the phone")
    follow(page.get_by_role("button", name="Show the money"))
    expect(page.get_by_role("alert")).to_contain_text("No participant of this connection has that code.")
    look()
    page.get_by_label("Code of the participant").fill("partner-1")
    follow(page.get_by_role("button", name="Show the money"))
    expect(page.get_by_role("main")).to_contain_text("What it would do")
    look()
    follow(page.get_by_role("button", name="Bind by hand"))
    expect(page.get_by_role("main")).to_contain_text("bound by hand")
    follow(page.get_by_role("link", name="Take it back"))
    look()
    page.get_by_label("Reason").fill("A mistake")
    follow(page.get_by_role("button", name="Take it back"))
    expect(page.get_by_role("main")).to_contain_text("Undone")
    context.close()


def test_customers_are_bound_by_a_file(browser: Browser, sample_site: SampleSite) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 760})
    page = sign_in(context, sample_site.url)
    page.goto(address(sample_site, "/referrals"))
    follow(page.get_by_role("link", name="Bind by file"))

    def show(text: bytes) -> None:
        page.get_by_label("CSV file").set_input_files({"name": "bonds.csv", "mimeType": "text/csv", "buffer": text})
        page.get_by_label("Reason").fill("The old programme's list")
        follow(page.get_by_role("button", name="Show the money"))

    show(b"customer,code\ncus_sample12,nobody\n")
    expect(page.get_by_role("alert")).to_contain_text("Line 2, code: no participant")
    show(b"customer,code,clicked_at\ncustomer12@example.com,partner-2,2020-01-01\n")
    assert width_of(page) <= 360
    assert_accessible(page)
    follow(page.get_by_role("button", name="Bind 1 customer"))
    expect(page.get_by_role("status").last).to_contain_text("1 customer bound")
    context.close()


def test_secrets_are_shown_once_and_events_replayed(browser: Browser, sample_site: SampleSite) -> None:
    context = browser.new_context()
    page = sign_in(context, sample_site.url)
    page.goto(f"{sample_site.url}/settings")
    keys = page.get_by_role("region", name="API keys")
    keys.get_by_label("Name").fill("Sample program")
    follow(keys.get_by_role("button", name="Make a key"))
    expect(page.get_by_text("Copy it now")).to_be_visible()
    secret = page.locator(".secret").first.inner_text()
    page.goto(f"{sample_site.url}/settings")
    assert secret not in page.content()
    follow(page.get_by_role("button", name="Revoke Sample program"))
    expect(page.get_by_text("revoked")).to_be_visible()
    page.goto(address(sample_site, "/events/{parked_event_id}"))
    expect(page.get_by_text("the key may not read invoices")).to_be_visible()
    follow(page.get_by_role("button", name="Replay"))
    expect(page.get_by_text("processed in a moment")).to_be_visible()
    context.close()


def test_sums_over_currencies_are_marked_as_estimates(desktop: Page, sample_site: SampleSite) -> None:
    desktop.goto(f"{sample_site.url}/?days=365")
    others = desktop.get_by_role("region", name="Sums in other currencies")
    expect(others).to_contain_text("All together, estimated: money referred about")
    expect(others).to_contain_text("1 EUR = ")
    expect(others).to_contain_text("USD, European Central Bank")


def test_rates_are_uploaded_after_a_preview(browser: Browser, sample_site: SampleSite) -> None:
    context = browser.new_context()
    page = sign_in(context, sample_site.url)
    page.goto(f"{sample_site.url}/settings")
    follow(page.get_by_role("link", name="Currencies"))
    form = page.get_by_role("region", name="Rates of your own")
    given = {"name": "own.csv", "mimeType": "text/csv", "buffer": b"date,from,to,rate\n2026-10-30,eur,usd,0.9\n"}
    form.get_by_label("File").set_input_files(files=[given])
    follow(form.get_by_role("button", name="Preview"))
    preview = page.get_by_role("region", name="Preview of own.csv")
    expect(preview.get_by_text("Is it turned around?")).to_be_visible()
    assert_accessible(page)
    follow(preview.get_by_role("button", name="Take it in"))
    expect(page.get_by_role("heading", name="Taken in as upload 1")).to_be_visible()
    lookup = page.get_by_role("region", name="Look up a rate")
    lookup.get_by_label("From").fill("EUR")
    lookup.get_by_label("To").fill("usd")
    lookup.get_by_label("On").fill("2026-10-30")
    follow(lookup.get_by_role("button", name="Show"))
    expect(page.get_by_text("1 EUR = 0.9 USD, your own rate, 30 Oct 2026")).to_be_visible()
    context.close()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_doctor_tells_what_is_wrong_and_mends_it(
    browser: Browser, sample_site: SampleSite, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]  # a parameter
    page = sign_in(context, sample_site.url)
    page.goto(address(sample_site, "/doctor"))
    expect(page.get_by_role("heading", name="Doctor", exact=True)).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Deliveries of the last 30 days")
    assert width_of(page) <= width
    assert_accessible(page)
    button = page.get_by_role("button", name="Settle them again")
    if button.count():  # the first of the parameters mends it
        follow(button)
        expect(page.get_by_role("main")).not_to_contain_text("parked_events")
    context.close()


def test_an_unknown_id_comes_with_causes_and_a_stop_with_its_remedy(browser: Browser, sample_site: SampleSite) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 760})
    page = sign_in(context, sample_site.url)
    page.goto(address(sample_site, "/why?id=in_1NobodyKnows"))
    expect(page.get_by_role("main")).to_contain_text("No event has told of it.")
    page.goto(address(sample_site, f"/why?id={sample_site.sample.unreferred_customer_id}"))
    expect(page.get_by_role("region", name="What stopped it first")).to_contain_text("Bind the customer by hand")
    assert_accessible(page)
    context.close()
