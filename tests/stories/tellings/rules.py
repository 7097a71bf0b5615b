"""Rules with conditions, bands, tiers, caps and splits (scenarios 75 to 82, 84, 85, 88, 89)."""

from __future__ import annotations

from typing import Any

from refref.core.terms import (
    Band,
    Benefit,
    Cap,
    Duration,
    QualifyingEvent,
    RewardRule,
    Share,
    Tiers,
    TierStep,
)
from stories.story import Reward, Story, back, gone, payable, pending, story


def fixed(rule_id: str, amount: int, **more: Any) -> RewardRule:
    """A fixed reward in USD."""
    return RewardRule(rule_id=rule_id, kind="fixed", amounts={"usd": amount}, **more)


@story("75")
def bands_by_months_subscribed(s: Story) -> None:
    bands = (Band(up_to_months=0, amounts={"usd": 9_000}), Band(up_to_months=3, amounts={"usd": 2_000}))
    s.program(rules=(fixed("base", 1_000, bands=bands),), hold_days=365)
    s.affiliate("ana")
    s.buy(s.price(10_000, every="month"), "ana")
    s.wait(months=5)
    s.end(ana=[pending(amount) for amount in (9_000, 2_000, 2_000, 2_000, 1_000, 1_000)], refused=[])


@story("76")
def each_line_by_the_rule_of_its_product(s: Story) -> None:
    premium, other = s.price(10_000, product="Premium"), s.price(10_000, product="Other")
    rules = (
        fixed("premium", 3_000, group="by product", products=(s.product_of(premium),)),
        fixed("base", 1_000, group="by product"),
    )
    s.program(rules=rules)
    s.affiliate("ana")
    customer = s.customer("ana")
    s.paid_invoice(customer, [premium])
    s.wait(days=1)
    s.paid_invoice(customer, [other])
    s.wait(days=1)
    s.paid_invoice(customer, [premium, other])
    s.end(ana=[pending(3_000), pending(1_000), pending(1_000), pending(3_000)], refused=[])


@story("76-percent")
def percentages_of_mixed_invoices_are_of_their_lines(s: Story) -> None:
    premium, other = s.price(10_000, product="Premium"), s.price(5_000, product="Other")
    rules = (
        RewardRule(rule_id="premium", group="g", products=(s.product_of(premium),), rate_bps=3_000),
        RewardRule(rule_id="base", group="g", rate_bps=1_000),
        RewardRule(rule_id="bonus", rate_bps=100),
    )
    s.program(rules=rules)
    s.affiliate("ana")
    s.paid_invoice(s.customer("ana"), [premium, other])
    s.end(ana=[pending(150), pending(500), pending(3_000)], refused=[])


@story("77")
def a_sale_above_an_amount_gives_more(s: Story) -> None:
    rules = (
        fixed("large", 5_000, group="size", condition="sale.amount_minor > 15000"),
        fixed("base", 1_000, group="size"),
    )
    s.program(rules=rules)
    s.affiliate("ana")
    customer = s.customer("ana")
    for amount in (15_000, 15_001, 14_999):
        s.paid_invoice(customer, [amount])
        s.wait(days=1)
    s.end(ana=[pending(1_000), pending(5_000), pending(1_000)], refused=[])


@story("78")
def countries_of_customer_and_participant(s: Story) -> None:
    rules = (
        fixed("both", 4_000, group="where", condition='customer.country == "DE" && participant.country == "AT"'),
        fixed("customer", 2_000, group="where", condition='customer.country == "DE"'),
        fixed("base", 1_000, group="where"),
    )
    s.program(rules=rules)
    s.affiliate("ana")
    s.affiliate("bea")
    s.profile("bea", country="AT")
    for refcode, country in (("ana", "DE"), ("ana", "FR"), ("bea", "DE"), ("bea", "FR")):
        email = f"{refcode}-{country}@customers.example".lower()
        s.paid_invoice(s.customer(refcode, country=country, email=email), [10_000])
        s.wait(days=1)
    s.end(ana=[pending(2_000), pending(1_000)], bea=[pending(4_000), pending(1_000)], refused=[])


def by_referrals(**more: Any) -> RewardRule:
    """Scenario 79's tiers, small enough for a story: 1-2 give 10 %, 3-4 give 15 %, 5 and more 20 %."""
    steps = (
        TierStep(at_least=1, rate_bps=1_000),
        TierStep(at_least=3, rate_bps=1_500),
        TierStep(at_least=5, rate_bps=2_000),
    )
    return RewardRule(
        rule_id="tiered", rate_bps=1_000, tiers=Tiers(by="referrals", period="month", steps=steps, **more)
    )


