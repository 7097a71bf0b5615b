"""A merchant builds a program in the browser: tiers, a custom event, a test, a backtest, publishing; reads its rewards.

On the real server with the demo's Stripe, end to end. Nobody touches code.
"""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from demo.test_demo import LIMIT_S, Demo, demo, wait_for  # noqa: F401 - a fixture
from looks import assert_accessible, follow

PROMOTER = "sample-builder"
WITHOUT_THE_FIELD = {
    "id": "evt_pasted",
    "object": "event",
    "type": "customer.updated",
    "created": 1_790_000_000,
    "livemode": False,
    "data": {
        "object": {"id": "cus_pasted", "object": "customer", "metadata": {}},
        "previous_attributes": {"name": None},
    },
}


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:  # noqa: F811 - the fixture above
    """Give a page of the demo, signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(demo.told["url"])
    page.get_by_label("E-mail").fill(demo.told["email"])
    page.get_by_label("Password").fill(demo.told["password"])
    follow(page.get_by_role("button", name="Sign in"))
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    yield page
    context.close()


def test_a_program_is_built_tried_published_and_understood(page: Page, demo: Demo) -> None:  # noqa: F811 - the same
    program = begin_program(page, demo)
    tier_the_commission(page, program)
    define_custom_event(page)
    reward_custom_event(page, program)
    try_it_on_events(page, program)
    add_promoter(page, demo)
    customers = [buy(demo, f"built{number}@example.com") for number in range(3)]
    backtest(page, program)
    publish(page, program)
    pass_check(demo, customers[0])
    understand_the_rewards(page, demo)
    the_history_tells_the_version(page, program)


def begin_program(page: Page, demo: Demo) -> str:  # noqa: F811 - the same
    """From the template to the draft; the preview follows what is typed."""
    page.goto(f"{demo.told['url']}/programs/new")
    follow(page.get_by_role("link", name="Affiliate", exact=False))
    page.get_by_label("Name of the program").fill("Sample Builder Program")
    rate = page.get_by_label("The referrer gets, in per cent")
    subscriber = page.locator("article", has_text="A monthly subscriber")
    expect(subscriber).to_contain_text("180.00")
    rate.fill("10")
    expect(subscriber).to_contain_text("60.00")
    follow(page.get_by_role("button", name="Make it, with a draft"))
    expect(page.get_by_role("heading", name="Draft", exact=True)).to_be_visible()
    return page.url.removesuffix("/draft")


def tier_the_commission(page: Page, program: str) -> None:
    """10 % at first, 20 % from the second referral on: with a fault on the way, mended where it is shown."""
    follow(page.get_by_role("link", name="Reward rules"))
    follow(page.get_by_role("link", name="Commission"))
    page.get_by_label("The value is").select_option(label="A value by plan, referrals or revenue")
    page.get_by_label("From referrals, or revenue").nth(0).fill("1")
    shares = page.get_by_role("group", name="Tiers").get_by_label("Share in per cent")
    shares.nth(0).fill("10")
    page.get_by_role("button", name="Add a step").click()
    page.get_by_label("From referrals, or revenue").nth(2).fill("1")
    shares.nth(2).fill("20")
    follow(page.get_by_role("button", name="Save the rule"))
    expect(page.get_by_text("Steps come in ascending order")).to_be_visible()
    page.get_by_label("From referrals, or revenue").nth(1).fill("2")
    follow(page.get_by_role("button", name="Save the rule"))
    expect(page).to_have_url(f"{program}/draft/rules")
    expect(page.get_by_text("20 % from 2 referrals on")).to_be_visible()


def define_custom_event(page: Page) -> None:
    """Customers who passed a check, by an event of Stripe; wrong CEL is told with its place, before it is saved."""
    follow(page.get_by_role("link", name="Qualifying events"))
    follow(page.get_by_role("main").get_by_role("link", name="Add Stripe event").first)
    follow(page.get_by_role("link", name="Custom event"))
    page.get_by_label("Name", exact=True).fill("Check passed")
    page.get_by_role("button", name="customer.updated", exact=True).click()
    expect(page.get_by_label("Types of Stripe events")).to_have_value("customer.updated")
    page.get_by_label("Criteria (CEL over event)").fill('event.data.object.metadata.kyc = "passed"')
    follow(page.get_by_role("button", name="Save the event"))
    expect(page.get_by_text(re.compile("^Line 1, column 32"))).to_be_visible()
    page.get_by_label("Criteria (CEL over event)").fill('event.data.object.metadata.kyc == "passed"')
    follow(page.get_by_role("button", name="Save the event"))
    expect(page.get_by_role("heading", name="Test “Check passed”")).to_be_visible()


def reward_custom_event(page: Page, program: str) -> None:
    """The sample matches, and no rule rewards it yet; the rule for the event gives a fixed amount."""
    try_the_sample(page)
    result = page.get_by_role("region", name="Result")
    expect(result.get_by_text("Match", exact=True)).to_be_visible()
    follow(result.get_by_role("link", name="Add a rule for it"))
    page.get_by_label("Name", exact=True).fill("Check bonus")
    expect(page.get_by_label("Qualifying event")).to_have_value("check-passed")
    page.get_by_label("Worked out as").select_option(label="A fixed amount")
    page.get_by_label("Fixed amount, per currency").fill("5.00 USD")
    follow(page.get_by_role("button", name="Save the rule"))
    expect(page).to_have_url(f"{program}/draft/rules")
    expect(page.get_by_role("link", name="Check bonus")).to_be_visible()


def try_the_sample(page: Page) -> None:
    page.get_by_label("Type of the sample").select_option("customer.updated")
    follow(page.get_by_role("button", name="Test on the sample"))


def try_it_on_events(page: Page, program: str) -> None:
    """A sample matches, with what the criteria saw and the reward; a pasted event without the field does not."""
    page.goto(f"{program}/draft/events")
    follow(page.get_by_role("link", name="Test it on events"))
    try_the_sample(page)
    result = page.get_by_role("region", name="Result")
    expect(result).to_contain_text("event.data.object.metadata.kyc")
    expect(result).to_contain_text("Check bonus: 5.00 USD as commission to the referrer")
    assert_accessible(page)
    page.get_by_label("A whole Stripe event").fill(json.dumps(WITHOUT_THE_FIELD))
    follow(page.get_by_role("button", name="Test on this"))
    expect(result.get_by_text("No match", exact=True)).to_be_visible()
    expect(result).to_contain_text("No match: event.data.object.metadata.kyc is missing.")
    expect(result).to_contain_text("cus_pasted")


def add_promoter(page: Page, demo: Demo) -> None:  # noqa: F811 - the same
    page.goto(f"{demo.told['url']}/participants/new")
    page.get_by_label("Program").select_option(label="Sample Builder Program")
    page.get_by_label("Name").fill("Sample Builder Partner")
    page.get_by_label("E-mail", exact=True).fill("builder-partner@example.com")
    page.get_by_label("Refcode").fill(PROMOTER)
    follow(page.get_by_role("button", name="Add", exact=True))
    expect(page.get_by_role("main").get_by_text(PROMOTER)).to_be_visible()


def buy(demo: Demo, email: str) -> str:  # noqa: F811 - the same
    """A new customer subscribes in Stripe, by the promoter's code; returns the customer."""
    session = demo.sandbox("subscribe", price=demo.monthly_price()["id"], email=email, refcode=PROMOTER)["object"]
    wait_for(lambda: PROMOTER in codes_of(demo, session["invoice"]), "the sale to be decided with its code")
    time.sleep(1.1)  # Stripe counts seconds, and the order of the sales matters here
    return str(session["customer"])


