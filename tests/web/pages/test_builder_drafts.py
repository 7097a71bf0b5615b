"""Drafts in the pages: who may, what publishing does, two people at once, the order of rules, a program's status."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from refref.core.terms import QualifyingEvent, RewardRule, Terms
from refref.core.terms_document import read_terms
from web.pages.conftest import SampleSite, client_of
from web.pages.drafts import draft_of, new_program, publish_beside_the_draft, save, set_draft
from web.pages.forms import form_in
from web.pages.sample import EMAIL, VIEWER_EMAIL


@pytest.fixture(scope="module")
def owner(sample_site: SampleSite) -> Iterator[httpx.Client]:
    with client_of(sample_site.url, EMAIL) as client:
        yield client


@pytest.fixture(scope="module")
def viewer(sample_site: SampleSite) -> Iterator[httpx.Client]:
    with client_of(sample_site.url, VIEWER_EMAIL) as client:
        yield client


def send(client: httpx.Client, page: str, address: str, **changes: str) -> httpx.Response:
    """Press the button of the form on a page that posts to `address`."""
    return client.post(address, data={**form_in(client.get(page).text, address), **changes})


def publish(owner: httpx.Client, program: str, **changes: str) -> httpx.Response:
    return send(owner, f"{program}/draft", f"{program}/draft/publish", **changes)


def rules_of(owner: httpx.Client, program: str) -> list[str]:
    return [rule.rule_id for rule in draft_of(owner, program).rules]


def test_a_viewer_sees_the_builder_and_is_offered_no_change(
    viewer: httpx.Client, owner: httpx.Client, sample_site: SampleSite
) -> None:
    program = new_program(owner)
    event = QualifyingEvent(event_id="big", kind="renewal")
    set_draft(sample_site, program, Terms(events=(event,)))
    for page in ("", "/rules", "/rules/1", "/events", "/events/1", "/limits", "/currencies", "/fraud", "/settings"):
        answer = viewer.get(f"{program}/draft{page}")
        assert answer.status_code == 200
        actions = set(re.findall(r'method="post" action="([^"]+)"', answer.text))
        assert actions <= {"/sign-out", "/connection"}, page
        assert ("<fieldset" in answer.text) == ("disabled" in answer.text), page


def test_a_draft_is_published_from_a_day_on_and_existing_referrals_keep(owner: httpx.Client) -> None:
    program = new_program(owner)
    assert publish(owner, program, effective_on="2026-01-31").headers["location"] == program
    page = owner.get(program).text
    assert "Terms, version 1" in page
    assert 'since <time datetime="2026-01-31T00:00:00+00:00">' in page
    save(owner, f"{program}/draft/rules/1", rate_bps="12.5")
    overview = owner.get(f"{program}/draft").text
    assert "30 % becomes 12.5 %" in overview
    assert publish(owner, program, existing_referrals="keep").status_code == 303
    history = owner.get(f"{program}/versions?from=1&to=2").text
    assert "30 % becomes 12.5 %" in history
    assert "old referrals follow the new terms becomes old referrals keep the terms they had" in history
    assert "by Sample Owner" in history
    assert f"{program}/draft/publish" not in owner.get(f"{program}/draft").text, "the draft has ended"


def test_a_day_before_the_last_version_is_refused(owner: httpx.Client) -> None:
    program = new_program(owner)
    publish(owner, program)
    save(owner, f"{program}/draft/settings", hold_days="7")
    answer = publish(owner, program, effective_on="2020-01-01")
    assert answer.status_code == 422
    assert "the next may not before" in answer.text
    answer = publish(owner, program, effective_on="some day")
    assert (answer.status_code, "Give a day such as" in answer.text) == (422, True)


def test_two_people_at_once_do_not_overwrite_each_other(owner: httpx.Client) -> None:
    program = new_program(owner)
    page = f"{program}/draft/settings"
    mine, theirs = (form_in(owner.get(page).text, page) for _ in range(2))
    assert owner.post(page, data={**theirs, "hold_days": "10"}).status_code == 303
    answer = owner.post(page, data={**mine, "hold_days": "20"})
    assert answer.status_code == 422
    assert "Somebody saved the draft meanwhile" in answer.text
    assert 'value="20"' in answer.text, "what was typed is kept"
    assert draft_of(owner, program).hold_days == 10


def test_a_draft_that_a_version_overtook_goes_on_only_when_its_author_says_so(
    owner: httpx.Client, sample_site: SampleSite
) -> None:
    program = new_program(owner)
    publish(owner, program)
    save(owner, f"{program}/draft/settings", hold_days="7")
    publish_beside_the_draft(sample_site, program, Terms(hold_days=9))
    assert "Version 2 was published after this draft was begun" in owner.get(f"{program}/draft").text
    assert publish(owner, program).status_code == 422
    assert send(owner, f"{program}/draft", f"{program}/draft/rebase").status_code == 303
    assert publish(owner, program).status_code == 303


def test_a_draft_is_discarded(owner: httpx.Client) -> None:
    program = new_program(owner)
    publish(owner, program)
    save(owner, f"{program}/draft/settings", hold_days="7")
    assert send(owner, f"{program}/draft", f"{program}/draft/discard").headers["location"] == program
    assert "Change the terms" in owner.get(program).text
    assert owner.get(f"{program}/terms.yaml?version=draft").status_code == 404


def test_rules_are_added_moved_and_taken_out(owner: httpx.Client) -> None:
    program = new_program(owner)
    rules = f"{program}/draft/rules"
    for name in ("Big sale", "Big sale", "Ümlaut !"):
        assert save(owner, f"{rules}/new", name=name).headers["location"] == rules
    assert rules_of(owner, program) == ["commission", "big-sale", "big-sale-2", "mlaut"]
    send(owner, rules, f"{rules}/3/move", direction="up")
    assert rules_of(owner, program) == ["commission", "big-sale-2", "big-sale", "mlaut"]
    form = form_in(owner.get(rules).text, f"{rules}/1/move")
    owner.post(f"{rules}/4/move", data={**form, "direction": "down"})
    assert rules_of(owner, program)[-1] == "mlaut", "the last one stays"
    send(owner, f"{rules}/1", f"{rules}/1/remove")
    assert rules_of(owner, program) == ["big-sale-2", "big-sale", "mlaut"]
    assert owner.get(f"{rules}/4").status_code == 404


def test_rules_of_a_group_are_shown_as_alternatives(owner: httpx.Client, sample_site: SampleSite) -> None:
    program = new_program(owner)
    rules = [RewardRule(rule_id=name, rate_bps=100, group="one") for name in ("a", "b")]
    set_draft(sample_site, program, Terms(rules=tuple(rules)))
    page = owner.get(f"{program}/draft/rules").text
    assert page.count("Only the first of this group that applies gives a reward.") == 1
    assert page.count("Gets only what the rules of this group before it left.") == 1


def test_an_event_taken_out_leaves_its_rule_at_fault(owner: httpx.Client) -> None:
    program = new_program(owner, "single-sided-referral")
    events = f"{program}/draft/events"
    send(owner, f"{events}/1", f"{events}/1/remove")
    overview = owner.get(f"{program}/draft").text
    assert "There is no event “first-purchase”" in overview
    assert "first-purchase (taken out)" in owner.get(f"{program}/draft/rules/1").text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"c.how": "rows", "c.rows.0.field": "sale.number", "c.rows.0.operator": "more_than", "c.rows.0.value": "3"},
         "sale.number &gt; 3"),
        ({"c.how": "rows", "c.joined": "any", "c.rows.0.field": "sale.is_first", "c.rows.0.operator": "is_true",
          "c.rows.2.field": "customer.country", "c.rows.2.operator": "one_of", "c.rows.2.value": "DE, FR"},
         "sale.is_first || customer.country in [&#34;DE&#34;, &#34;FR&#34;]"),
        ({"c.how": "rows", "c.rows.0.field": "sale.paid_at", "c.rows.0.operator": "from",
          "c.rows.0.value": "2026-01-31T09:30"}, "2026-01-31T09:30:00Z"),
        ({"c.how": "rows", "c.rows.0.field": "sale.metadata", "c.rows.0.key": "plan", "c.rows.0.operator": "is",
          "c.rows.0.value": "gold"}, "sale.metadata.plan == &#34;gold&#34;"),
        ({"c.how": "rows"}, "No condition: always."),
        ({"c.how": "cel", "c.cel": "sale.number >"}, "Line 1, column"),
        ({"c.how": "cel", "c.cel": "sale.size > 3"}, "has no field `size`"),
    ],
)  # fmt: skip
def test_a_condition_is_shown_as_its_expression(owner: httpx.Client, query: dict[str, str], text: str) -> None:
    assert text in owner.get("/condition", params={**query, "name": "c"}).text


def test_the_preview_follows_the_form(owner: httpx.Client) -> None:
    given = {"template": "affiliate", "rules.0.rate_bps": "10", "duration.unit": "forever", "hold_days": "0"}
    page = owner.get("/programs/new/preview", params=given).text
    assert "10 % of every payment" in page
    assert '<span class="money">60.00' in page
    assert "The preview appears when" in owner.get("/programs/new/preview", params={"rules.0.rate_bps": "x"}).text


def test_the_wizard_keeps_what_was_typed_and_says_what_is_wrong(owner: httpx.Client) -> None:
    form = form_in(owner.get("/programs/new?template=affiliate").text, "/programs/new")
    answer = owner.post("/programs/new", data={**form, "name": "", "then": "publish", "hold_days": "3"})
    assert (answer.status_code, "Give a name" in answer.text) == (422, True)
    assert form_in(answer.text, "/programs/new")["hold_days"] == "3"
    wrong = owner.post("/programs/new", data={**form, "name": "Sample", "then": "draft", "rules.0.rate_bps": "200"})
    assert (wrong.status_code, "at most 100 %" in wrong.text) == (422, True)
    shown = owner.post("/programs/new", data={**form, "name": "", "then": "preview"})
    assert (shown.status_code, "A monthly subscriber" in shown.text) == (200, True)


def test_a_program_is_paused_resumed_copied_and_archived(owner: httpx.Client) -> None:
    program = new_program(owner)
    publish(owner, program)
    assert send(owner, program, f"{program}/status", action="pause").status_code == 303
    assert "takes nobody new" in owner.get(program).text
    assert send(owner, program, f"{program}/status", action="resume").status_code == 303
    assert "takes new referrals" in owner.get(program).text
    copy = send(owner, program, f"{program}/duplicate").headers["location"].removesuffix("/draft")
    assert "Copy of Sample program" in owner.get(copy).text
    assert draft_of(owner, copy) == newest_terms(owner, program)
    form = form_in(owner.get(program).text, f"{program}/status")
    assert owner.post(f"{program}/status", data={**form, "action": "archive"}).status_code == 303
    assert "has ended for good" in owner.get(program).text
    refused = owner.post(f"{program}/status", data={**form, "action": "resume"})
    assert (refused.status_code, "which is for good" in refused.text) == (422, True)
    assert "its terms do not change any more" in owner.get(f"{program}/draft").text


def newest_terms(owner: httpx.Client, program: str) -> Terms:
    return read_terms(owner.get(f"{program}/terms.yaml").text)


def test_name_and_texts_are_changed(owner: httpx.Client) -> None:
    program = new_program(owner)
    send(owner, program, f"{program}/texts", name="Renamed", eligibility_text="Friends.\r\nAnd family.")
    page = owner.get(program).text
    assert "<h1>Renamed</h1>" in page
    assert "Friends.\nAnd family." in page
    refused = send(owner, program, f"{program}/texts", name=" ")
    assert (refused.status_code, "Give a name" in refused.text) == (422, True)


def test_the_wizard_takes_a_budget_dates_and_texts(owner: httpx.Client) -> None:
    given = {
        "caps.0.amounts": "500.00 USD",
        "caps.0.period": "quarter",
        "starts_at": "2026-12-01T00:00",
        "ends_at": "2027-01-01T00:00",
        "eligibility_text": "Customers",
        "terms_text": "Small print",
    }
    program = new_program(owner, **given)
    terms = draft_of(owner, program)
    assert [(cap.on, cap.period, cap.amounts) for cap in terms.caps] == [("program", "quarter", {"usd": 50_000})]
    assert (terms.starts_at, terms.ends_at) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    page = owner.get(program).text
    assert "Customers" in page
    assert "Small print" in page
    assert "it earns nothing until its draft is published" in page
    assert draft_of(owner, new_program(owner)).caps == ()


def test_a_file_becomes_the_draft_or_says_line_by_line_what_is_wrong(owner: httpx.Client) -> None:
    program = new_program(owner)
    form = form_in(owner.get(f"{program}/draft").text, f"{program}/draft/file")
    text = owner.get(f"{program}/terms.yaml?version=draft").text

    def send_file(content: bytes) -> httpx.Response:
        return owner.post(f"{program}/draft/file", data=form, files={"file": ("terms.yaml", content)})

    wrong = send_file(text.replace("rate_bps: 3000", "rate_bps: lots").encode())
    assert wrong.status_code == 422
    assert re.search(r"Line \d+: <code>terms\.rules\.0\.rate_bps</code>", wrong.text)
    assert "is not UTF-8" in send_file(b"\xff").text
    assert draft_of(owner, program).rules[0].rate_bps == 3_000
    assert send_file(text.replace("rate_bps: 3000", "rate_bps: 2500").encode()).status_code == 303
    assert draft_of(owner, program).rules[0].rate_bps == 2_500
    late = send_file(text.encode())
    assert late.status_code == 422, "the form knew of an older draft"
    assert draft_of(owner, program).rules[0].rate_bps == 2_500
