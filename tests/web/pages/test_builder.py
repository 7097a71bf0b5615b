"""The program builder without a browser: forms lose nothing, faults stand beside their fields, drafts hold."""

import html
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from oracle.drawing import Dice
from oracle.drawn_terms import currency_terms, fraud_rules
from oracle.drawn_terms import terms as draw_terms
from refref.core.terms import (
    Band,
    Benefit,
    Cap,
    CurrencyTerms,
    CustomEvent,
    Duration,
    FraudRule,
    Override,
    QualifyingEvent,
    RewardRule,
    Share,
    Terms,
    Tiers,
    TierStep,
)
from refref.core.terms_check import faults_of
from refref.web.pages.terms_form import read_struct, values_of
from refref.web.pages.typed_amounts import amounts_of, amounts_text
from web.pages.conftest import SampleSite, client_of
from web.pages.drafts import draft_of, new_program, save, set_draft
from web.pages.forms import form_in
from web.pages.sample import EMAIL

PARTNER = "ptc_01sample"
# One of everything that the forms can say.
RICH = Terms(
    rules=(
        RewardRule(
            rule_id="tiered",
            name="Tiered",
            rate_bps=1_000,
            kind="both",
            amounts={"usd": 150, "jpy": 200, "kwd": 1_230},
            fixed_per="unit",
            group="main",
            products=("prod_sample", "price_sample"),
            excluded_products=("prod_other",),
            tiers=Tiers(
                "revenue",
                (TierStep(1_000), TierStep(2_550, {"eur": 500}, 250_000)),
                "quarter",
                "retroactive",
                "usd",
            ),
            overrides=(Override(500, {}, (PARTNER,)), Override(0, {"usd": 1_000}, (), ("top partners", "gold"))),
            condition='sale.amount_minor >= 5000 && customer.country == "DE"',
            campaign="spring",
            starts_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
            ends_at=datetime(2027, 1, 31, tzinfo=UTC),
            duration=Duration("payments", 6),
            hold_days=14,
            expires_days=90,
            approval="manual",
        ),
        RewardRule(rule_id="by-plan", tiers=Tiers("plan", (TierStep(900, plan="price_sample"),)), rate_bps=100),
        RewardRule(
            rule_id="banded",
            bands=(Band(3_000), Band(2_000, {}, 6)),
            rate_bps=1_000,
            duration=Duration("forever"),
            condition="customer.is_new ? sale.number > 1 : sale.number > 2",
        ),
        RewardRule(rule_id="shared", to="split", split=(Share("referrer", 7_500), Share(PARTNER, 2_500)), rate_bps=500),
        RewardRule(
            rule_id="welcome",
            event="verified",
            to="referee",
            reward="discount",
            benefit=Benefit(2_000, {}, "repeating", 3),
        ),
        RewardRule(rule_id="seats", event="verified", reward="feature", benefit=Benefit(feature="seats")),
        RewardRule(rule_id="fixed", event="big", reward="credit", kind="fixed", amounts={"eur": 999}),
    ),
    events=(
        QualifyingEvent(
            event_id="big",
            name="Big purchases",
            kind="renewal",
            products=("prod_sample",),
            excluded_products=("price_other",),
            excluded_coupons=("HALF",),
            excluded_email_domains=("example.com",),
            countries=("DE", "FR"),
            currencies=("eur", "usd"),
            min_net={"eur": 5_000, "jpy": 5_000},
            min_payments=2,
            customers="any",
            attribution_window_days=30,
            signup_window_days=10,
            prorations="exclude",
            condition='sale.metadata.channel == "web" || "gold" in participant.groups',
            verification="manual",
        ),
        QualifyingEvent(
            event_id="verified",
            name="Verified",
            kind="custom",
            custom=CustomEvent(
                ("customer.updated",),
                'event.data.object.metadata.kyc == "passed"',
                "data.object.balance",
                "data.object.currency",
                "data.object.id",
                "many",
            ),
        ),
        QualifyingEvent(event_id="lead", kind="signup"),
    ),
    duration=Duration("payments", 20),
    hold_days=7,
    attribution_window_days=45,
    signup_window_days=20,
    customers="any",
    products=("prod_sample", "prod_two"),
    excluded_coupons=("promo_1",),
    excluded_email_domains=("example.net",),
    includes_tax=True,
    counts_out_of_band=False,
    restart="new_cycle",
    caps=(
        Cap("participant", {"usd": 100_000, "eur": 90_000}, "month"),
        Cap("reward", {"usd": 5_000}, "ever", ("tiered", "shared")),
    ),
    currency=CurrencyTerms("usd", "eur", "table", {"gbp": "1.27", "eur": "1.08"}, "base"),
    fraud=(FraudRule("self_domain", "hold"), FraudRule("refund_rate", "flag", 20)),
    approval="manual",
    starts_at=datetime(2026, 1, 1, tzinfo=UTC),
    ends_at=datetime(2030, 1, 1, 12, 30, 15, tzinfo=UTC),
)
PAGES = [
    "limits",
    "currencies",
    "fraud",
    "settings",
    *(f"rules/{n + 1}" for n in range(len(RICH.rules))),
    *(f"events/{n + 1}" for n in range(len(RICH.events))),
]


@st.composite
def drawn(draw: st.DrawFn) -> Terms:
    dice = Dice(draw)
    return draw_terms(dice, currency_terms(dice), fraud_rules(dice))


@settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "50")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(drawn())
def test_a_form_loses_nothing(made: Terms) -> None:
    faults: dict[str, str] = {}
    assert read_struct(values_of(made), Terms(), faults) == made
    assert faults == {}