def codes_of(demo: Demo, invoice: str) -> list[str]:  # noqa: F811 - the same
    """The codes that were seen for the sale. Its invoice may be decided before its checkout session arrives."""
    payments = demo.api(f"explain/{invoice}")["payments"]
    return [seen["value"] for payment in payments for program in payment["programs"] for seen in program["evidence"]]


def backtest(page: Page, program: str) -> None:
    """What the draft would have given on what really happened: nothing is booked, it would be three commissions."""
    page.goto(f"{program}/draft")
    follow(page.get_by_role("link", name="Backtest", exact=True))
    page.get_by_label("Which terms").select_option(index=0)
    follow(page.get_by_role("button", name="Start"))
    expect(page.get_by_role("heading", name="In all")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("3 of them come out otherwise: 3 earn more, 0 less")
    expect(page.get_by_role("main")).to_contain_text("Sample Builder Partner")


def publish(page: Page, program: str) -> None:
    """From yesterday on, so that today's sales count."""
    page.goto(f"{program}/draft")
    expect(page.get_by_text("Nothing keeps these terms from being published")).to_be_visible()
    page.get_by_label("In force from").fill((datetime.now(UTC) - timedelta(days=1)).date().isoformat())
    follow(page.get_by_role("button", name="Publish version 1"))
    expect(page).to_have_url(program)
    expect(page.get_by_role("heading", name="Terms, version 1")).to_be_visible()
    expect(page.get_by_text("In force", exact=True)).to_be_visible()


def pass_check(demo: Demo, customer: str) -> None:  # noqa: F811 - the same
    """The merchant's own system writes into Stripe that a customer passed."""
    answer = httpx.post(
        f"{demo.told['sandbox_url']}/v1/customers/{customer}",
        data={"metadata[kyc]": "passed"},
        headers={"Authorization": f"Bearer {demo.told['sandbox_key']}"},
        timeout=LIMIT_S,
    )
    answer.raise_for_status()


def understand_the_rewards(page: Page, demo: Demo) -> None:  # noqa: F811 - the same
    """Who, what, why, when, how much: on the page of each reward."""
    participant = next(
        row for row in demo.api("participants", limit=100)["data"] if row["name"] == "Sample Builder Partner"
    )

    def rewards() -> list[dict[str, object]]:
        found = demo.api("rewards", participant_id=participant["participant_id"])["data"]
        return found if len(found) == 4 else []

    given = wait_for(rewards, "three commissions and the bonus")
    arithmetic: list[str] = []
    for reward in given:
        page.goto(f"{demo.told['url']}/rewards/{reward['reward_id']}")
        main = page.get_by_role("main")
        expect(main.get_by_role("link", name="Sample Builder Partner").first).to_be_visible()  # who
        expect(main).to_contain_text("Sample Builder Program")
        expect(main).to_contain_text(re.compile("What was sold|What happened"))  # what
        expect(main).to_contain_text(PROMOTER)  # why: the code that was used,
        expect(main).to_contain_text("Terms, version 1")  # and the rule that applied
        expect(main).to_contain_text(re.compile(r"until \d+ \w+ \d{4}"))  # when
        arithmetic.append(main.locator(".arithmetic").first.inner_text())  # how much
    assert sum("× 10 % =" in one for one in arithmetic) == 1
    assert sum("× 20 % =" in one for one in arithmetic) == 2
    assert sum("5.00 USD" in one and "%" not in one for one in arithmetic) == 1


def the_history_tells_the_version(page: Page, program: str) -> None:
    page.goto(f"{program}/versions")
    expect(page.get_by_role("main")).to_contain_text("by Demo")
    expect(page.get_by_role("main")).to_contain_text("20 % from 2 referrals on")
    with page.expect_download() as download:
        page.get_by_role("link", name="As a file", exact=True).click()
    assert "event.data.object.metadata.kyc" in download.value.path().read_text()
