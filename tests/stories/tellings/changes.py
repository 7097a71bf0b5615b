"""Subscriptions over time: changes of plan, the earning period, new starts (scenarios 10 to 13, 57 to 60)."""

from __future__ import annotations

from typing import Any

from refref.core.terms import Duration, RewardRule
from stories.story import Story, payable, pending, story


def subscription_of(s: Story, session: str) -> str:
    return str(s.sb.get(session)["subscription"])


@story("10")
def upgrade_in_mid_cycle(s: Story) -> None:
    s.affiliate("ana")
    subscription = subscription_of(s, s.buy(s.price(2_500, every="month"), "ana"))
    s.sb.change_subscription(subscription, price=s.price(25_000, every="year"), proration_behavior="always_invoice")
    # -25.00 and +250.00, paid 225.00
    s.end(ana=[pending(500), pending(4_500)], refused=[])


@story("10-half-way")
def upgrade_half_way_through_the_month(s: Story) -> None:
    s.affiliate("ana")
    subscription = subscription_of(s, s.buy(s.price(6_000, "eur", every="month"), "ana"))
    s.sb.advance_by(days=15, hours=12)  # half of January 15 to February 15
    s.sb.change_subscription(
        subscription, price=s.price(10_000, "eur", every="month"), proration_behavior="always_invoice"
    )
    s.end(ana=[pending(1_200, "eur"), pending(400, "eur")], refused=[])  # -30.00 + 50.00


@story("10-product-rule")
def upgrade_under_a_product_rule(s: Story) -> None:
    small, large = s.price(3_000, every="month", product="Small"), s.price(9_000, every="month", product="Large")
    s.program(products=(s.product_of(large),))
    s.affiliate("ana")
    subscription = subscription_of(s, s.buy(small, "ana"))
    s.sb.change_subscription(subscription, price=large, proration_behavior="always_invoice")
    # The invoice says -30.00 for Small and +90.00 for Large; the lines of Large count, but never more than what moved.
    s.end(ana=[pending(1_200)], refused=["nothing_paid"])


@story("11")
def downgrade_earns_on_what_is_paid_later(s: Story) -> None:
    s.affiliate("ana")
    subscription = subscription_of(s, s.buy(s.price(10_000, every="month"), "ana"))
    s.sb.change_subscription(subscription, price=s.price(6_000, every="month"), proration_behavior="always_invoice")
    s.expect(ana=[pending(2_000)], refused=["nothing_paid"])
    s.wait(months=1)
    s.end(ana=[payable(2_000), pending(400)], refused=["nothing_paid"])  # 60.00 less the credit of 40.00