def test_the_rich_terms_are_complete_and_the_form_loses_nothing_of_them() -> None:
    assert faults_of(RICH) == ()
    faults: dict[str, str] = {}
    assert read_struct(values_of(RICH), Terms(), faults) == RICH
    assert faults == {}


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("10.00 USD", {"usd": 1000}),
        ("usd 10", {"usd": 1000}),
        ("10.5 usd; 500 JPY, 1.234 KWD", {"usd": 1050, "jpy": 500, "kwd": 1234}),
        ("", {}),
        ("0.00 USD", {"usd": 0}),
        ("10.005 USD", None),
        ("500.5 JPY", None),
        ("10 XYZ", None),
        ("10 USD, 11 USD", None),
        ("ten USD", None),
        ("-5 USD", None),
        ("10,00 USD", None),
    ],
)
def test_amounts_are_in_major_units(text: str, amounts: dict[str, int] | None) -> None:
    assert amounts_of(text) == amounts
    if amounts:
        assert amounts_of(amounts_text(amounts)) == amounts


@pytest.fixture(scope="module")
def owner(sample_site: SampleSite) -> Iterator[httpx.Client]:
    with client_of(sample_site.url, EMAIL) as client:
        yield client


def test_saving_every_page_as_it_came_changes_nothing(sample_site: SampleSite, owner: httpx.Client) -> None:
    program = new_program(owner)
    shared = structs.replace(
        RICH.rules[3], split=(Share("referrer", 7_500), Share(sample_site.sample.participant_id, 2_500))
    )
    rich = structs.replace(RICH, rules=(*RICH.rules[:3], shared, *RICH.rules[4:]))
    set_draft(sample_site, program, rich)
    for page in PAGES:
        answer = save(owner, f"{program}/draft/{page}")
        assert answer.status_code == 303, (page, answer.text)
        assert draft_of(owner, program) == rich, page
    overview = owner.get(f"{program}/draft").text
    assert "Nothing keeps these terms from being published" in overview


@pytest.mark.parametrize(
    ("page", "changes", "field", "sentence"),
    [
        ("rules/1", {"rate_bps": "lots"}, "rate_bps", "Give a number in per cent such as 12.5"),
        ("rules/1", {"kind": "both", "amounts": "10 dollars"}, "amounts", "Give amounts such as 10.00 USD"),
        ("rules/1", {"hold_days": "soon"}, "hold_days", "Give a whole number"),
        (
            "rules/1",
            {"condition.how": "cel", "condition.cel": "sale.number >"},
            "condition.cel",
            "Line 1, column",
        ),
        (
            "rules/1",
            {"condition.rows.0.field": "sale.number", "condition.rows.0.value": "two"},
            "condition.rows.0.value",
            "does not fit",
        ),
        ("settings", {"starts_at": "tomorrow"}, "starts_at", "Give a day and time"),
        ("currencies", {"currency.conversion": "table", "currency.table": "dear"}, "currency.table", "1.27 GBP"),
        ("limits", {"caps.0.amounts": "a lot"}, "caps.0.amounts", "Give amounts such as 10.00 USD"),
        ("fraud", {"fraud.velocity.action": "hold", "fraud.velocity.limit": "x"}, "fraud.velocity.limit", "whole"),
    ],
)
def test_what_cannot_be_read_is_shown_again_and_not_saved(
    owner: httpx.Client, page: str, changes: dict[str, str], field: str, sentence: str
) -> None:
    program = new_program(owner)
    before = draft_of(owner, program)
    answer = save(owner, f"{program}/draft/{page}", **changes)
    assert answer.status_code == 422
    assert "Nothing was saved yet" in answer.text
    assert sentence in fault_beside(answer.text, field)
    assert form_in(answer.text, f"{program}/draft/{page}")[field] == changes.get(field, "two")
    assert draft_of(owner, program) == before


@pytest.mark.parametrize(
    ("page", "changes", "field", "sentence"),
    [
        ("rules/1", {"rate_bps": "0"}, "rate_bps", "more than 0 and at most 100 %"),
        ("rules/1", {"kind": "fixed", "amounts": ""}, "amounts", "such as 10.00 USD"),
        ("rules/1", {"to": "referee"}, "reward", "give a credit, a discount or a feature"),
        ("rules/1", {"expires_days": "10"}, "expires_days", "It would expire before it is payable"),
        (
            "rules/1",
            {"value_by": "tiers", "tiers.steps.0.at_least": "5", "tiers.steps.1.at_least": "3"},
            "tiers.steps.1.at_least",
            "Steps come in ascending order",
        ),
        ("settings", {"hold_days": "400"}, "hold_days", "0 to 365"),
        ("currencies", {"currency.conversion": "daily"}, "currency.base", "give the base currency"),
    ],
)
def test_what_cannot_be_published_is_saved_and_said_beside_its_field(
    owner: httpx.Client, page: str, changes: dict[str, str], field: str, sentence: str
) -> None:
    program = new_program(owner)
    address = f"{program}/draft/{page}"
    answer = save(owner, address, **changes)
    assert (answer.status_code, answer.headers["location"]) == (303, address)
    assert sentence in fault_beside(owner.get(address).text, field)
    overview = owner.get(f"{program}/draft").text
    assert f'href="{address}"' in overview
    assert "to mend</span> before it can be published" in overview
    form = form_in(overview, f"{program}/draft/publish")
    refused = owner.post(f"{program}/draft/publish", data=form)
    assert refused.status_code == 422
    assert "No version yet" in owner.get(f"{program}/versions").text


def fault_beside(page: str, field: str) -> str:
    """The sentence below an input."""
    found = re.search(rf'name="{re.escape(field)}".*?<p class="mt-1 text-sm text-error"[^>]*>([^<]*)</p>', page, re.S)
    assert found is not None, f"nothing is said of {field}"
    return html.unescape(found[1])
