"""What went wrong and what people mend, in a real browser: the doctor, “Why?”, binding by hand and by file."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from looks import assert_accessible, follow, width_of
from refref.db.bodies import compress
from refref.db.delivery_refusals import note_refusals
from refref.db.inbox import Arrival, accept
from refref.db.pool import Database
from web.pages.conftest import SampleSite, sign_in

SESSION = (
    b'{"data": {"object": {"id": "cs_test_a1Sample", "object": "checkout.session", "client_reference_id": "undefined",'
    b' "metadata": {"refref_referal_id": "x"}}}}'
)


@pytest.fixture(scope="module", params=[(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")], ids=str)
def page(request: pytest.FixtureRequest, browser: Browser, sample_site: SampleSite) -> Iterator[Page]:
    width, scheme = request.param
    context: BrowserContext = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    yield sign_in(context, sample_site.url)
    context.close()


def looks_well(page: Page) -> None:
    assert page.viewport_size is not None
    assert width_of(page) <= page.viewport_size["width"]
    assert_accessible(page)


def sicken(site: SampleSite) -> None:
    own = (site.sample.organization_id, site.sample.connection_id)
    now = int(time.time())

    async def work(database: Database) -> None:
        async with database.tenant(own[0]) as tx:
            for code in ("no_match", "timestamp_too_old"):
                await note_refusals(tx, *own, code, 7, datetime.fromtimestamp(now, UTC))
            arrival = Arrival(
                *own,
                stripe_event_id=f"evt_{time.time_ns()}",
                type="checkout.session.completed",
                object_id="cs_test_a1Sample",
                api_version=None,
                livemode=False,
                state="accepted",
                reason=None,
                source="webhook",
                created_at=now,
                body=compress(SESSION),
            )
            await accept(tx, [arrival])

    site.site.run(work)


def test_the_doctor_shows_evidence_that_can_be_asked_about_and_what_mends_it(
    page: Page, sample_site: SampleSite
) -> None:
    sicken(sample_site)
    page.goto(f"{sample_site.url}/doctor")
    main = page.get_by_role("main")
    for code in ("signature_refused", "clock_refused", "misspelt_key", "blank_reference"):
        expect(main).to_contain_text(code)
    looks_well(page)
    expect(page.get_by_role("link", name="cs_test_a1Sample (undefined)")).to_have_attribute(
        "href", "/why?id=cs_test_a1Sample"
    )
    follow(page.get_by_role("button", name=re.compile("It is mended.*blank_reference")))
    expect(page.get_by_role("main")).not_to_contain_text("blank_reference")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("si_1Sample12345", "Ask with the id of the subscription"),
        ("{participant_id}", "This is the participant"),
        ("sk_live_abcdefghijk", "That is a secret, not an id."),
        ("https://dashboard.stripe.com/test/customers/{unreferred_customer_id}", "What stopped it first"),
        ("%00", "What may be the reason"),
    ],
)
def test_why_answers_whatever_is_asked(page: Page, sample_site: SampleSite, asked: str, words: str) -> None:
    values = {name: getattr(sample_site.sample, name) for name in sample_site.sample.__slots__}
    page.goto(f"{sample_site.url}/why?id={asked.format(**values)}")
    expect(page.get_by_role("main")).to_contain_text(words)
    expect(page.get_by_role("main")).not_to_contain_text("abcdefghijk")
    looks_well(page)


def test_a_customer_is_bound_by_hand_with_the_money_before_and_taken_back(page: Page, sample_site: SampleSite) -> None:
    customer, participant = sample_site.sample.unreferred_customer_id, sample_site.sample.participant_id
    page.goto(f"{sample_site.url}/customers/{customer}/referral")
    looks_well(page)
    page.get_by_label("Code of the participant").fill("nobody")
    page.get_by_label("Reason").fill("By phone")
    follow(page.get_by_role("button", name="Show the money"))
    expect(page.get_by_role("main")).to_contain_text("No participant of this connection has that code.")
    looks_well(page)
    page.get_by_label("Code of the participant").fill(participant)
    follow(page.get_by_role("button", name="Show the money"))
    expect(page.get_by_text("5 payments would earn nothing all the same")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("The payment was made before the customer was referred.")
    looks_well(page)
    follow(page.get_by_role("button", name="Bind by hand"))
    expect(page.get_by_role("main")).to_contain_text("bound by hand")
    follow(page.get_by_role("link", name="Take it back"))
    expect(page.get_by_role("main")).to_contain_text("No reward would change.")
    expect(page.get_by_role("main")).not_to_contain_text("Later payments can earn")
    looks_well(page)
    page.get_by_label("Reason").fill("A mistake")
    follow(page.get_by_role("button", name="Take it back"))
    expect(page.get_by_role("main")).not_to_contain_text("Take it back")


def test_a_file_is_previewed_and_refused_by_line(page: Page, sample_site: SampleSite) -> None:
    customer, participant = sample_site.sample.unreferred_customer_id, sample_site.sample.participant_id
    page.goto(f"{sample_site.url}/referrals/upload")
    for rows, words in (
        (f"{customer};nobody\n", "Line 2, code: no participant of this connection has that code."),
        (f"{customer};{participant}\n", "Bind 1 customer"),
    ):
        given = f"customer;code\n{rows}".encode()
        page.get_by_label("CSV file").set_input_files({"name": "b.csv", "mimeType": "text/csv", "buffer": given})
        page.get_by_label("Reason").fill("A list")
        follow(page.get_by_role("button", name="Show the money"))
        expect(page.get_by_role("main")).to_contain_text(words)
        looks_well(page)