def refer(s: Story, refcode: str, count: int, amount: int = 10_000) -> list[str]:
    """New customers, an hour apart, each with a first purchase."""
    price = s.price(amount)
    sessions = []
    for number in range(count):
        sessions.append(s.buy(price, refcode, email=f"{refcode}{number}-{s.sb.now}@customers.example"))
        s.wait(hours=1)
    return sessions


@story("79")
def tiers_by_referrals_in_the_month(s: Story) -> None:
    s.program(rules=(by_referrals(),))
    s.affiliate("ana")
    s.affiliate("bea")
    refer(s, "ana", 6)
    refer(s, "bea", 1)
    s.wait(days=20)  # into February: the count begins anew
    refer(s, "ana", 2)
    amounts = [1_000, 1_000, 1_500, 1_500, 2_000, 2_000, 1_000, 1_000]
    s.end(ana=[pending(amount) for amount in amounts], bea=[pending(1_000)], refused=[])


@story("79-full-size")
def the_twenty_first_referral_earns_the_third_tier(s: Story) -> None:
    steps = (
        TierStep(at_least=1, rate_bps=1_000),
        TierStep(at_least=6, rate_bps=1_500),
        TierStep(at_least=21, rate_bps=2_000),
    )
    s.program(
        rules=(RewardRule(rule_id="t", rate_bps=1_000, tiers=Tiers(by="referrals", period="month", steps=steps)),)
    )
    s.affiliate("ana")
    refer(s, "ana", 22)
    s.end(ana=[pending(1_000)] * 5 + [pending(1_500)] * 15 + [pending(2_000)] * 2, refused=[])


@story("79-undone")
def a_refund_that_undoes_a_referral_moves_later_ones_back(s: Story) -> None:
    s.program(rules=(by_referrals(),))
    s.affiliate("ana")
    sessions = refer(s, "ana", 4)
    s.expect(ana=[pending(1_000), pending(1_000), pending(1_500), pending(1_500)])
    s.sb.refund(sessions[0])
    s.end(ana=[gone(1_000), pending(1_000), pending(1_000), pending(1_500)], refused=[])


@story("79-retroactive")
def retroactive_tiers_lift_the_whole_month(s: Story) -> None:
    s.program(rules=(by_referrals(applies="retroactive"),))
    s.affiliate("ana")
    sessions = refer(s, "ana", 3)
    s.expect(ana=[pending(1_500)] * 3)
    s.sb.refund(sessions[1])
    s.end(ana=[pending(1_000), gone(1_000), pending(1_000)], refused=[])


@story("79-revenue")
def tiers_by_revenue(s: Story) -> None:
    steps = (TierStep(at_least=0, rate_bps=1_000), TierStep(at_least=25_000, rate_bps=2_000))
    tiers = Tiers(by="revenue", period="ever", currency="usd", steps=steps)
    s.program(rules=(RewardRule(rule_id="t", rate_bps=1_000, tiers=tiers),))
    s.affiliate("ana")
    sessions = refer(s, "ana", 3)
    s.sb.refund(sessions[0], amount=5_001)
    s.end(ana=[back(1_000, 500), pending(1_000), pending(1_000)], refused=[])


@story("80")
def tiers_by_plan(s: Story) -> None:
    starter, pro, scale = (s.price(amount, every="month", product=name) for name, amount in PLANS)
    steps = tuple(
        TierStep(plan=s.product_of(price), rate_bps=rate)
        for price, rate in ((starter, 1_000), (pro, 2_000), (scale, 2_500))
    )
    s.program(rules=(RewardRule(rule_id="plan", rate_bps=100, tiers=Tiers(by="plan", steps=steps)),), hold_days=365)
    s.affiliate("ana")
    subscription = s.sb.get(s.buy(starter, "ana"))["subscription"]
    s.wait(months=1)
    s.sb.change_subscription(subscription, price=pro, proration_behavior="always_invoice")  # at once: the whole month
    s.wait(months=1)
    s.sb.change_subscription(subscription, price=starter, proration_behavior="none")  # from the next invoice on
    s.wait(months=1)
    # 10 % of 30.00, of 30.00; 20 % of what the upgrade came to (70.00); 20 % of 100.00; 10 % of 30.00.
    s.end(ana=[pending(300), pending(300), pending(1_400), pending(2_000), pending(300)], refused=[])


PLANS = (("Starter", 3_000), ("Pro", 10_000), ("Scale", 40_000))