@story("11-long-credit")
def downgrade_whose_credit_covers_several_renewals(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    subscription = subscription_of(s, s.buy(s.price(25_000, "eur", every="month"), "ana"))
    s.sb.change_subscription(
        subscription, price=s.price(10_000, "eur", every="month"), proration_behavior="always_invoice"
    )
    s.wait(months=2)
    # The credit of 150.00 pays the first renewal wholly and half of the second.
    s.end(ana=[payable(5_000, "eur"), payable(1_000, "eur")], refused=["nothing_paid", "nothing_paid"])


@story("12")
def quantity_change_billed_with_the_renewal(s: Story) -> None:
    s.affiliate("ana")
    subscription = subscription_of(s, s.buy(s.price(10_000, every="month"), "ana"))
    s.sb.advance_by(days=15, hours=12)
    s.sb.change_subscription(subscription, quantity=2)
    s.expect(ana=[pending(2_000)])
    s.wait(days=15, hours=12)
    # Renewal 200.00, proration -50.00 and +100.00
    s.end(ana=[payable(2_000), pending(5_000)], refused=[])


@story("12-fewer")
def smaller_quantity_billed_with_the_renewal(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    subscription = subscription_of(s, s.buy(s.price(1_000, "gbp", every="month"), "ana", quantity=4))
    s.sb.advance_by(days=15, hours=12)
    s.sb.change_subscription(subscription, quantity=1)
    s.wait(days=15, hours=12)
    # Renewal 10.00, proration -20.00 and +5.00: -5.00 goes to the balance; then 10.00 less 5.00.
    s.expect(ana=[payable(800, "gbp")], refused=["nothing_paid"])
    s.wait(months=1)
    s.end(ana=[payable(800, "gbp"), payable(100, "gbp")], refused=["nothing_paid"])


@story("13")
def schedule_moves_the_plan(s: Story) -> None:
    s.affiliate("ana")
    subscription = subscription_of(s, s.buy(s.price(1_000, every="month"), "ana"))
    s.wait(months=1)
    s.sb.change_subscription(
        subscription, price=s.price(5_000, every="month"), scheduled=True, proration_behavior="none"
    )
    s.wait(months=1)
    s.end(ana=[payable(200), pending(200), pending(1_000)], refused=[])


@story("57")
def deactivated_promotion_code_goes_on_earning(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    promo = s.code("ana", percent_off=10, duration="forever")
    s.buy(s.price(10_000, every="month"), promotion_code=promo)
    s.wait(days=3)
    s.sb.update_promotion_code(promo, active=False)
    s.deactivate("ana", promo)
    s.wait(months=2)
    s.end(ana=[payable(1_800)] * 3, refused=[])


@story("57-refcode")
def ended_refcode_binds_nobody_new(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    s.buy(s.price(500, every="month"), "ana")
    s.wait(days=1)
    s.deactivate("ana", "ana")
    s.wait(days=1)
    s.buy(s.price(700, every="month"), "ana", email="late@customers.example")
    s.wait(months=1)
    s.end(ana=[payable(100)] * 2, refused=["inactive_code", "inactive_code"])


@story("58")
def deleted_coupon_stops_nothing(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    coupon = s.sb.create_coupon(percent_off=25, duration="forever")["id"]
    promo = s.sb.create_promotion_code(coupon, "SAVE")["id"]
    s.add_promotion_code("ana", promo)
    s.buy(s.price(4_000, every="month"), promotion_code=promo)
    s.wait(days=2)
    s.sb.delete_coupon(coupon)
    s.wait(months=1)
    s.end(ana=[payable(600)] * 2, refused=[])


@story("59")
def twelve_months_by_date(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    s.buy(s.price(1_000, every="month"), "ana")
    s.wait(months=13)
    s.end(ana=[payable(200)] * 12, refused=["duration_over", "duration_over"])


@story("59-by-payments")
def three_payments_and_the_trial_is_not_one(s: Story) -> None:
    s.program(hold_days=0, duration=Duration("payments", 3))
    s.affiliate("ana")
    s.buy(s.price(990, every="month"), "ana", subscription_data={"trial_period_days": 30})
    s.wait(days=30)
    s.wait(months=4)
    s.end(ana=[payable(198)] * 3, refused=["duration_over", "duration_over", "nothing_paid"])


@story("59-trial-by-date")
def two_months_from_the_first_payment(s: Story) -> None:
    s.program(hold_days=0, duration=Duration("months", 2))
    s.affiliate("ana")
    s.sb.subscribe(s.customer("ana"), price=s.price(2_000, "eur", every="month"), trial_days=14)
    s.wait(days=14)
    s.wait(months=3)
    s.end(ana=[payable(400, "eur")] * 2, refused=["duration_over", "duration_over", "nothing_paid"])


@story("59-end-of-month")
def months_that_start_on_the_31st(s: Story) -> None:
    s.program(hold_days=0, duration=Duration("months", 3))
    s.affiliate("ana")
    s.sb.advance("2026-01-31T23:30:00Z")
    s.buy(s.price(1_000, every="month"), "ana")
    s.wait(months=4)
    s.end(ana=[payable(200)] * 3, refused=["duration_over", "duration_over"])


@story("59-yearly")
def second_year_is_after_twelve_months(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    s.buy(s.price(9_900, every="year"), "ana")
    s.wait(months=12)
    s.end(ana=[payable(1_980)], refused=["duration_over"])


@story("59-first-only")
def only_the_first_payment(s: Story) -> None:
    s.program(hold_days=0, duration=Duration("payments", 1))
    s.affiliate("ana")
    customer = s.customer("ana")
    s.buy(s.price(5_000), customer=customer)
    s.wait(days=1)
    s.buy(s.price(5_000), customer=customer)
    s.end(ana=[payable(1_000)], refused=["duration_over"])


@story("59-forever")
def no_end(s: Story) -> None:
    s.program(hold_days=0, duration=Duration("forever"))
    s.affiliate("ana")
    s.buy(s.price(100, every="year"), "ana")
    s.wait(months=36)
    s.end(ana=[payable(20)] * 4, refused=[])


def _restart(s: Story, **terms: Any) -> str:
    s.program(hold_days=0, duration=Duration("payments", 3), **terms)
    s.affiliate("ana")
    price = s.price(1_000, every="month")
    customer = s.customer("ana")
    session = s.buy(price, customer=customer)
    s.wait(months=1)
    s.sb.cancel_subscription(subscription_of(s, session))
    s.wait(days=10)
    s.buy(price, customer=customer)
    s.wait(months=2)
    return customer


@story("60")
def new_subscription_continues_the_period(s: Story) -> None:
    _restart(s)
    s.end(ana=[payable(200)] * 3, refused=["duration_over", "duration_over"])


@story("60-new-cycle")
def new_subscription_starts_a_new_period(s: Story) -> None:
    _restart(s, restart="new_cycle")
    s.end(ana=[payable(200)] * 5, refused=[])


@story("60-first-again")
def new_subscription_earns_the_first_sale_again(s: Story) -> None:
    rule = RewardRule(rule_id="first", on="first", kind="fixed", amounts={"usd": 700})
    _restart(s, restart="new_cycle", rules=(rule,))
    s.end(ana=[payable(700)] * 2, refused=["no_rule_applies"] * 3)


@story("60-months")
def months_go_on_over_a_break(s: Story) -> None:
    s.program(hold_days=0, duration=Duration("months", 2))
    s.affiliate("ana")
    customer = s.customer("ana")
    session = s.buy(s.price(3_000, every="month"), customer=customer)
    s.wait(days=5)
    s.sb.cancel_subscription(subscription_of(s, session))
    s.wait(months=1)
    s.buy(s.price(1_500, every="month"), customer=customer)
    s.wait(months=1)
    s.end(ana=[payable(600), payable(300)], refused=["duration_over"])
