"""What happens to subscriptions besides payments, and what conditions look at: trials, changes, coupons, metadata,
intervals (further instances of scenarios 7 to 12)."""

from __future__ import annotations

from typing import Any

from refref.core.terms import QualifyingEvent, RewardRule
from stories.story import Story, pending, story


def _fixed(rule_id: str, amount: int, **more: Any) -> RewardRule:
    return RewardRule(rule_id=rule_id, kind="fixed", amounts={"usd": amount}, **more)


@story("07-started-and-converted")
def a_trial_that_starts_and_one_that_is_paid(s: Story) -> None:
    events = (QualifyingEvent("trial", kind="trial_started"), QualifyingEvent("paid", kind="trial_converted"))
    s.program(events=events, rules=(_fixed("trial", 200, event="trial"), _fixed("paid", 900, event="paid")))
    s.affiliate("ana")
    plan = s.price(3_000, every="month")
    s.buy(plan, "ana", email="trial@customers.example", subscription_data={"trial_period_days": 14})
    s.wait(days=1)
    s.buy(plan, "ana", email="at-once@customers.example")
    s.wait(days=20)
    s.end(ana=[pending(200), pending(900)])


@story("11-12-changes")
def a_cheaper_plan_and_another_quantity(s: Story) -> None:
    events = (QualifyingEvent("less", kind="downgrade"), QualifyingEvent("seats", kind="quantity_change"))
    s.program(events=events, rules=(_fixed("less", 100, event="less"), _fixed("seats", 300, event="seats")))
    s.affiliate("ana")
    monthly, small, yearly = s.price(3_000, every="month"), s.price(1_000, every="month"), s.price(9_000, every="year")
    subscription = s.sb.get(s.buy(monthly, "ana"))["subscription"]
    s.wait(days=2)
    s.sb.change_subscription(subscription, quantity=4)
    s.wait(days=2)
    s.sb.change_subscription(subscription, price=small, quantity=4, proration_behavior="none")
    s.wait(days=2)
    s.sb.change_subscription(subscription, price=yearly, quantity=4)  # 30.00 a month instead of 40.00
    s.wait(days=2)
    s.sb.change_subscription(subscription, price=monthly, quantity=4)  # dearer: no downgrade
    s.end(ana=[pending(300), pending(100), pending(100)])


@story("09-excluded-coupon", has_api=True)
def sales_with_an_excluded_coupon_do_not_count(s: Story) -> None:
    excluded = s.sb.create_coupon(percent_off=50, duration="once", id="STAFF")["id"]
    other = s.sb.create_coupon(percent_off=10, duration="once", id="SPRING")["id"]
    s.program(excluded_coupons=(excluded,), hold_days=365)
    s.affiliate("ana")
    customer = s.customer("ana")
    for coupon in (None, excluded, other):
        s.paid_invoice(customer, [10_000], coupon=coupon)
        s.wait(days=1)
    code = str(s.sb.create_promotion_code(excluded, "STAFF-1")["id"])
    s.buy(s.price(10_000), "ana", promotion_code=code, email="staff@customers.example")
    s.wait(days=1)
    s.end(ana=[pending(2_000), pending(1_800)], refused=["excluded_coupon", "excluded_coupon"])


@story("56-coupon-unasked", has_api=True)
def the_coupon_behind_a_code_is_not_asked_for_where_no_terms_name_coupons(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(10_000), promotion_code=s.code("ana"))
    s.wait(days=1)
    s.end(ana=[pending(1_800)], refused=[])
    asked = {row[0] for row in s.world.fetch(s.merchant, "select need_kind from stripe_document")}
    assert "session_coupons" not in asked


@story("09-conditions")
def metadata_and_interval_in_conditions(s: Story) -> None:
    rules = (
        _fixed("yearly", 5_000, group="g", condition='sale.billing_interval == "year"'),
        _fixed("gold", 2_000, group="g", condition='customer.metadata.tier == "gold"'),
        _fixed("team", 1_000, group="g", condition='sale.metadata.team == "sample"'),
        _fixed("rest", 100, group="g"),
    )
    s.program(rules=rules, hold_days=365)
    s.affiliate("ana")
    plans = s.price(3_000, every="month"), s.price(30_000, every="year")
    refcode = {"refref_referral_id": "ana"}
    for tier, plan, team in (("plain", 1, ""), ("gold", 0, ""), ("plain", 0, "sample"), ("plain", 0, "")):
        email = f"{tier}{plan}{team}@customers.example"
        customer = s.sb.create_customer(email=email, metadata={"tier": tier, **refcode})["id"]
        s.wait(hours=1)
        s.sb.subscribe(customer, price=plans[plan], metadata={"team": team} if team else {})
        s.wait(hours=1)
    s.end(ana=[pending(5_000), pending(2_000), pending(1_000), pending(100)], refused=[])
