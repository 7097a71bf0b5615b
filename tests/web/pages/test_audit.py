"""The audit log's page and file: filters, links, paging, who may see it, the wall; in a real browser how it looks."""

import csv
import io
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from looks import assert_accessible, width_of
from refref.core.audit_words import ACTIONS
from refref.db import audit
from refref.db.pool import Database
from refref.flows.api_keys import create_api_key
from refref.flows.payouts import record_payout
from web.pages.conftest import SampleSite, client_of, sign_in
from web.pages.sample import EMAIL, VIEWER_EMAIL, make_owner

PATH = "/settings/audit-log"
NOW = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
STRANGER = "audit-stranger@example.com"
SHOTS = os.environ.get("SCREENSHOTS")  # a folder, where somebody wants to look


async def add_entries(database: Database, site: SampleSite) -> None:
    """An entry of each kind of subject, one by an API key, two by somebody who is no member here; another shop."""
    sample = site.sample
    stranger = await make_owner(database, NOW, organization="Other Sample Shop", email=STRANGER)
    org, con, prg = sample.organization_id, sample.connection_id, sample.program_id
    reason = {"program_id": prg, "rule_id": None, "reason": "A sample reason that is a little longer than others are"}
    entries: list[tuple[str, str, dict[str, str | int | bool | None]]] = [
        ("connection.set_clock", con, {"clock_ahead_s": 30 * 86_400}),
        ("connection.problem", con, {"codes": "permission_missing endpoint_faulty"}),
        ("webhook_endpoint.create", con, {"stripe_endpoint_id": "we_sample", "api_version": "2026-10-28.endive"}),
        ("referral.bound", sample.customer_id, {"code": "partner-1", "reason": "Told us", "connection_id": con}),
        ("review.approved", sample.payment_key, reason),
        ("backtest.start", "btt_forgotten", {"program_id": prg, "terms": "draft"}),
        ("participant_code.add", sample.participant_id, {"code_kind": "promotion_code"}),
        ("rates.upload", "upload 3", {"source": "own", "rates": 120, "changed": 4, "settled_again": 2}),
        ("older.action", "<b>odd</b>", {"something": "<script>alert(1)</script>"}),
    ]
    async with database.tenant(org) as tx:
        paid = {"currency": "usd", "amount_minor": None, "actor": "system", "now": NOW}
        await record_payout(tx, org, sample.participant_id, **paid)
        made = await create_api_key(tx, org, name="Sample program", role="admin", actor="system", now=NOW)
        for _ in range(60):
            await audit.record(tx, org, at=NOW, actor="system", action="catalog.sync", subject=con)
        await audit.record_all(tx, org, entries, at=NOW, actor=f"key:{made.key.api_key_id}")
        for action in ("session.open", "session.close"):
            who = {"actor": f"user:{stranger.user_id}", "subject": stranger.user_id}
            await audit.record(tx, org, at=NOW, action=action, **who)


@pytest.fixture(scope="module")
def site(sample_site: SampleSite) -> SampleSite:
    sample_site.site.run(lambda database: add_entries(database, sample_site))
    return sample_site


@pytest.fixture(scope="module")
def owner(site: SampleSite) -> Iterator[httpx.Client]:
    with client_of(site.url, EMAIL) as client:
        yield client


def rows_of(client: httpx.Client, **filters: str) -> list[dict[str, str]]:
    answer = client.get(f"{PATH}.csv", params=filters)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_only_administrators_see_it(site: SampleSite, owner: httpx.Client) -> None:
    with client_of(site.url, VIEWER_EMAIL) as viewer:
        assert [viewer.get(path).status_code for path in (PATH, f"{PATH}.csv")] == [403, 403]
        assert PATH not in viewer.get("/settings").text
    assert f'href="{PATH}"' in owner.get("/settings").text
    assert owner.get(PATH).status_code == 200


def test_another_organization_sees_its_own_alone(site: SampleSite) -> None:
    with client_of(site.url, STRANGER) as stranger:
        told = rows_of(stranger)
        assert {row["action"] for row in told} == {"organization.create", "session.open"}
        page = stranger.get(PATH).text
        assert stranger.get(PATH, params={"q": site.sample.connection_id}).text.count("<td") == 0
    assert "Stranger" not in page
    assert site.sample.program_id not in page


def test_who_is_no_member_here_is_not_named(owner: httpx.Client) -> None:
    told = [row for row in rows_of(owner) if row["action"] == "session.close"]
    assert [(row["name"], row["subject_name"]) for row in told] == [("", "")]
    page = owner.get(PATH, params={"action": "session.close"}).text
    assert "somebody who left" in page
    assert STRANGER not in page
    assert "Sample Owner" in page  # in the filter alone


FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({"action": "payout.record"}, {"payout.record"}),
    ({"q": "upload"}, {"rates.upload"}),
    ({"q": "Sample Partner Two"}, {"participant.create", "participant_code.add"}),
    ({"q": "partner program", "action": "program.create"}, {"program.create"}),
    ({"action": "made.up"}, set()),
    ({"action": "rates.upload", "actor": "system"}, set()),
]


@pytest.mark.parametrize(("filters", "actions"), FILTERS)
def test_filters_narrow_the_list(owner: httpx.Client, filters: dict[str, str], actions: set[str]) -> None:
    assert {row["action"] for row in rows_of(owner, **filters)} == actions
    page = owner.get(PATH, params=filters).text
    assert ("Nothing matches" in page) == (not actions)


