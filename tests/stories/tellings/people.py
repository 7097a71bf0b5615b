"""What people decide: approval of rewards, and what checks against fraud found (scenario 43 and beyond)."""

from __future__ import annotations

from typing import Any, Literal

from refref.core.terms import FraudCheck, FraudRule, QualifyingEvent, RewardRule, Tiers, TierStep
from stories.deciding import decide, decide_conversion, decide_referral, withdraw
from stories.story import Story, gone, held, payable, pending, story
from stories.tellings.rules import refer

Action = Literal["deny", "hold", "flag", "off"]


def check(name: FraudCheck, action: Action, limit: int = 0) -> dict[str, Any]:
    """Terms in which one check does something."""
    return {"fraud": (FraudRule(check=name, action=action, limit=limit),)}


@story("43-approval")
def rewards_wait_for_a_person(s: Story) -> None:
    s.program(approval="manual")
    s.affiliate("ana")
    customer = s.customer("ana")
    for _ in range(3):
        s.paid_invoice(customer, [10_000])
        s.wait(days=1)
    s.expect(ana=[held(2_000)] * 3)
    decide(s, "ana", "approved", 0, 1)
    decide(s, "ana", "rejected", 2)
    s.expect(ana=[pending(2_000), pending(2_000), gone(2_000)])
    decide(s, "ana", "rejected", 1)
    withdraw(s)
    s.expect(ana=[pending(2_000), held(2_000), gone(2_000)])
    s.wait(days=31)
    s.end(ana=[payable(2_000), held(2_000), gone(2_000)], refused=[])


@story("43-approval-of-one-rule")
def one_rule_waits_and_the_other_does_not(s: Story) -> None:
    rules = (
        RewardRule(rule_id="a", rate_bps=1_000, approval="manual"),
        RewardRule(rule_id="b", rate_bps=500),
    )
    s.program(rules=rules)
    s.affiliate("ana")
    s.paid_invoice(s.customer("ana"), [10_000])
    s.expect(ana=[pending(500), held(1_000)])
    decide(s, "ana", "rejected", 1)
    s.end(ana=[pending(500), gone(1_000)], refused=[])


@story("43-approval-survives-the-invoice")
def verdict_stays_with_the_sale_when_its_key_changes(s: Story) -> None:
    s.program(approval="manual")
    s.affiliate("ana")
    s.buy(s.price(6_000), "ana", invoice_creation={"enabled": True})
    if not s.mode.is_late:  # the session and the payment come first, and a person is quick
        s.deliver("checkout.session.completed", "payment_intent.succeeded", "charge.succeeded")
        s.glance(ana=[held(1_200)])
        decide(s, "ana", "rejected", is_impatient=True)
        decide(s, "ana", "approved", is_impatient=True)
        s.glance(ana=[pending(1_200)])
        s.deliver()
        keys = [row[0] for row in s.world.fetch(s.merchant, "select payment_key from reward")]
        assert [key[:3] for key in keys] == ["in_"]
        s.glance(ana=[pending(1_200)])
    decide(s, "ana", "rejected")
    s.expect(ana=[gone(1_200)])
    decide(s, "ana", "approved")
    s.end(ana=[pending(1_200)], refused=[])


@story("43-approval-without-money")
def what_is_no_payment_waits_too(s: Story) -> None:
    events = (
        QualifyingEvent(event_id="signup", kind="signup", verification="manual"),
        QualifyingEvent(event_id="trial", kind="trial_started", verification="manual"),
    )
    rules = (
        RewardRule(rule_id="signup", event="signup", kind="fixed", amounts={"usd": 300}),
        RewardRule(rule_id="trial", event="trial", kind="fixed", amounts={"usd": 700}),
    )
    s.program(events=events, rules=rules)
    s.affiliate("ana")
    customer = s.customer("ana")
    s.sb.advance_by(hours=1)
    s.buy(s.price(5_000, every="month"), customer=customer, subscription_data={"trial_period_days": 14})
    s.expect(ana=[held(300), held(700)])
    decide(s, "ana", "approved", 0)
    decide(s, "ana", "rejected", 1)
    s.end(ana=[pending(300), gone(700)])


@story("43-approval-and-tiers")
def rejected_reward_still_counts_as_a_referral(s: Story) -> None:
    steps = (TierStep(at_least=1, rate_bps=1_000), TierStep(at_least=2, rate_bps=2_000))
    tiers = Tiers(by="referrals", period="ever", steps=steps)
    s.program(rules=(RewardRule(rule_id="t", rate_bps=1_000, tiers=tiers),), approval="manual")
    s.affiliate("ana")
    refer(s, "ana", 2)
    decide(s, "ana", "rejected", 0)
    decide(s, "ana", "approved", 1)
    s.end(ana=[gone(1_000), pending(2_000)], refused=[])


@story("43-hold")
def company_address_is_held_until_a_person_decides(s: Story) -> None:
    s.program(**check("self_domain", "hold"))
    s.affiliate("ana", email="ana@sample-company.example")
    s.buy(s.price(5_000), "ana", email="bob@sample-company.example", customer_creation="always")
    s.sb.advance_by(hours=1)
    s.buy(s.price(5_000), "ana", email="someone@customers.example", customer_creation="always")
    s.expect(ana=[held(1_000), pending(1_000)])
    s.expect_referrals(ana=1, ana_flagged=1)
    s.wait(days=40)
    decide(s, "ana", "approved")
    s.end(ana=[payable(1_000), payable(1_000)], refused=[])


