"""What a newcomer is told on the way: from when terms reward, what is not published yet, and sums that add up."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from web.pages.conftest import SampleSite, Site, client_of
from web.pages.drafts import new_program
from web.pages.forms import form_in
from web.pages.sample import EMAIL

SINCE = re.compile(r'since <time datetime="([^"]+)">')


@pytest.fixture(scope="module")
def owner(sample_site: SampleSite) -> Iterator[httpx.Client]:
    with client_of(sample_site.url, EMAIL) as client:
        yield client


@pytest.fixture
def newcomer(empty_site: Site) -> Iterator[httpx.Client]:
    with client_of(empty_site.url, EMAIL) as client:
        yield client


def publish_at_once(client: httpx.Client, **changes: str) -> httpx.Response:
    form = form_in(client.get("/programs/new?template=affiliate").text, "/programs/new")
    return client.post("/programs/new", data={**form, "name": "Partners", "then": "publish", **changes})


def in_force_since(client: httpx.Client, answer: httpx.Response) -> datetime:
    assert answer.status_code == 303, answer.text
    found = SINCE.search(client.get(answer.headers["location"]).text)
    assert found is not None
    return datetime.fromisoformat(found[1])


def add_participant(client: httpx.Client, program: str, refcode: str) -> str:
    form = form_in(client.get("/participants/new").text, "/participants/new")
    given = {"name": "Anna Sample", "email": f"{refcode}@example.com", "refcode": refcode}
    answer = client.post("/participants/new", data={**form, **given, "program_id": program.rpartition("/")[2]})
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"]).text


def test_a_program_published_at_once_rewards_from_today_and_says_so(newcomer: httpx.Client) -> None:
    page = newcomer.get("/programs/new?template=affiliate").text
    assert form_in(page, "/programs/new")["effective_on"] == datetime.now(UTC).date().isoformat()
    assert "earlier history earns nothing" in page
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert in_force_since(newcomer, publish_at_once(newcomer)) == today


def test_from_when_a_program_rewards_can_be_chosen(newcomer: httpx.Client) -> None:
    since = in_force_since(newcomer, publish_at_once(newcomer, effective_on="2026-01-31"))
    assert since == datetime(2026, 1, 31, tzinfo=UTC)
    before = datetime.now(UTC)
    assert in_force_since(newcomer, publish_at_once(newcomer, effective_on="")) >= before
    wrong = publish_at_once(newcomer, effective_on="soon")
    assert (wrong.status_code, "Give a day such as 2026-01-31." in wrong.text) == (422, True)


def test_a_first_draft_offers_today_and_says_that_nothing_later_reaches_back(newcomer: httpx.Client) -> None:
    program = new_program(newcomer)
    page = newcomer.get(f"{program}/draft").text
    form = form_in(page, f"{program}/draft/publish")
    assert form["effective_on"] == datetime.now(UTC).date().isoformat()
    assert "no later version can reach back before it" in page


def test_a_program_without_terms_is_not_called_done(newcomer: httpx.Client) -> None:
    program = new_program(newcomer)
    page = newcomer.get("/set-up").text
    assert "its terms are not published yet, so nothing is earned" in page
    assert f'href="{program}/draft"' in page
    participant = add_participant(newcomer, program, "anna")
    assert "Sample program has no published terms" in participant
    assert f'href="{program}"' in participant
    newcomer.post(
        f"{program}/draft/publish", data=form_in(newcomer.get(f"{program}/draft").text, f"{program}/draft/publish")
    )
    assert "not published yet" not in newcomer.get("/set-up").text
    assert "no published terms" not in newcomer.get("/participants").text


def test_the_first_sale_is_a_sale(newcomer: httpx.Client, owner: httpx.Client) -> None:
    assert "Sell something in test mode" in newcomer.get("/set-up").text
    page = owner.get("/set-up").text
    latest = re.search(r'href="(/why\?id=[^"]+)">The latest', page)
    assert latest is not None
    assert owner.get(latest[1]).status_code == 200


def test_what_came_without_a_referral_leads_to_those_payments(owner: httpx.Client) -> None:
    overview = owner.get("/").text
    assert 'href="/payments?referred=no"' in overview
    rows = owner.get("/payments.csv?referred=no").text.splitlines()
    everybody = owner.get("/payments.csv").text.splitlines()
    referred = owner.get("/payments.csv?referred=yes").text.splitlines()
    assert 1 < len(rows) < len(everybody)
    assert len(rows) + len(referred) == len(everybody) + 1
    column = rows[0].split(",").index("participant")
    assert {row.split(",")[column] for row in rows[1:]} == {""}


def test_binding_to_a_program_without_terms_says_that_nothing_is_earned_yet(owner: httpx.Client) -> None:
    add_participant(owner, new_program(owner), "nothing-yet")
    page = owner.get("/customers/cus_sample9/referral").text
    form = form_in(page, "/customers/cus_sample9/referral/preview")
    given = {"code": "nothing-yet", "clicked_on": "", "reason": "By phone"}
    shown = owner.post("/customers/cus_sample9/referral/preview", data={**form, **given})
    assert shown.status_code == 200
    assert "“Sample program” has no published terms" in shown.text
