"""Approvals and payouts in a real browser: they fit, read well, and do what they say; what a viewer may not do."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from looks import assert_accessible, follow, width_of
from web.pages.conftest import EMAIL, Site, client_of, serve, sign_in
from web.pages.sample import VIEWER_EMAIL
from web.pages.sample_decisions import DecidedSample, make_decided_sample

PATHS = (
    "/approvals",
    "/approvals?hold=fraud_hold",
    "/approvals?q=nothing-fits",
    "/approvals/decided",
    "/payouts",
    "/payouts?q=nothing-fits",
    "/payouts/{payout_id}",
    "/payouts/new?participant={participant_id}",
    "/participants/{participant_id}",
    "/customers/{suspect_id}",
    "/referrals?status=flagged",
    "/why?id={suspect_id}",
)


@pytest.fixture(scope="module")
def decided(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, DecidedSample]]:
    """Give a site where people have decided things."""
    with serve(module_database, tmp_path_factory.mktemp("data"), make_decided_sample) as (site, sample):
        assert isinstance(sample, DecidedSample)
        yield site, sample


def address(decided: tuple[Site, DecidedSample], path: str) -> str:
    site, sample = decided
    values = ("payout_id", "participant_id", "suspect_id")
    return site.url + path.format(**{name: getattr(sample, name) for name in values})


@pytest.fixture(scope="module", params=["light", "dark"])
def desktop(request: pytest.FixtureRequest, browser: Browser, decided: tuple[Site, DecidedSample]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=request.param)
    yield sign_in(context, decided[0].url)
    context.close()


@pytest.fixture(scope="module")
def phone(browser: Browser, decided: tuple[Site, DecidedSample]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    yield sign_in(context, decided[0].url)
    context.close()


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_needs_no_horizontal_scroll(phone: Page, decided: tuple[Site, DecidedSample], path: str) -> None:
    phone.goto(address(decided, path))
    assert width_of(phone) <= 360


@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing(desktop: Page, decided: tuple[Site, DecidedSample], path: str) -> None:
    desktop.goto(address(decided, path))
    assert_accessible(desktop)


def test_a_viewer_may_look_and_not_decide(decided: tuple[Site, DecidedSample]) -> None:
    with client_of(decided[0].url, VIEWER_EMAIL) as viewer, client_of(decided[0].url, EMAIL) as owner:
        for path in ("/approvals", "/approvals/decided", "/payouts/{payout_id}", "/customers/{suspect_id}"):
            page = viewer.get(address(decided, path))
            assert page.status_code == 200
            assert "may not" not in page.text
            for button in ('value="approve"', "/withdraw", "/undo"):
                assert button not in page.text
        assert 'value="approve"' in owner.get(address(decided, "/approvals")).text


def test_the_queue_says_why_and_several_are_decided_at_once(
    browser: Browser, decided: tuple[Site, DecidedSample]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = sign_in(context, decided[0].url)
    page.goto(address(decided, "/customers/{suspect_id}"))
    expect(page.get_by_text("Same e-mail domain")).to_be_visible()
    page.goto(address(decided, "/approvals"))
    boxes = page.locator('input[name="reward_id"]')
    waiting = boxes.count()
    assert waiting == 4
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_label("Why you decide so").fill("Known customers")
    follow(page.get_by_role("button", name="Approve", exact=True))
    expect(page.get_by_role("status").filter(has_text="2 rewards approved")).to_be_visible()
    assert page.locator('input[name="reward_id"]').count() == waiting - 2
    page.get_by_label("Why you decide so").fill("Looked at the rest")
    page.get_by_label("All 2 rewards").check()
    follow(page.get_by_role("button", name="Reject", exact=True))
    expect(page.get_by_text("Nothing waits")).to_be_visible()
    page.goto(address(decided, "/approvals/decided"))
    row = page.get_by_role("row").filter(has_text="Looked at the rest").first
    row.get_by_text("Take back").first.click()
    row.get_by_label("Why").fill("A mistake")
    follow(row.get_by_role("button", name="Take back"))
    page.goto(address(decided, "/approvals"))
    assert page.locator('input[name="reward_id"]').count() == 1
    context.close()


def test_nothing_is_decided_without_a_tick(decided: tuple[Site, DecidedSample]) -> None:
    with client_of(decided[0].url, EMAIL) as owner:
        page = owner.get("/approvals").text
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        answer = owner.post("/approvals", data={"csrf_token": token, "decision": "approve", "reason": "x"})
        assert answer.status_code == 422
        assert "Tick at least one reward" in answer.text


def test_a_payout_is_recorded_looked_at_and_taken_back(browser: Browser, decided: tuple[Site, DecidedSample]) -> None:
    context = browser.new_context()
    page = sign_in(context, decided[0].url)
    page.goto(address(decided, "/payouts/{payout_id}"))
    page.get_by_text("Take this payout back").click()
    page.get_by_label("Why (it is kept)").fill("The transfer came back")
    follow(page.get_by_role("button", name="Take it back"))
    expect(page.get_by_text("Undone")).to_be_visible()
    page.goto(address(decided, "/participants/{participant_id}"))
    follow(page.get_by_role("link", name="Record a payout in USD"))
    page.get_by_label("How much").select_option(index=1)
    page.get_by_label("Reference").fill("SAMPLE-2")
    follow(page.get_by_role("button", name="Record"))
    expect(page.get_by_text("SAMPLE-2")).to_be_visible()
    follow(page.get_by_role("link", name="Payouts", exact=True).first)
    expect(page.get_by_role("row").filter(has_text="SAMPLE-2")).to_contain_text("Recorded")
    context.close()


def test_the_lists_are_files_too(decided: tuple[Site, DecidedSample]) -> None:
    with client_of(decided[0].url, VIEWER_EMAIL) as viewer:
        for path, word in (("approvals", "holds"), ("approvals/decided", "Sample reason"), ("payouts", "SAMPLE-1")):
            answer = viewer.get(f"/{path}.csv")
            assert answer.status_code == 200
            assert path == "approvals" or word in answer.text
            assert answer.text.splitlines()[0].count(",") >= 8
