"""What may be published: each rule of docs/terms.md that can be broken, with the field that is named."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from refref.core.refusals import Refused
from refref.core.terms import (
    MONEY_KINDS,
    Band,
    Benefit,
    Cap,
    CurrencyTerms,
    CustomEvent,
    Duration,
    EventKind,
    FraudRule,
    Override,
    QualifyingEvent,
    RewardRule,
    Share,
    Terms,
    Tiers,
    TierStep,
    terms_to_json,
)
from refref.core.terms_check import check_terms, faults_of, terms_from_data, terms_from_json

JAN, FEB = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
CUSTOM = CustomEvent(stripe_types=("customer.updated",))
EVENTS = (
    QualifyingEvent(event_id="sale"),
    QualifyingEvent(event_id="lead", kind="signup"),
    QualifyingEvent(event_id="told", kind="custom", custom=CUSTOM),
)
HALF = Share(participant="referrer", share_bps=5_000)
OFF = Benefit(percent_off_bps=1_000)


def rule(**changes: Any) -> Terms:
    """Terms with the events above and one rule: 20 %, unless changed."""
    return Terms(events=EVENTS, rules=(RewardRule(**{"rule_id": "r", "rate_bps": 2_000} | changes),))


def event(**changes: Any) -> Terms:
    """Terms whose one event is changed."""
    return Terms(events=(QualifyingEvent(**{"event_id": "e"} | changes),))


def tiers(*steps: TierStep, **changes: Any) -> Terms:
    return rule(tiers=Tiers(**{"by": "referrals", "steps": steps} | changes))


def step(at_least: int = 0, **changes: Any) -> TierStep:
    return TierStep(at_least=at_least, **changes)


PUBLISHABLE = {
    "the defaults": Terms(),
    "a fixed amount": rule(kind="fixed", rate_bps=0, amounts={"usd": 1_000, "jpy": 500}),
    "both": rule(kind="both", amounts={"usd": 1_000}, fixed_per="unit"),
    "only some earn": rule(rate_bps=0, overrides=(Override(groups=("gold",), rate_bps=3_000),)),
    "nobody of a group earns": rule(overrides=(Override(participants=("ptc_1",)),)),
    "bands that end": rule(
        rate_bps=0, bands=(Band(up_to_months=0, rate_bps=5_000), Band(up_to_months=12, rate_bps=10))
    ),
    "tiers": tiers(step(0, rate_bps=1_000), step(10, rate_bps=2_000), period="month", applies="retroactive"),
    "a first step of nothing": tiers(step(0), step(10, amounts={"usd": 1})),
    "tiers by plan": tiers(step(plan="prod_a", rate_bps=1), step(plan="price_b", rate_bps=2), by="plan"),
    "tiers by revenue": tiers(step(100_000, rate_bps=1), by="revenue", currency="usd"),
    "a split": rule(to="split", split=(HALF, Share(participant="ptc_1", share_bps=5_000))),
    "a credit to the referee": rule(to="referee", reward="credit"),
    "a discount": rule(rate_bps=0, to="referee", reward="discount", benefit=OFF),
    "a feature": rule(rate_bps=0, reward="feature", benefit=Benefit(feature="extra-seats")),
    "a fixed amount for a lead": rule(event="lead", kind="fixed", rate_bps=0, amounts={"usd": 500}),
    "a share of a custom amount": Terms(
        events=(
            QualifyingEvent(
                event_id="told",
                kind="custom",
                custom=CustomEvent(stripe_types=("charge.updated",), amount_path="data.object.amount"),
            ),
        ),
        rules=(RewardRule(rule_id="r", event="told", rate_bps=2_000),),
    ),
    "a trial of certain plans": Terms(
        events=(QualifyingEvent(event_id="e", kind="trial_started", products=("prod_a",)),)
    ),
    "conditions": Terms(
        rules=(RewardRule(rule_id="r", rate_bps=1, condition='customer.country == "DE" && sale.amount_minor > 5000'),),
        events=(
            QualifyingEvent(event_id="e", condition="sale.is_first"),
            QualifyingEvent(
                event_id="c",
                kind="custom",
                custom=CustomEvent(stripe_types=("a.b",), criteria='event.data.object.metadata.kyc == "done"'),
            ),
        ),
    ),
    "caps": Terms(caps=(Cap(on="participant", period="month", amounts={"usd": 1}, rules=("commission",)),)),
    "a table": Terms(currency=CurrencyTerms(base="usd", conversion="table", table={"gbp": "1.27"}, pays_in="base")),
    "fraud": Terms(
        fraud=(FraudRule(check="velocity", action="hold", limit=20), FraudRule(check="self_ip", action="off"))
    ),
    "for ever": Terms(duration=Duration(unit="forever", count=0)),
    "dates": Terms(starts_at=JAN, ends_at=FEB),
}


@pytest.mark.parametrize("name", PUBLISHABLE)
def test_these_can_be_published(name: str) -> None:
    assert faults_of(PUBLISHABLE[name]) == ()
    assert terms_from_json(terms_to_json(PUBLISHABLE[name])) == PUBLISHABLE[name]


FAULTY: list[tuple[Terms, str]] = [
    (Terms(rules=()), "rules"),
    (Terms(rules=(RewardRule(rule_id="Pro plan", rate_bps=1),)), "rules.0.rule_id"),
    (Terms(rules=(RewardRule(rule_id="a", rate_bps=1), RewardRule(rule_id="a", rate_bps=1))), "rules.1.rule_id"),
    (Terms(rules=tuple(RewardRule(rule_id=f"r{n}", rate_bps=1) for n in range(101))), "rules"),
    (rule(name="two\nlines"), "rules.0.name"),
    (rule(rate_bps=0), "rules.0.rate_bps"),
    (rule(rate_bps=10_001), "rules.0.rate_bps"),
    (rule(rate_bps=-1, bands=(Band(rate_bps=1),)), "rules.0.rate_bps"),
    (rule(kind="fixed", amounts={"usd": 1}), "rules.0.rate_bps"),
    (rule(kind="fixed", rate_bps=0), "rules.0.amounts"),
    (rule(kind="both"), "rules.0.amounts"),
    (rule(kind="both", rate_bps=0, amounts={"usd": 1}), "rules.0.rate_bps"),
    (rule(amounts={"usd": 1}), "rules.0.amounts"),
    (rule(fixed_per="line"), "rules.0.fixed_per"),
    (rule(kind="fixed", rate_bps=0, amounts={"usd": 0}), "rules.0.amounts.usd"),
    (rule(kind="fixed", rate_bps=0, amounts={"USD": 1}), "rules.0.amounts.USD"),
    (rule(kind="fixed", rate_bps=0, amounts={"xxx": 1}), "rules.0.amounts.xxx"),
    (rule(kind="fixed", rate_bps=0, amounts={"usd": 10**16}), "rules.0.amounts.usd"),
    (rule(event="nobody"), "rules.0.event"),
    (rule(event="sale", on="first"), "rules.0.on"),
    (rule(event="lead"), "rules.0.rate_bps"),
    (rule(event="told"), "rules.0.rate_bps"),
    (rule(event="lead", kind="fixed", rate_bps=0, amounts={"usd": 1}, fixed_per="unit"), "rules.0.fixed_per"),
    (
        rule(event="lead", kind="fixed", rate_bps=0, tiers=Tiers(by="referrals", steps=(step(rate_bps=5),))),
        "rules.0.tiers.steps.0.rate_bps",
    ),
    (rule(products=("prod_a", "prod_a")), "rules.0.products.1"),
    (rule(products=("",)), "rules.0.products.0"),
    (rule(products=(" prod_a",)), "rules.0.products.0"),
    (rule(products=("prod_a",), excluded_products=("prod_a",)), "rules.0.products"),
    (rule(campaign="spring "), "rules.0.campaign"),
    (rule(condition="sale.amount_minor >"), "rules.0.condition"),
    (rule(condition="sale.price > 3"), "rules.0.condition"),
    (rule(condition="event.type == 'x'"), "rules.0.condition"),
    (event(condition="sale.amount_minor"), "events.0.condition"),
    (
        event(kind="custom", custom=CustomEvent(stripe_types=("a.b",), criteria="sale.is_first")),
        "events.0.custom.criteria",
    ),
    (rule(to="referee"), "rules.0.reward"),
    (rule(to="split"), "rules.0.split"),
    (rule(split=(HALF,)), "rules.0.split"),
    (rule(to="split", split=(HALF,)), "rules.0.split"),
    (rule(to="split", split=(HALF, HALF)), "rules.0.split.1.participant"),
    (rule(to="split", split=(HALF, Share(participant="Anna", share_bps=5_000))), "rules.0.split.1.participant"),
    (rule(to="split", split=(HALF, Share(participant="ptc_1", share_bps=0))), "rules.0.split.1.share_bps"),
    (
        rule(rate_bps=0, reward="discount", benefit=OFF, to="split", split=(HALF, Share("ptc_1", 5_000))),
        "rules.0.to",
    ),
    (rule(benefit=OFF), "rules.0.benefit"),
    (rule(rate_bps=0, reward="discount"), "rules.0.benefit"),
    (rule(reward="discount", benefit=OFF), "rules.0.rate_bps"),
    (rule(rate_bps=0, reward="discount", benefit=Benefit()), "rules.0.benefit"),
    (
        rule(rate_bps=0, reward="discount", benefit=Benefit(percent_off_bps=1, amount_off={"usd": 1})),
        "rules.0.benefit",
    ),
    (rule(rate_bps=0, reward="discount", benefit=Benefit(percent_off_bps=10_001)), "rules.0.benefit.percent_off_bps"),
    (rule(rate_bps=0, reward="discount", benefit=Benefit(amount_off={"usd": 0})), "rules.0.benefit.amount_off.usd"),
    (
        rule(rate_bps=0, reward="discount", benefit=Benefit(percent_off_bps=1, duration="repeating")),
        "rules.0.benefit.duration_in_months",
    ),
    (
        rule(rate_bps=0, reward="discount", benefit=Benefit(percent_off_bps=1, duration_in_months=3)),
        "rules.0.benefit.duration_in_months",
    ),
    (
        rule(rate_bps=0, reward="discount", benefit=Benefit(percent_off_bps=1, feature="x")),
        "rules.0.benefit.feature",
    ),
    (rule(rate_bps=0, reward="feature", benefit=Benefit()), "rules.0.benefit.feature"),
    (rule(rate_bps=0, reward="feature", benefit=Benefit(feature="x", percent_off_bps=1)), "rules.0.benefit"),
    (rule(bands=(Band(rate_bps=1),), tiers=Tiers(by="referrals", steps=(step(rate_bps=1),))), "rules.0.tiers"),
    (rule(bands=(Band(up_to_months=3), Band(up_to_months=3))), "rules.0.bands.1.up_to_months"),
    (rule(bands=(Band(up_to_months=-1),)), "rules.0.bands.0.up_to_months"),
    (rule(bands=(Band(rate_bps=10_001),)), "rules.0.bands.0.rate_bps"),
    (tiers(), "rules.0.tiers.steps"),
    (tiers(step(5), step(5)), "rules.0.tiers.steps.1.at_least"),
    (tiers(step(-1)), "rules.0.tiers.steps.0.at_least"),
    (tiers(step(0, plan="prod_a")), "rules.0.tiers.steps.0.plan"),
    (tiers(step(0), by="plan"), "rules.0.tiers.steps.0.plan"),
    (tiers(step(plan="p"), step(plan="p"), by="plan"), "rules.0.tiers.steps.1.plan"),
    (tiers(step(3, plan="p"), by="plan"), "rules.0.tiers.steps.0.at_least"),
    (tiers(step(0), by="revenue"), "rules.0.tiers.currency"),
    (tiers(step(0), by="revenue", currency="xxx"), "rules.0.tiers.currency"),
    (tiers(step(0), currency="usd"), "rules.0.tiers.currency"),
    (tiers(step(0, amounts={"usd": -1})), "rules.0.tiers.steps.0.amounts.usd"),
    (
        Terms(
            rules=tuple(
                RewardRule(
                    rule_id=code, rate_bps=1, tiers=Tiers(by="revenue", steps=(step(0, rate_bps=1),), currency=code)
                )
                for code in ("usd", "eur")
            )
        ),
        "rules.1.tiers.currency",
    ),
    (rule(overrides=(Override(rate_bps=1),)), "rules.0.overrides.0"),
    (rule(overrides=(Override(participants=("Anna",), rate_bps=1),)), "rules.0.overrides.0.participants.0"),
    (rule(overrides=(Override(groups=("",), rate_bps=1),)), "rules.0.overrides.0.groups.0"),
    (rule(starts_at=FEB, ends_at=JAN), "rules.0.ends_at"),
    (rule(starts_at=JAN, ends_at=JAN), "rules.0.ends_at"),
    (rule(duration=Duration(unit="payments", count=0)), "rules.0.duration.count"),
    (rule(hold_days=366), "rules.0.hold_days"),
    (rule(expires_days=0), "rules.0.expires_days"),
    (rule(expires_days=30), "rules.0.expires_days"),
    (rule(hold_days=90, expires_days=60), "rules.0.expires_days"),
    (event(event_id="E"), "events.0.event_id"),
    (event(products=("a",), excluded_products=("a",)), "events.0.products"),
    (event(excluded_email_domains=("@example.com",)), "events.0.excluded_email_domains.0"),
    (event(countries=("de",)), "events.0.countries.0"),
    (event(currencies=("EUR",)), "events.0.currencies.0"),
    (event(min_net={"usd": 0}), "events.0.min_net.usd"),
    (event(min_payments=0), "events.0.min_payments"),
    (event(attribution_window_days=0), "events.0.attribution_window_days"),
    (event(signup_window_days=3_651), "events.0.signup_window_days"),
    (event(kind="custom"), "events.0.custom"),
    (event(custom=CUSTOM), "events.0.custom"),
    (event(kind="custom", custom=CustomEvent(stripe_types=())), "events.0.custom.stripe_types"),
    (event(kind="custom", custom=CustomEvent(stripe_types=("paid",))), "events.0.custom.stripe_types.0"),
    (
        event(kind="custom", custom=CustomEvent(stripe_types=("a.b",), amount_path="data..x")),
        "events.0.custom.amount_path",
    ),
    (
        event(kind="custom", custom=CustomEvent(stripe_types=("a.b",), currency_path="data.x")),
        "events.0.custom.currency_path",
    ),
    (event(kind="signup", min_net={"usd": 1}), "events.0.min_net"),
    (event(kind="signup", min_payments=2), "events.0.min_payments"),
    (event(kind="signup", products=("prod_a",)), "events.0.products"),
    (Terms(duration=Duration(count=1_201)), "duration.count"),
    (Terms(hold_days=-1), "hold_days"),
    (Terms(attribution_window_days=0), "attribution_window_days"),
    (Terms(signup_window_days=0), "signup_window_days"),
    (Terms(products=("a",), excluded_products=("a",)), "products"),
    (Terms(excluded_coupons=("c", "c")), "excluded_coupons.1"),
    (Terms(excluded_email_domains=("example",)), "excluded_email_domains.0"),
    (Terms(caps=(Cap(on="reward", amounts={}),)), "caps.0.amounts"),
    (Terms(caps=(Cap(on="reward", amounts={"usd": 0}),)), "caps.0.amounts.usd"),
    (Terms(caps=(Cap(on="program", amounts={"usd": 1}, rules=("nobody",)),)), "caps.0.rules.0"),
    (Terms(currency=CurrencyTerms(base="US")), "currency.base"),
    (Terms(currency=CurrencyTerms(display="Usd")), "currency.display"),
    (Terms(currency=CurrencyTerms(conversion="daily")), "currency.base"),
    (Terms(currency=CurrencyTerms(base="usd", pays_in="base")), "currency.pays_in"),
    (Terms(currency=CurrencyTerms(base="usd", conversion="table")), "currency.table"),
    (Terms(currency=CurrencyTerms(base="usd", table={"gbp": "1"})), "currency.table"),
    *(
        (Terms(currency=CurrencyTerms(base="usd", conversion="table", table={code: rate})), f"currency.table.{code}")
        for code, rate in (("usd", "1"), ("gbp", "0.00"), ("gbp", "-1"), ("gbp", "1,27"), ("xyz", "1"))
    ),
    (Terms(fraud=(FraudRule("self_ip", "off"), FraudRule("self_ip", "deny"))), "fraud.1.check"),
    (Terms(fraud=(FraudRule("self_ip", "off", limit=3),)), "fraud.0.limit"),
    (Terms(fraud=(FraudRule("refund_rate", "hold", limit=101),)), "fraud.0.limit"),
    (Terms(starts_at=FEB, ends_at=JAN), "ends_at"),
]


@pytest.mark.parametrize(
    ("terms", "field"), FAULTY, ids=[f"{number}-{field}" for number, (_, field) in enumerate(FAULTY)]
)
def test_a_fault_names_its_field(terms: Terms, field: str) -> None:
    faults = faults_of(terms)
    assert f"terms.{field}" in [fault.field for fault in faults]
    assert all(fault.sentence.endswith(".") for fault in faults)
    with pytest.raises(Refused) as refused:
        check_terms(terms)
    assert (refused.value.code, refused.value.field) == ("invalid_terms", faults[0].field)


def test_all_faults_are_told_at_once() -> None:
    terms = Terms(rules=(RewardRule(rule_id="r", rate_bps=0),), hold_days=400, attribution_window_days=0)
    assert [fault.field for fault in faults_of(terms)] == [
        "terms.rules.0.rate_bps",
        "terms.hold_days",
        "terms.attribution_window_days",
    ]
    with pytest.raises(Refused, match=r"Also terms\.hold_days: The hold in days is 0 to 365, not 400\."):
        check_terms(terms)
    many = Terms(rules=tuple(RewardRule(rule_id=f"r{n}") for n in range(30)))
    with pytest.raises(Refused, match=r"And 20 more\.$"):
        check_terms(many)


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_percentages_are_of_money(kind: EventKind) -> None:
    custom = CUSTOM if kind == "custom" else None
    terms = Terms(
        events=(QualifyingEvent(event_id="e", kind=kind, custom=custom),),
        rules=(RewardRule(rule_id="r", event="e", rate_bps=2_000),),
    )
    assert bool(faults_of(terms)) == (kind not in MONEY_KINDS)


SHAPES: list[tuple[object, str, str]] = [
    ({"hold": 3}, "terms.hold", "do you mean hold_days?"),
    ({"rules": [{"rule_id": "a", "rate": 3}]}, "terms.rules.0.rate", "do you mean rate_bps?"),
    ({"rules": [{"rule_id": "a", "rate_bps": "20 %"}]}, "terms.rules.0.rate_bps", "Give a whole number"),
    ({"rules": [{"rate_bps": 3}]}, "terms.rules.0.rule_id", "must be given"),
    ({"rules": [{"rule_id": "a", "duration": {"weeks": 1}}]}, "terms.rules.0.duration.weeks", "there are: count, unit"),
    ({"duration": {"unit": "weeks"}}, "terms.duration.unit", "forever, months, payments"),
    ({"starts_at": "2026-01-01"}, "terms.starts_at", "2026-01-31T00:00:00Z"),
    ({"starts_at": "2026-01-01T00:00:00"}, "terms.starts_at", "time zone"),
    ({"hold_days": 2.5}, "terms.hold_days", "not a number with decimals"),
    ({"hold_days": True}, "terms.hold_days", "not true or false"),
    ({"hold_days": None}, "terms.hold_days", "not nothing"),
    ([], "terms", "not a list"),
]


@pytest.mark.parametrize(("given", "field", "words"), SHAPES)
def test_a_wrong_shape_names_its_field_and_the_remedy(given: object, field: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        terms_from_json(json.dumps(given))
    assert (refused.value.code, refused.value.field) == ("invalid_terms", field)
    assert words in refused.value.sentence


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", "[1,"])
def test_what_is_no_json_is_refused(body: bytes | str) -> None:
    with pytest.raises(Refused, match="This is no JSON"):
        terms_from_json(body)


def test_a_draft_may_be_faulty_but_has_the_right_shape() -> None:
    assert faults_of(terms_from_data({"rules": []}))[0].field == "terms.rules"
    with pytest.raises(Refused, match="do you mean rules"):
        terms_from_data({"rulse": []})