@story("81")
def a_high_first_reward_then_eleven_renewals(s: Story) -> None:
    first = QualifyingEvent(event_id="first", kind="first_purchase")
    renewal = QualifyingEvent(event_id="renewal", kind="renewal")
    rules = (
        RewardRule(rule_id="initial", event="first", rate_bps=3_000),
        RewardRule(rule_id="renewals", event="renewal", rate_bps=1_000, duration=Duration("payments", 11)),
    )
    s.program(rules=rules, events=(first, renewal), duration=Duration("forever"), hold_days=365)
    s.affiliate("ana")
    subscription = s.sb.get(s.buy(s.price(10_000, every="month"), "ana"))["subscription"]
    s.wait(months=2)
    s.sb.change_card(subscription, "declined")
    s.wait(months=1)  # this one is missed, and paid later
    s.sb.change_card(subscription, "visa")
    missed = [i for i in s.sb.all("invoice") if i["status"] == "open"]
    assert len(missed) == 1
    s.sb.pay_invoice(missed[0]["id"], card="visa")
    s.wait(months=10)
    rewards = [payable(3_000), payable(1_000)] + [pending(1_000)] * 10
    s.end(ana=rewards, refused=["duration_over", "duration_over"])


@story("82")
def the_reward_that_crosses_a_cap_is_cut_to_it(s: Story) -> None:
    caps = (
        Cap(on="customer", amounts={"usd": 50_000}),
        Cap(on="participant", amounts={"usd": 200_000}, period="month"),
    )
    s.program(rules=(RewardRule(rule_id="half", rate_bps=5_000),), caps=caps)
    s.affiliate("ana")
    for number in range(5):
        customer = s.customer("ana", email=f"c{number}@customers.example")
        s.paid_invoice(customer, [60_000])  # 300.00
        s.wait(hours=1)
        s.paid_invoice(customer, [60_000])  # 300.00 crosses 500.00 of this customer: 200.00
        s.wait(hours=1)
    # 5 customers x 500.00 = 2,500.00, but 2,000.00 a month: the fifth customer earns nothing.
    s.end(ana=[pending(30_000), pending(20_000)] * 4, refused=["cap_reached", "cap_reached"])


@story("82-refund")
def a_refund_frees_room_under_a_cap(s: Story) -> None:
    s.program(rules=(RewardRule(rule_id="half", rate_bps=5_000),), caps=(Cap(on="program", amounts={"usd": 10_000}),))
    s.affiliate("ana")
    s.affiliate("bea")
    first = refer(s, "ana", 1, 16_000)[0]
    refer(s, "bea", 1, 16_000)
    refer(s, "ana", 1, 16_000)
    s.expect(ana=[pending(8_000)], bea=[pending(2_000)])
    s.sb.refund(first)
    s.end(ana=[gone(8_000), pending(2_000)], bea=[pending(8_000)], refused=[])


@story("84")
def both_sides_once_per_referral(s: Story) -> None:
    first = QualifyingEvent(event_id="first", kind="first_purchase")
    rules = (
        fixed("referrer", 1_000, event="first", reward="credit"),
        RewardRule(
            rule_id="referee", event="first", to="referee", reward="discount", benefit=Benefit(percent_off_bps=2_000)
        ),
    )
    s.program(rules=rules, events=(first,))
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.names["buyer"] = s.sb.get(session)["customer"]
    s.wait(months=2)
    s.end(ana=[Reward(1_000, status="payable")], buyer=[Reward(0, status="payable")])


@story("84-refunded")
def neither_side_gets_anything_for_what_is_refunded(s: Story) -> None:
    first = QualifyingEvent(event_id="first", kind="first_purchase")
    rules = (
        fixed("referrer", 1_000, event="first", reward="credit"),
        fixed("referee", 500, event="first", to="referee", reward="credit"),
    )
    s.program(rules=rules, events=(first,))
    s.affiliate("ana")
    session = s.buy(s.price(10_000), "ana", customer_creation="always")
    s.names["buyer"] = s.sb.get(session)["customer"]
    s.expect(ana=[pending(1_000)], buyer=[pending(500)])
    s.sb.refund(session)
    s.end(ana=[gone(1_000)], buyer=[gone(500)])