def test_what_a_key_did_is_found_by_its_name(owner: httpx.Client) -> None:
    page = owner.get(PATH).text
    found = re.search(r'<option value="(key:key_\w+)">API key “Sample program”', page)
    assert found is not None
    told = rows_of(owner, actor=found.group(1))
    assert len(told) == 9
    assert {row["name"] for row in told} == {"Sample program"}


def test_the_newest_come_first_and_pages_follow_without_gaps(owner: httpx.Client) -> None:
    def actions(html: str) -> list[str]:
        return re.findall(r'<td class="lead"><span class="font-semibold">([^<]+)<', html)

    whole = [ACTIONS.get(row["action"], row["action"]) for row in rows_of(owner)]
    first = owner.get(PATH).text
    assert actions(first) == whole[:50]
    assert "Catalogue read anew" in actions(first)
    seen, link = actions(first), re.search(r'href="([^"]+)" rel="next"', first)
    while link:
        page = owner.get(unescape(link.group(1))).text
        seen, link = seen + actions(page), re.search(r'href="([^"]+)" rel="next"', page)
    assert len(seen) > 70
    assert [unescape(one) for one in seen] == whole
    assert owner.get(PATH, params={"cursor": "forged"}).status_code == 400


def test_links_lead_to_what_has_a_page(site: SampleSite, owner: httpx.Client) -> None:
    sample = site.sample
    cells: dict[str, str] = {}
    for action in ACTIONS:
        page = owner.get(PATH, params={"action": action}).text
        found = re.search(r'data-label="On"><span class="break-words"><a class="link" href="([^"]+)"', page)
        if found:
            cells[action] = unescape(found.group(1))
    assert "/payouts/pyt_" in cells["payout.record"]
    assert "backtest.start" not in cells  # only the newest backtests are kept
    assert "session.close" not in cells
    assert cells["review.approved"] == f"/why?id={sample.payment_key}"
    assert cells["api_key.create"] == "/settings#keys"
    assert cells["rates.upload"] == "/settings/currencies"
    assert "organization.create" not in cells
    expected = {"participant_code.add": sample.participant_id, "terms.publish": sample.program_id}
    for action, subject in {
        **expected,
        "referral.bound": sample.customer_id,
        "catalog.sync": "",
        "payout.record": "",
    }.items():
        assert subject in cells[action]
        assert owner.get(cells[action]).status_code == 200, cells[action]


def test_details_are_words_and_nothing_is_taken_for_html(owner: httpx.Client) -> None:
    page = owner.get(PATH, params={"actor": ""}).text + owner.get(PATH, params={"q": "odd"}).text
    paid = owner.get(PATH, params={"action": "payout.record"}).text
    assert re.search(r"amount:</span> \d+\.\d\d USD<", paid)
    assert re.search(r'href="/payouts/pyt_\w+">Sample Partner One</a>', paid)
    assert "30 days" in owner.get(PATH, params={"action": "connection.set_clock"}).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "amount_minor" not in page + paid


def test_a_subject_on_another_connection_is_shown_there(site: SampleSite) -> None:
    with client_of(site.url, EMAIL) as client:
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
        assert token is not None
        form = {"name": "Second sandbox", "mode": "test", "way": "webhook", "csrf_token": token.group(1)}
        assert client.post("/integrations/stripe/connect", data=form).status_code == 303
        told = {row["subject_name"]: row["connection_id"] for row in rows_of(client, action="connection.create")}
        client.cookies.set("refref-connection", told["Second sandbox"])
        page = client.get(PATH, params={"action": "terms.publish"}).text
        link = f"/programs/{site.sample.program_id}?connection={site.sample.connection_id}"
        assert f'href="{link}"' in page
        assert client.get(link).status_code == 200
        assert client.get(link.partition("?")[0]).status_code == 404


@pytest.fixture(scope="module", params=["light-1280", "dark-1280", "light-360", "dark-360"])
def page(request: pytest.FixtureRequest, browser: Browser, site: SampleSite) -> Iterator[tuple[Page, str]]:
    scheme, _, width = request.param.partition("-")
    options: dict[str, Any] = {"viewport": {"width": int(width), "height": 900}, "color_scheme": scheme}
    context = browser.new_context(**options)
    yield sign_in(context, site.url), request.param
    context.close()


@pytest.mark.parametrize("name", ["", "?action=payout.record", "?q=upload", "?q=nothing", "?actor=made-up"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(page: tuple[Page, str], site: SampleSite, name: str) -> None:
    opened, look = page
    opened.goto(site.url + PATH + name)
    expect(opened.get_by_role("heading", name="Audit log")).to_be_visible()
    assert_accessible(opened)
    assert width_of(opened) <= int(look.partition("-")[2])
    if SHOTS:
        shot = f"audit-{look}-{re.sub(r'[^a-z]', '', name)}.png"
        opened.screenshot(path=str(Path(SHOTS) / shot), full_page=True)


def test_the_list_fits_a_desktop(browser: Browser, site: SampleSite) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = sign_in(context, site.url)
    for query in ("", "?q=cus_", "?actor=system", "?action=review.approved"):
        opened.goto(site.url + PATH + query)
        assert opened.locator(".panel:has(> .list)").first.evaluate("box => box.scrollWidth - box.clientWidth") == 0
    context.close()
