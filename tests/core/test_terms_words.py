"""Terms in plain words, and what one version changes of another: nothing that a field says is left out."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

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
from refref.core.terms_words import differences, sentences_of, terms_for

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
FIVE_OFF = Benefit(amount_off={"usd": 500}, duration="repeating", duration_in_months=3)
TWO_STEPS = (TierStep(rate_bps=1_000), TierStep(at_least=10, rate_bps=2_000))

RULES: list[tuple[RewardRule, str]] = [
    (RewardRule(rule_id="r", rate_bps=2_000), "20 % of every payment."),
    (RewardRule(rule_id="r", rate_bps=1_250, on="recurring"), "12.5 % of every payment after the first."),
    (RewardRule(rule_id="r", kind="fixed", amounts={"jpy": 500}, on="first"), "500 JPY for the first payment."),
    (
        RewardRule(rule_id="r", kind="both", rate_bps=500, amounts={"usd": 100, "eur": 90}, fixed_per="unit"),
        "5 % plus 0.90 EUR or 1.00 USD per unit for every payment.",
    ),
    (
        RewardRule(rule_id="r", name="Pro plan", rate_bps=2_000, products=("prod_1", "prod_2"), hold_days=14),
        "“Pro plan”: 20 % of every payment; only for Pro and prod_2; held 14 days.",
    ),
    (
        RewardRule(rule_id="r", event="lead", kind="fixed", amounts={"usd": 500}, approval="manual", hold_days=0),
        "5.00 USD for a sign-up; payable at once; after approval.",
    ),
    (
        RewardRule(rule_id="r", event="big", rate_bps=1_000, to="referee", reward="credit"),
        "10 % of the first payment (“Big sale”), as a credit, to the referee.",
    ),
    (
        RewardRule(rule_id="r", to="referee", reward="discount", on="first", benefit=Benefit(percent_off_bps=2_000)),
        "20 % off the next invoice for the first payment, to the referee.",
    ),
    (
        RewardRule(
            rule_id="r",
            reward="discount",
            benefit=Benefit(amount_off={"usd": 500}, duration="repeating", duration_in_months=3),
        ),
        "5.00 USD off the invoices of 3 months for every payment, to the referrer.",
    ),
    (
        RewardRule(rule_id="r", rate_bps=500, bands=(Band(rate_bps=5_000), Band(up_to_months=12, rate_bps=2_000))),
        "For every payment; by time since the first payment: 50 % at first, 20 % up to 12 months, then 5 %.",
    ),
    (
        RewardRule(
            rule_id="r",
            tiers=Tiers(
                by="referrals", period="month", steps=(TierStep(rate_bps=1_000), TierStep(at_least=10, rate_bps=2_000))
            ),
        ),
        "For every payment; by referrals in a calendar month: 10 % at first, 20 % from 10 referrals on.",
    ),
    (
        RewardRule(
            rule_id="r",
            tiers=Tiers(
                by="revenue", currency="jpy", applies="retroactive", steps=(TierStep(at_least=1, rate_bps=1_000),)
            ),
        ),
        "For every payment; by revenue: 10 % from 1 JPY on, also for what was earned before in the period.",
    ),
    (
        RewardRule(rule_id="r", tiers=Tiers(by="plan", steps=(TierStep(plan="prod_1", amounts={"usd": 1_000}),))),
        "For every payment; by plan: 10.00 USD for Pro.",
    ),
    (
        RewardRule(
            rule_id="r",
            rate_bps=2_000,
            overrides=(Override(participants=("ptc_1",), groups=("gold",), rate_bps=3_000),),
        ),
        "20 % of every payment; 30 % for Sample partner and group “gold”.",
    ),
    (
        RewardRule(rule_id="r", rate_bps=2_000, to="split", split=(Share("referrer", 7_500), Share("ptc_1", 2_500))),
        "20 % of every payment, as a commission, divided: 75 % to the referrer and 25 % to Sample partner.",
    ),
    (
        RewardRule(
            rule_id="r",
            rate_bps=2_000,
            condition='sale.currency == "eur"',
            campaign="spring",
            starts_at=MARCH,
            ends_at=datetime(2026, 4, 1, 12, tzinfo=UTC),
            duration=Duration(unit="payments", count=3),
            expires_days=90,
            group="plans",
        ),
        "20 % of every payment; only if the currency of the sale is EUR; only in the campaign “spring”; from "
        "1 Mar 2026 until 1 Apr 2026, 12:00:00 UTC; for 3 payments; expires after 90 days; "
        "instead of later rules of the group “plans”.",
    ),
]
EVENTS = (
    QualifyingEvent(event_id="lead", kind="signup"),
    QualifyingEvent(
        event_id="big", name="Big sale", kind="first_purchase", min_net={"usd": 10_000}, countries=("DE", "AT")
    ),
)
NAMES = {"prod_1": "Pro", "ptc_1": "Sample partner"}


@pytest.mark.parametrize(("rule", "sentence"), RULES)
def test_a_rule_in_words(rule: RewardRule, sentence: str) -> None:
    assert sentences_of(Terms(rules=(rule,), events=EVENTS), NAMES)[0] == sentence


def test_terms_in_words() -> None:
    assert sentences_of(Terms()) == [
        "20 % of every payment.",
        "A customer’s payments earn for 12 months from the first one.",
        "Each reward is held for 30 days, so that refunds can come first.",
        "The first payment must come within 60 days of the referral.",
        "What counts is the money really paid, after discounts, without tax and shipping.",
    ]
    terms = Terms(
        rules=(RewardRule(rule_id="r", event="big", rate_bps=2_000),),
        events=EVENTS,
        duration=Duration(unit="payments", count=3),
        hold_days=0,
        attribution_window_days=1,
        signup_window_days=30,
        customers="any",
        products=("prod_1", "price_b"),
        includes_tax=True,
        includes_shipping=True,
        restart="new_cycle",
        caps=(Cap(on="participant", period="month", amounts={"usd": 100_000}, rules=("r",)),),
        currency=CurrencyTerms(base="usd", conversion="daily", pays_in="base"),
        fraud=(FraudRule(check="velocity", action="hold", limit=20),),
        approval="manual",
        existing_referrals="keep",
        ends_at=MARCH,
    )
    assert sentences_of(terms, NAMES)[1:] == [
        "“Big sale”: the first payment; only customers in DE or AT; at least 100.00 USD.",
        "A customer’s first 3 payments earn.",
        "Rewards are payable at once.",
        "The first payment must come within 1 day of the referral.",
        "After a sign-up, it must come within 30 days of it.",
        "Customers who had paid before the referral count too.",
        "What counts is the money really paid, after discounts, with tax and shipping.",
        "Only these count: Pro and price_b.",
        "A new subscription of the same customer starts earning anew.",
        "Currencies: converted into USD at the rate of the day, rewards paid in USD.",
        "Every reward waits for approval.",
        "Old referrals keep the terms they had.",
        "The program ends on 1 Mar 2026.",
        "At most 1000.00 USD for each participant in a calendar month, from “r”.",
        "If very many referrals come at once (more than 20 in 24 hours), the reward waits for approval.",
    ]


PRO = RewardRule(rule_id="pro", name="Pro plan", rate_bps=2_000)
LEAD = RewardRule(rule_id="lead", kind="fixed", amounts={"usd": 500}, on="first")
CHANGES: list[tuple[Terms, Terms, list[str]]] = [
    (Terms(), Terms(), []),
    (
        Terms(rules=(PRO,)),
        Terms(rules=(msgspec.structs.replace(PRO, rate_bps=2_500),)),
        ["Rule “Pro plan”: 20 % becomes 25 %."],
    ),
    (
        Terms(rules=(PRO,)),
        Terms(rules=(msgspec.structs.replace(PRO, name="Pro", hold_days=14, products=("prod_1",)),)),
        [
            "Rule “Pro plan”: its name “Pro plan” becomes “Pro”.",
            "Rule “Pro plan”: now only for Pro.",
            "Rule “Pro plan”: now held 14 days.",
        ],
    ),
    (
        Terms(rules=(msgspec.structs.replace(PRO, condition="sale.is_first"),)),
        Terms(rules=(PRO,)),
        ["Rule “Pro plan”: no longer only if it is the customer's first payment."],
    ),
    (Terms(rules=(PRO, LEAD)), Terms(rules=(LEAD, PRO)), ["The order of the rules becomes: lead, pro."]),
    (
        Terms(rules=(PRO,)),
        Terms(rules=(LEAD,)),
        [
            "New rule “lead”: 5.00 USD for the first payment.",
            "No longer: rule “Pro plan”: 20 % of every payment.",
        ],
    ),
    (
        Terms(events=EVENTS),
        Terms(events=(QualifyingEvent(event_id="big", name="Big sale", kind="renewal", countries=("DE", "AT")),)),
        [
            "Event “Big sale”: the first payment becomes every renewal of a subscription.",
            "Event “Big sale”: no longer at least 100.00 USD.",
            "No longer: event “lead”: a sign-up.",
        ],
    ),
    (
        Terms(),
        Terms(
            hold_days=14, duration=Duration(unit="payments", count=6), caps=(Cap(on="reward", amounts={"usd": 5_000}),)
        ),
        [
            "Customers earn: for 12 months from the first payment becomes for 6 payments.",
            "Rewards: held 30 days becomes held 14 days.",
            "New: At most 50.00 USD for one reward.",
        ],
    ),
    (
        Terms(fraud=(FraudRule(check="self_ip", action="hold"),)),
        Terms(fraud=(FraudRule(check="self_ip", action="deny"),)),
        [
            "New: If participant and customer have the same IP address, nothing is earned.",
            "No longer: If participant and customer have the same IP address, the reward waits for approval.",
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "sentences"), CHANGES)
def test_what_changes_is_said(old: Terms, new: Terms, sentences: list[str]) -> None:
    assert differences(old, new, NAMES) == sentences


# A value for each field that differs from the default; a new field of terms must get one here.
OTHER: dict[type[msgspec.Struct], dict[str, Any]] = {
    Terms: {
        "rules": (PRO,), "events": EVENTS, "duration": Duration(unit="forever"), "hold_days": 1,
        "attribution_window_days": 1, "signup_window_days": 1, "customers": "any", "products": ("prod_1",),
        "excluded_products": ("prod_1",), "excluded_coupons": ("c",), "excluded_email_domains": ("example.com",),
        "includes_tax": True, "includes_shipping": True, "counts_out_of_band": False, "counts_bare_charges": True,
        "restart": "new_cycle", "caps": (Cap(on="reward", amounts={"usd": 1}),),
        "currency": CurrencyTerms(display="eur"), "fraud": (FraudRule("self_ip", "off"),), "approval": "manual",
        "existing_referrals": "keep", "starts_at": MARCH, "ends_at": MARCH,
    },
    RewardRule: {
        "rule_id": "other", "name": "Other", "event": "big", "on": "first", "group": "g", "to": "referee",
        "reward": "credit", "benefit": Benefit(feature="f"), "rate_bps": 1,
        "amounts": {"usd": 1}, "fixed_per": "unit", "products": ("prod_1",), "excluded_products": ("prod_1",),
        "bands": (Band(rate_bps=1),), "tiers": Tiers(by="plan", steps=(TierStep(plan="prod_1"),)),
        "overrides": (Override(groups=("g",)),), "condition": "sale.is_first", "campaign": "c", "starts_at": MARCH,
        "ends_at": MARCH, "duration": Duration(), "hold_days": 3, "expires_days": 99, "approval": "manual",
    },
    QualifyingEvent: {
        "event_id": "other", "name": "Other", "kind": "renewal", "products": ("prod_1",),
        "excluded_products": ("prod_1",), "excluded_coupons": ("c",), "excluded_email_domains": ("example.com",),
        "countries": ("DE",), "currencies": ("eur",), "min_net": {"usd": 1}, "min_payments": 2, "customers": "any",
        "attribution_window_days": 1, "signup_window_days": 1, "prorations": "exclude", "condition": "sale.is_first",
        "verification": "manual", "custom": CustomEvent(stripe_types=("a.b",)),
    },
    CustomEvent: {
        "stripe_types": ("a.b", "c.d"), "criteria": "true", "amount_path": "data.x", "currency_path": "data.y",
        "customer_path": "data.z", "per_customer": "many",
    },
    Tiers: {
        "by": "revenue", "steps": (TierStep(at_least=7),), "period": "year", "applies": "retroactive",
    },
    CurrencyTerms: {"base": "gbp", "display": "eur", "conversion": "daily", "pays_in": "base"},
    Cap: {"on": "program", "amounts": {"usd": 9}, "period": "quarter", "rules": ("r",)},
    FraudRule: {"check": "refund_rate", "action": "off", "limit": 9},
    Override: {"participants": ("ptc_2",), "groups": ("x",), "rate_bps": 1, "amounts": {"usd": 1}},
    Benefit: {"percent_off_bps": 1, "amount_off": {"usd": 9}, "duration": "forever", "feature": "f"},
}  # fmt: skip
# Fields that say nothing without another one.
NOT_ALONE = {"split", "kind", "duration_in_months", "table", "currency"}
SAMPLES: dict[type[msgspec.Struct], tuple[msgspec.Struct, Any]] = {
    Terms: (Terms(), lambda x: x),
    RewardRule: (PRO, lambda x: Terms(rules=(x,))),
    QualifyingEvent: (EVENTS[1], lambda x: Terms(events=(x,))),
    CustomEvent: (
        CustomEvent(stripe_types=("a.b",)),
        lambda x: Terms(events=(QualifyingEvent(event_id="e", kind="custom", custom=x),)),
    ),
    Tiers: (Tiers(by="referrals", steps=(TierStep(),)), lambda x: Terms(rules=(RewardRule(rule_id="r", tiers=x),))),
    CurrencyTerms: (CurrencyTerms(base="usd"), lambda x: Terms(currency=x)),
    Cap: (Cap(on="customer", amounts={"usd": 1}), lambda x: Terms(caps=(x,))),
    FraudRule: (FraudRule(check="velocity", action="flag"), lambda x: Terms(fraud=(x,))),
    Override: (Override(groups=("g",)), lambda x: Terms(rules=(RewardRule(rule_id="r", overrides=(x,)),))),
    Benefit: (
        Benefit(amount_off={"usd": 1}),
        lambda x: Terms(rules=(RewardRule(rule_id="r", reward="discount", benefit=x),)),
    ),
}


@pytest.mark.parametrize("struct", SAMPLES)
def test_a_change_of_any_field_is_said(struct: type[msgspec.Struct]) -> None:
    sample, whole = SAMPLES[struct]
    names = {field.name for field in msgspec.structs.fields(struct)}
    assert OTHER[struct].keys() >= names - NOT_ALONE, "give the new field a value that differs"
    for name in names - (NOT_ALONE if struct is not QualifyingEvent else set()):
        changed = msgspec.structs.replace(sample, **{name: OTHER[struct][name]})
        said = differences(whole(sample), whole(changed)), differences(whole(changed), whole(sample))
        assert all(said), name
        assert "Written in another way" not in str(said), name


def test_the_same_terms_written_in_another_way() -> None:
    """A count that `for ever` ignores changes nothing, and says so."""
    old, new = (Terms(duration=Duration(unit="forever", count=count)) for count in (1, 2))
    assert differences(old, new) == ["Written in another way; what it means stays."]


def test_a_participant_reads_their_own_terms() -> None:
    rule = RewardRule(
        rule_id="r",
        rate_bps=2_000,
        overrides=(
            Override(groups=("gold",), rate_bps=3_000),
            Override(groups=("silver", "gold"), rate_bps=2_500),
            Override(participants=("ptc_1",), rate_bps=4_000, amounts={"usd": 100}),
        ),
    )
    terms = Terms(rules=(rule,), fraud=(FraudRule(check="self_ip", action="deny"),))
    first = {
        whom: sentences_of(terms_for(terms, *whom))[0]
        for whom in (("ptc_1", ("gold",)), ("ptc_2", ("gold",)), ("ptc_2", ("silver",)), ("ptc_2", ()))
    }
    assert first == {
        ("ptc_1", ("gold",)): "40 % plus 1.00 USD for every payment.",
        ("ptc_2", ("gold",)): "30 % of every payment.",
        ("ptc_2", ("silver",)): "25 % of every payment.",
        ("ptc_2", ()): "20 % of every payment.",
    }
    assert not any("IP address" in sentence for sentence in sentences_of(terms_for(terms, "ptc_2")))
