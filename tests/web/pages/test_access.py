"""Who may see and do what on the pages, the walls between organizations, and the CSV files. Without a browser."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from refref.db.pool import Database
from refref.web.permissions import ADMIN, PERMISSIONS, PUBLIC
from web.pages.conftest import SampleSite, client_of
from web.pages.sample import EMAIL, VIEWER_EMAIL, make_owner

PAGES = {route: role for route, role in PERMISSIONS.items() if not route[1].startswith(("/v1/", "/openapi"))}
GUARDED = sorted(route for route, role in PAGES.items() if role is not PUBLIC)
FOR_ADMINS = sorted(route for route, role in PAGES.items() if role == ADMIN)
LISTS = ("payments", "rewards", "customers", "referrals", "participants", "events")


def path_of(site: SampleSite, template: str) -> str:
    sample = site.sample
    return template.format(
        reward_id=sample.reward_id,
        customer_id=sample.customer_id,
        participant_id=sample.participant_id,
        program_id=sample.program_id,
        event_id=sample.parked_event_id,
        api_key_id="key_sample",
        connection_id=sample.connection_id,
        payout_id="pyt_sample",
        review_id="rev_sample",
        referral_id="rfl_sample",
        run_id="rdg_sample",
        number=1,
        section="settings",
        backtest_id="bkt_sample",
        table="participants",
    )


def token_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert found is not None
    return found.group(1)


@pytest.fixture(scope="module")
def nobody(sample_site: SampleSite) -> Iterator[httpx.Client]:
    with client_of(sample_site.url, None) as client:
        yield client


@pytest.fixture(scope="module")
def viewer(sample_site: SampleSite) -> Iterator[httpx.Client]:
    with client_of(sample_site.url, VIEWER_EMAIL) as client:
        yield client


@pytest.fixture(scope="module")
def owner(sample_site: SampleSite) -> Iterator[httpx.Client]:
    with client_of(sample_site.url, EMAIL) as client:
        yield client


@pytest.fixture(scope="module")
def stranger(sample_site: SampleSite) -> Iterator[httpx.Client]:
    """Give the owner of another organization, which has a connection of its own."""
    email = "stranger@example.com"

    async def make(database: Database) -> None:
        await make_owner(database, datetime.now(UTC), organization="Other Sample Shop", email=email)

    sample_site.site.run(make)
    with client_of(sample_site.url, email) as client:
        form = {"name": "Other sandbox", "mode": "test", "way": "webhook"}
        found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/set-up").text)
        assert found is not None
        answer = client.post("/integrations/stripe/connect", data={**form, "csrf_token": found.group(1)})
        assert answer.status_code == 303
        yield client


@pytest.mark.parametrize(("method", "template"), GUARDED)
def test_nobody_sees_a_page(nobody: httpx.Client, sample_site: SampleSite, method: str, template: str) -> None:
    answer = nobody.request(method, path_of(sample_site, template))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(("method", "template"), FOR_ADMINS)
def test_a_viewer_changes_nothing(viewer: httpx.Client, sample_site: SampleSite, method: str, template: str) -> None:
    data = {"csrf_token": token_of(viewer)} if method == "POST" else None
    answer = viewer.request(method, path_of(sample_site, template), data=data)
    assert answer.status_code == 403
    assert "needs the role admin" in answer.text


@pytest.mark.parametrize("template", sorted(path for method, path in FOR_ADMINS if method == "POST"))
def test_a_form_needs_its_token(owner: httpx.Client, sample_site: SampleSite, template: str) -> None:
    answer = owner.post(path_of(sample_site, template), data={"csrf_token": "made up"})
    assert answer.status_code == 403


@pytest.mark.parametrize("template", ["/programs/new", "/programs/{program_id}/draft/settings"])
def test_a_form_of_terms_without_its_fields_is_shown_again(
    owner: httpx.Client, sample_site: SampleSite, template: str
) -> None:
    answer = owner.post(path_of(sample_site, template), data={"csrf_token": token_of(owner), "name": "Only a name"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_a_viewer_is_offered_no_change(viewer: httpx.Client, sample_site: SampleSite) -> None:
    for template in ("/participants/{participant_id}", "/events/{event_id}", "/programs/{program_id}", "/settings"):
        page = viewer.get(path_of(sample_site, template))
        assert page.status_code == 200
        actions = set(re.findall(r'method="post" action="([^"]+)"', page.text))
        assert actions <= {"/sign-out", "/connection"}


@pytest.mark.parametrize(
    "template",
    [
        "/rewards/{reward_id}",
        "/customers/{customer_id}",
        "/participants/{participant_id}",
        "/programs/{program_id}",
        "/events/{event_id}",
        "/why?id={reward_id}",
        "/why?id={customer_id}",
    ],
)
def test_another_organization_finds_nothing(stranger: httpx.Client, sample_site: SampleSite, template: str) -> None:
    assert stranger.get(path_of(sample_site, template)).status_code == 404


@pytest.mark.parametrize("name", LISTS)
def test_another_organization_lists_nothing(stranger: httpx.Client, name: str) -> None:
    rows = list(csv.reader(io.StringIO(stranger.get(f"/{name}.csv").text)))
    assert len(rows) == 1


@pytest.mark.parametrize("name", LISTS)
def test_lists_come_as_csv(owner: httpx.Client, name: str) -> None:
    answer = owner.get(f"/{name}.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert len(rows) > 3
    assert {len(row) for row in rows} == {len(rows[0])}


def test_a_csv_file_keeps_the_filters(owner: httpx.Client) -> None:
    rows = list(csv.DictReader(io.StringIO(owner.get("/rewards.csv?status=payable&currency=eur").text)))
    assert rows
    assert {(row["status"], row["currency"]) for row in rows} == {("payable", "EUR")}
    assert all(re.fullmatch(r"\d+\.\d\d", row["amount"]) for row in rows)


def test_pages_follow_one_another_without_gaps(owner: httpx.Client) -> None:
    seen: list[str] = []
    link: str | None = "/payments"
    while link:
        page = owner.get(link).text
        seen += re.findall(r"<code>(in_sample[0-9x]+)</code>", page)
        found = re.search(r'href="([^"]+)" rel="next"', page)
        link = found.group(1).replace("&amp;", "&") if found else None
    total = len(list(csv.reader(io.StringIO(owner.get("/payments.csv").text)))) - 1
    assert len(seen) == len(set(seen)) == total > 50


def test_what_is_not_there_has_a_page(owner: httpx.Client) -> None:
    for path in ("/nowhere", "/rewards/rwd_nothing", "/customers/cus_nothing", "/events/evt_nothing"):
        answer = owner.get(path)
        assert answer.status_code == 404
        assert "To the overview" in answer.text
    assert owner.get("/payments?cursor=forged").status_code == 400


def test_the_set_up_is_offered_once(nobody: httpx.Client) -> None:
    assert nobody.get("/first-run").headers["location"] == "/sign-in"
    form = {"organization_name": "Late", "email": "late@example.com", "password": "a long password"}
    assert nobody.post("/first-run", data=form).status_code == 422


def test_static_files_may_be_kept(nobody: httpx.Client) -> None:
    answer = nobody.get("/static/refref.css")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