@story("43-hold-rejected")
def held_referral_is_rejected_for_good(s: Story) -> None:
    s.program(**check("self_domain", "hold"))
    s.affiliate("ana", email="ana@sample-company.example")
    customer = s.customer("ana", email="bob@sample-company.example")
    s.paid_invoice(customer, [5_000])
    decide_referral(s, "rejected")
    s.wait(days=3)
    s.paid_invoice(customer, [5_000])
    s.end(ana=[gone(1_000), gone(1_000)], refused=[])


@story("43-overridden")
def person_approves_what_looks_like_a_self_referral(s: Story) -> None:
    s.affiliate("ana", email="ana@partners.example")
    customer = s.customer("ana", email="ana@partners.example")
    s.paid_invoice(customer, [5_000])
    s.expect(ana=[], refused=["self_referral"])
    decide_referral(s, "approved")
    s.paid_invoice(customer, [7_000])
    s.expect_referrals(ana=0, ana_flagged=1)
    s.expect(ana=[pending(1_000), pending(1_400)], refused=[])
    withdraw(s)
    s.end(ana=[], refused=["self_referral", "self_referral"])


@story("43-one-overridden")
def person_approves_one_payment_of_a_self_referral(s: Story) -> None:
    s.affiliate("ana", email="ana@partners.example")
    customer = s.customer("ana", email="ana@partners.example")
    first = s.paid_invoice(customer, [5_000])
    s.wait(days=1)
    s.paid_invoice(customer, [7_000])
    decide_conversion(s, "main", first["id"], "approved")
    s.end(ana=[pending(1_000)], refused=["self_referral"])


@story("43-disposable")
def throw_away_address_is_flagged_and_earns(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(5_000), "ana", email="x@mailinator.com")
    s.buy(s.price(5_000), "ana", email="x@sub.guerrillamail.com")
    s.expect_referrals(ana=0, ana_flagged=2)
    s.end(ana=[pending(1_000), pending(1_000)], refused=[])


@story("43-disposable-denied")
def throw_away_address_earns_nothing_where_the_terms_say_so(s: Story) -> None:
    s.program(**check("disposable_email", "deny"))
    s.affiliate("ana")
    s.buy(s.price(5_000), "ana", email="x@mailinator.com")
    s.end(ana=[], refused=["fraud_denied"])


@story("43-network")
def customer_comes_from_the_participants_network(s: Story) -> None:
    s.program(**check("self_ip", "hold"))
    s.affiliate("ana", ip="203.0.113.7")
    s.affiliate("bea", ip="2001:db8:1:2::aa")
    same, other, house = (s.customer(email=f"{name}@customers.example") for name in ("same", "other", "house"))
    s.tell(same, "ana", ip="::ffff:203.0.113.7")
    s.tell(other, "ana", ip="203.0.113.8")
    s.tell(house, "bea", ip="2001:db8:1:2::bb")  # another device of one household
    for customer in (same, other, house):
        s.paid_invoice(customer, [5_000])
        s.sb.advance_by(hours=1)
    s.expect_referrals(ana=1, ana_flagged=1, bea_flagged=1)
    s.end(ana=[held(1_000), pending(1_000)], bea=[held(1_000)], refused=[])


@story("43-velocity")
def many_referrals_in_a_day_are_held_from_the_limit_on(s: Story) -> None:
    s.program(**check("velocity", "hold", 3))
    s.affiliate("ana")
    refer(s, "ana", 4)  # within four hours
    s.wait(days=2)
    refer(s, "ana", 1)
    s.expect(ana=[pending(2_000)] * 3 + [held(2_000), pending(2_000)])
    decide(s, "ana", "approved", 3)
    s.end(ana=[pending(2_000)] * 5, refused=[])


@story("43-velocity-denied")
def verdict_on_a_referral_holds_for_its_later_payments(s: Story) -> None:
    s.program(**check("velocity", "deny", 1))
    s.affiliate("ana")
    first, second = (s.customer("ana", email=f"{name}@customers.example") for name in ("first", "second"))
    for customer in (first, second):
        s.paid_invoice(customer, [5_000])
        s.sb.advance_by(hours=1)
    s.wait(days=5)
    s.paid_invoice(second, [7_000])
    s.expect(ana=[pending(1_000)], refused=["fraud_denied", "fraud_denied"])
    decide_referral(s, "approved", second)
    s.end(ana=[pending(1_000), pending(1_000), pending(1_400)], refused=[])


@story("43-refund-rate")
def participant_whose_customers_get_their_money_back(s: Story) -> None:
    s.program(**check("refund_rate", "deny", 30))
    s.affiliate("ana")
    sessions = refer(s, "ana", 10)
    for session in sessions[:4]:
        s.sb.refund(session)
    s.sb.advance_by(hours=1)
    refer(s, "ana", 1)
    rewards = [gone(2_000)] * 4 + [pending(2_000)] * 6
    s.end(ana=rewards, refused=["fraud_denied"])


@story("43-coupon-site")
def codes_without_clicks_are_flagged_and_earn(s: Story) -> None:
    s.program(**check("coupon_site", "flag"))
    s.affiliate("ana")
    code = s.code("ana")
    price = s.price(10_000)
    for number in range(6):
        s.buy(price, email=f"c{number}@customers.example", promotion_code=code)
        s.wait(hours=1)
    s.catch_up()
    flags = s.world.fetch(s.merchant, "select flags from decision order by occurred_at")
    assert [list(row[0]) for row in flags] == [[]] * 5 + [["coupon_site"]]
    s.end(ana=[pending(1_800)] * 6, refused=[])