@story("84-went-back")
def a_granted_discount_is_withdrawn_with_the_money(s: Story) -> None:
    first = QualifyingEvent(event_id="first", kind="first_purchase")
    rules = (
        fixed("referrer", 1_000, event="first"),
        RewardRule(
            rule_id="referee", event="first", to="referee", reward="discount", benefit=Benefit(percent_off_bps=2_000)
        ),
    )
    s.program(rules=rules, events=(first,))
    s.affiliate("ana")
    session = s.buy(s.price(10_000), "ana", customer_creation="always")
    s.names["buyer"] = s.sb.get(session)["customer"]
    s.expect(ana=[pending(1_000)], buyer=[pending(0)])
    s.sb.refund(session)
    s.end(ana=[gone(1_000)], buyer=[])


@story("85-alone")
def two_shares_of_one_participant_are_one(s: Story) -> None:
    s.program(hold_days=365)
    s.affiliate("ana")
    shares = (Share("referrer", 5_000), Share(s.names["ana"], 5_000))
    s.publish(0, rules=(RewardRule(rule_id="share", rate_bps=10_000, to="split", split=shares),), hold_days=365)
    s.paid_invoice(s.customer("ana"), [5])
    s.end(ana=[pending(5)], refused=[])


@story("85")
def revenue_shared_to_the_last_cent(s: Story) -> None:
    s.affiliate("bea", program="other")
    s.program(
        rules=(
            RewardRule(
                rule_id="share",
                rate_bps=10_000,
                to="split",
                split=(Share("referrer", 7_000), Share(s.names["bea"], 3_000)),
            ),
        )
    )
    s.affiliate("ana")
    session = s.paid_invoice(s.customer("ana"), [5])
    s.expect(ana=[pending(4)], bea=[pending(1)])
    s.sb.refund(session["id"], amount=2)  # 2 of 5 go back: 2 x 4/5 = 1.6 and 0.4
    s.end(ana=[back(4, 2)], bea=[pending(1)], refused=[])


@story("88-minimum")
def a_cent_below_the_minimum_earns_nothing(s: Story) -> None:
    event = QualifyingEvent(event_id="sale", min_net={"usd": 2_500})
    s.program(rules=(RewardRule(rule_id="r", event="sale", rate_bps=2_000),), events=(event,))
    s.affiliate("ana")
    customer = s.customer("ana")
    s.paid_invoice(customer, [2_499])
    s.wait(days=1)
    s.paid_invoice(customer, [2_500])
    s.end(ana=[pending(500)], refused=["below_minimum"])


@story("89")
def who_had_paid_before_the_click_is_no_new_customer(s: Story) -> None:
    s.program("new only")
    s.program("everybody", customers="any")
    s.affiliate("ana", program="new only")
    s.affiliate("bea", program="everybody")
    for refcode in ("ana", "bea"):
        customer = s.customer(email=f"{refcode}@customers.example")
        s.paid_invoice(customer, [10_000])
        s.wait(days=3)
        s.tell(customer, refcode, clicked_at=s.sb.now)
        s.paid_invoice(customer, [10_000])
    s.end(ana=[], bea=[pending(2_000)], refused=["before_referral", "before_referral", "existing_customer"])


@story("87-keep")
def old_referrals_keep_the_terms_they_joined_with(s: Story) -> None:
    s.program(hold_days=365)
    s.affiliate("ana")
    price = s.price(10_000, every="month")
    s.buy(price, "ana", email="old@customers.example")
    s.publish(
        s.sb.now + 20 * 86_400,
        rules=(RewardRule(rule_id="commission", rate_bps=1_000),),
        existing_referrals="keep",
        hold_days=365,
    )
    s.wait(days=25)
    s.buy(price, "ana", email="new@customers.example")
    s.wait(months=1)
    s.end(ana=[pending(2_000), pending(1_000), pending(2_000), pending(1_000)], refused=[])


@story("79-later-terms")
def referrals_before_the_tiers_count(s: Story) -> None:
    """Terms with tiers, published later and only for what comes, still count who was referred before."""
    s.program()
    s.affiliate("ana")
    refer(s, "ana", 2)
    s.publish(s.sb.now + 86_400, rules=(by_referrals(),))
    s.wait(days=2)
    refer(s, "ana", 1)
    s.end(ana=[pending(2_000), pending(2_000), pending(1_500)], refused=[])


@story("82-later-terms")
def what_was_earned_before_the_cap_counts(s: Story) -> None:
    s.program()
    s.affiliate("ana")
    refer(s, "ana", 2)
    s.publish(s.sb.now + 86_400, caps=(Cap(on="participant", amounts={"usd": 5_000}),))
    s.wait(days=2)
    refer(s, "ana", 1)
    s.end(ana=[pending(2_000), pending(2_000), pending(1_000)], refused=[])
