"""One sale, one reward: what counts, and that it counts once (scenarios 1 to 9)."""

from __future__ import annotations

from refref.core.terms import RewardRule
from stories.story import Story, back, payable, pending, story


@story("01")
def subscription_checkout_counts_once(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(10_000, every="month"), "ana")
    s.end(ana=[pending(2_000)], refused=[])


@story("01-euro-by-subscription-metadata")
def yearly_plan_referred_by_subscription_metadata(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(49_990, "eur", every="year"), subscription_data={"metadata": {"refref_referral_id": "ana"}})
    s.end(ana=[pending(9_998, "eur")], refused=[])


@story("01-without-checkout")
def subscription_without_checkout_and_its_renewals(s: Story) -> None:
    s.affiliate("ana")
    s.program("ten", rules=(RewardRule(rule_id="ten", rate_bps=1_000),), hold_days=0)
    s.affiliate("bea", program="ten")
    s.sb.subscribe(s.customer("ana"), price=s.price(1_999, every="month"), quantity=3)
    s.sb.subscribe(s.customer("bea", email="other@customers.example"), price=s.price(15, every="month"))
    s.wait(months=2)
    # 3 x 19.99 = 59.97, a fifth of it 11.994; a tenth of 0.15 is 0.015: half up.
    s.end(ana=[payable(1_199), pending(1_199), pending(1_199)], bea=[payable(2), payable(2), payable(2)], refused=[])


@story("01-several")
def two_subscriptions_of_one_customer_are_two_sales(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer("ana")
    s.buy(s.price(3_000, every="month"), customer=customer)
    s.buy(s.price(7_000, every="month"), customer=customer)
    s.expect(ana=[pending(600), pending(1_400)])
    s.buy(s.price(500), customer=customer)
    s.end(ana=[pending(100), pending(600), pending(1_400)], refused=[])


@story("01-first-and-later")
def first_sale_fixed_and_renewals_by_percentage(s: Story) -> None:
    first = RewardRule(rule_id="first", on="first", kind="fixed", amounts={"usd": 5_000, "eur": 4_500})
    s.program(rules=(first, RewardRule(rule_id="later", on="recurring", rate_bps=500)), hold_days=0)
    s.affiliate("ana")
    s.buy(s.price(2_900, every="month"), "ana")
    s.expect(ana=[payable(5_000)])
    s.wait(months=2)
    s.end(ana=[payable(5_000), payable(145), payable(145)], refused=[])


@story("02")
def one_off_checkout_without_invoice(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(5_000), "ana")
    s.end(ana=[pending(1_000)], refused=[])


@story("02-customer-and-quantity")
def one_off_checkout_of_a_known_customer(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(333), customer=s.customer(), quantity=7, metadata={"refref_referral_id": "ANA"})
    s.end(ana=[pending(466)], refused=[])  # a fifth of 23.31


@story("02-by-payment-intent-metadata")
def one_off_checkout_referred_by_payment_intent_metadata(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(7), payment_intent_data={"metadata": {"refref_referral_id": "ana"}})
    s.end(ana=[pending(1)], refused=[])


@story("02-too-small")
def less_than_half_a_cent_is_nothing(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(2), "ana")
    s.buy(s.price(3), "ana")
    s.end(ana=[pending(1)], refused=["rounds_to_zero"])


@story("02-not-referred")
def sales_that_nobody_referred(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(5_000))
    s.buy(s.price(5_000, every="month"), "somebody-else")
    s.end(ana=[], refused=["not_attributed", "unknown_code"])


@story("03")
def one_off_checkout_with_invoice(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(5_000), "ana", invoice_creation={"enabled": True})
    s.end(ana=[pending(1_000)], refused=[])


@story("03-session-first")
def sale_booked_under_its_payment_merges_into_the_invoice(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(5_000), "ana", invoice_creation={"enabled": True})
    s.deliver("checkout.session.completed", "payment_intent.succeeded", "charge.succeeded")
    s.end(ana=[pending(1_000)], refused=[])


@story("03-refunded-before-the-invoice")
def refund_is_kept_when_the_payment_merges_into_the_invoice(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(8_000, "eur"), "ana", invoice_creation={"enabled": True})
    s.sb.refund(session, amount=2_000)
    s.deliver("charge.refunded", "checkout.session.completed", "charge.succeeded")
    s.deliver("refund.created", "payment_intent.succeeded")
    s.end(ana=[back(1_600, 400, "eur")], refused=[])


@story("04")
def bare_charge_does_not_count_by_default(s: Story) -> None:
    s.affiliate("ana")
    s.sb.create_charge(4_000, "usd", customer=s.customer("ana"))
    s.end(ana=[], refused=["bare_charge"])


@story("04-switched-on")
def bare_charges_count_where_the_terms_say_so(s: Story) -> None:
    s.program(counts_bare_charges=True)
    s.affiliate("ana")
    customer = s.customer("ana")
    s.sb.create_charge(4_000, "usd", customer=customer)
    s.sb.create_payment_intent(1_500, "usd", customer=customer)
    s.sb.create_charge(9_900, "usd", customer=s.customer(email="nobody@customers.example"))
    s.sb.create_charge(9_900, "usd")
    s.expect_referrals(ana=1)
    s.end(ana=[pending(300), pending(800)], refused=["not_attributed", "not_attributed"])


@story("04-with-invoices", has_api=True)
def bare_charges_on_does_not_count_an_invoice_twice(s: Story) -> None:
    s.program(counts_bare_charges=True)
    s.affiliate("ana")
    s.lose("invoice_payment.paid")
    s.buy(s.price(10_000, every="month"), "ana")
    s.deliver("charge.succeeded", "payment_intent.succeeded")
    s.end(ana=[pending(2_000)], refused=[])


@story("05")
def bank_debit_counts_when_the_bank_has_paid(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(6_000, "eur"), "ana", card="sepa")
    s.expect(ana=[], refused=["payment_pending"])
    s.sb.advance_by(days=3)
    s.sb.settle_session(session)
    s.end(ana=[pending(1_200, "eur")], refused=[])


@story("05-failed")
def bank_debit_that_fails_earns_nothing(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(6_000, "eur"), "ana", card="sepa")
    s.sb.settle_session(session, succeeded=False)
    s.expect(ana=[], refused=["payment_failed"])
    s.buy(s.price(6_000, "eur"), "ana")
    s.end(ana=[pending(1_200, "eur")], refused=["payment_failed"])


@story("05-reversed")
def answer_of_the_bank_arrives_before_the_session(s: Story) -> None:
    s.affiliate("ana")
    paid, unpaid = [s.buy(s.price(6_000, "eur"), "ana", card="sepa") for _ in range(2)]
    s.sb.settle_session(paid)
    s.sb.settle_session(unpaid, succeeded=False)
    s.deliver("checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed")
    s.end(ana=[pending(1_200, "eur")], refused=["payment_failed"])


@story("05-with-invoice")
def bank_debit_with_an_invoice(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(2_500, "eur"), "ana", card="sepa", invoice_creation={"enabled": True})
    s.sb.advance_by(days=5)
    s.sb.settle_session(session)
    s.end(ana=[pending(500, "eur")], refused=[])


@story("06")
def free_of_charge_is_a_referral_without_a_reward(s: Story) -> None:
    s.affiliate("ana")
    free = s.sb.create_coupon(percent_off=100, duration="forever")["id"]
    s.buy(s.price(5_000), "ana", discounts=[{"coupon": free}], customer=s.customer())
    s.expect_referrals(ana=1)
    s.end(ana=[], refused=["nothing_paid"])


@story("06-subscription")
def free_subscription_and_setup(s: Story) -> None:
    s.affiliate("ana")
    once = s.sb.create_coupon(percent_off=100)["id"]
    s.buy(s.price(5_000, every="month"), "ana", discounts=[{"coupon": once}])
    session = s.sb.checkout(mode="setup", line_items=[], client_reference_id="ana", customer=s.customer())
    s.sb.pay_session(session["id"])
    s.expect_referrals(ana=2)
    s.expect(ana=[], refused=["nothing_paid"])
    s.wait(months=1)
    s.end(ana=[pending(1_000)], refused=["nothing_paid"])


@story("07")
def first_sale_reward_when_the_trial_converts(s: Story) -> None:
    rule = RewardRule(rule_id="first", on="first", kind="fixed", amounts={"usd": 3_000})
    s.program(rules=(rule,), hold_days=0)
    s.affiliate("ana")
    s.buy(s.price(10_000, every="month"), "ana", subscription_data={"trial_period_days": 14})
    s.expect(ana=[], refused=["nothing_paid"])
    s.expect_referrals(ana=1)
    s.wait(days=14)
    s.expect(ana=[payable(3_000)], refused=["nothing_paid"])
    s.wait(months=1)
    s.end(ana=[payable(3_000)], refused=["no_rule_applies", "nothing_paid"])


@story("07-percentage")
def trial_by_customer_metadata(s: Story) -> None:
    s.affiliate("ana")
    s.sb.subscribe(s.customer("ana"), price=s.price(2_345, "gbp", every="month"), trial_days=30)
    s.wait(days=30)
    s.end(ana=[pending(469, "gbp")], refused=["nothing_paid"])


@story("08")
def trial_that_is_cancelled(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(10_000, every="month"), "ana", subscription_data={"trial_period_days": 7})
    s.sb.cancel_subscription(s.sb.all("subscription")[0]["id"], at_period_end=True)
    s.wait(months=2)
    s.end(ana=[], refused=["nothing_paid"])


@story("09")
def coupon_once_then_full_price(s: Story) -> None:
    s.affiliate("ana")
    half = s.sb.create_coupon(percent_off=50)["id"]
    s.buy(s.price(10_000, every="month"), "ana", discounts=[{"coupon": half}])
    s.expect(ana=[pending(1_000)])
    s.wait(months=1)
    s.end(ana=[payable(1_000), pending(2_000)], refused=[])


@story("09-amount-off")
def coupon_of_an_amount_for_two_months(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    off = s.sb.create_coupon(amount_off=1_250, currency="usd", duration="repeating", duration_in_months=2)["id"]
    s.buy(s.price(3_000, every="month"), "ana", discounts=[{"coupon": off}])
    s.buy(s.price(3_000), "ana", discounts=[{"coupon": off}])
    s.wait(months=2)
    s.end(ana=[payable(350), payable(350), payable(350), payable(600)], refused=[])


@story("09-odd-percentage")
def coupon_of_a_third(s: Story) -> None:
    s.affiliate("ana")
    off = s.sb.create_coupon(percent_off=33.33)["id"]
    s.buy(s.price(999), "ana", discounts=[{"coupon": off}], invoice_creation={"enabled": True})
    s.end(ana=[pending(133)], refused=[])  # 9.99 less 3.33 is 6.66, a fifth of it 1.332
