"""Further instances of many scenarios: other shapes of sales, lost events, odd numbers, edges in time."""

from __future__ import annotations

from refref.core.terms import Duration, RewardRule
from stories.story import Story, at, back, gone, held, payable, pending, story


@story("01-only-the-invoice")
def subscription_known_by_its_invoices_alone(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    s.lose(
        "checkout.session.completed", "customer.created", "customer.updated", "customer.subscription.created",
        "customer.subscription.updated", "charge.succeeded", "payment_intent.succeeded",
    )  # fmt: skip
    s.buy(s.price(3_000, "eur", every="month"), subscription_data={"metadata": {"refref_referral_id": "ana"}})
    s.wait(months=1)
    s.end(ana=[payable(600, "eur")] * 2, refused=[])


@story("01-with-a-fee")
def plan_and_set_up_fee_in_one_checkout(s: Story) -> None:
    s.affiliate("ana")
    session = s.sb.checkout(
        mode="subscription", client_reference_id="ana",
        line_items=[{"price": s.price(2_000, every="month"), "quantity": 2}, {"price": s.price(5_500), "quantity": 1}],
    )  # fmt: skip
    s.sb.pay_session(session["id"], email="c@customers.example")
    s.end(ana=[pending(1_900)], refused=[])


@story("01-fixed")
def fixed_reward_taken_back_in_proportion(s: Story) -> None:
    s.program(rules=(RewardRule(rule_id="fixed", kind="fixed", amounts={"usd": 1_000}),))
    s.affiliate("ana")
    session = s.buy(s.price(7_500, every="month"), "ana")
    s.sb.refund(session, amount=1_875)
    s.expect(ana=[back(1_000, 250)])
    s.sb.refund(session, amount=1_000)
    s.end(ana=[back(1_000, 383)], refused=[])  # 28.75 of 75.00 is 383.33


@story("01-two-rules")
def two_rules_on_one_payment(s: Story) -> None:
    bonus = RewardRule(rule_id="bonus", on="first", kind="fixed", amounts={"gbp": 500})
    s.program(rules=(bonus, RewardRule(rule_id="share", rate_bps=1_250)), hold_days=0)
    s.affiliate("ana")
    session = s.buy(s.price(7_999, "gbp", every="month"), "ana")
    s.expect(ana=[payable(500, "gbp"), payable(1_000, "gbp")])
    s.sb.refund(session, amount=4_000)
    s.end(ana=[payable(500, "gbp", back=250), payable(1_000, "gbp", back=500)], refused=[])


@story("02-rounding")
def roundings_of_the_list(s: Story) -> None:
    rates = {"half": 5_000, "tenth": 1_000, "card": 290, "fifth": 2_000}
    for name, rate in rates.items():
        s.program(name, rules=(RewardRule(rule_id=name, rate_bps=rate),))
        s.affiliate(name, program=name)
    s.buy(s.price(1), "half")
    s.buy(s.price(15), "tenth")
    s.buy(s.price(500), "card")
    s.buy(s.price(7), "fifth")
    s.end(half=[pending(1)], tenth=[pending(2)], card=[pending(15)], fifth=[pending(1)], refused=[])


@story("02-hold")
def hold_ends_to_the_second(s: Story) -> None:
    s.program(hold_days=14)
    s.affiliate("ana")
    sold_at = s.sb.now
    s.buy(s.price(5_000), "ana")
    s.sb.advance(sold_at + 14 * 86_400 - 1)
    s.expect(ana=[pending(1_000)])
    s.sb.advance(sold_at + 14 * 86_400)
    s.end(ana=[payable(1_000)], refused=[])


@story("05-guest-by-card-after-all")
def buyer_pays_by_card_after_a_failed_debit(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer()
    first = s.buy(s.price(6_000, "eur"), "ana", customer=customer, card="sepa")
    s.sb.advance_by(days=2)
    s.sb.settle_session(first, succeeded=False)
    s.buy(s.price(6_000, "eur"), customer=customer)
    s.end(ana=[pending(1_200, "eur")], refused=["payment_failed"])


@story("05-expired")
def session_that_nobody_paid(s: Story) -> None:
    s.affiliate("ana")
    s.sb.checkout(mode="payment", line_items=[{"price": s.price(6_000), "quantity": 1}], client_reference_id="ana")
    s.wait(days=2)
    s.end(ana=[], refused=[])


@story("05-refunded")
def bank_debit_refunded(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, "eur"), "ana", card="sepa")
    s.sb.advance_by(days=3)
    s.sb.settle_session(session)
    s.sb.dispute(session, amount=2_500)
    s.end(ana=[back(2_000, 500, "eur")], refused=[])


@story("07-first-by-percentage")
def trial_then_discounted_then_full(s: Story) -> None:
    first = RewardRule(rule_id="first", on="first", rate_bps=3_000)
    s.program(rules=(first, RewardRule(rule_id="later", on="recurring", rate_bps=1_000)), hold_days=0)
    s.affiliate("ana")
    half = s.sb.create_coupon(percent_off=50)["id"]
    data = {"trial_period_days": 10, "metadata": {"refref_referral_id": "ana"}}
    s.buy(s.price(8_000, every="month"), subscription_data=data, discounts=[{"coupon": half}])
    s.wait(days=10)
    s.expect(ana=[payable(1_200)])
    s.wait(months=2)
    s.end(ana=[payable(1_200), payable(800), payable(800)], refused=["nothing_paid"])


@story("11-then-up")
def downgrade_and_upgrade_in_one_period(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    low, high = s.price(2_000, every="month"), s.price(9_000, every="month")
    subscription = s.sb.get(s.buy(high, "ana"))["subscription"]
    s.sb.change_subscription(subscription, price=low, proration_behavior="always_invoice")  # -70.00 to the balance
    s.sb.advance_by(hours=1)
    s.sb.change_subscription(subscription, quantity=3, proration_behavior="none")
    s.wait(months=2)
    # 60.00 from the balance of 70.00; then 10.00 from the balance and 50.00 by card.
    s.end(ana=[payable(1_800), payable(1_000)], refused=["nothing_paid", "nothing_paid"])


@story("13-metadata-gone")
def schedule_drops_the_metadata(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    s.affiliate("bea")
    data = {"metadata": {"refref_referral_id": "ana"}}
    subscription = s.sb.get(s.buy(s.price(1_000, every="month"), subscription_data=data))["subscription"]
    s.wait(days=3)
    new = s.price(4_000, every="month")
    s.sb.change_subscription(
        subscription, price=new, scheduled=True, proration_behavior="none", metadata={"refref_referral_id": "bea"}
    )
    s.wait(months=1)
    s.end(ana=[payable(200), payable(800)], bea=[], refused=[])


@story("14-exempt-line")
def inclusive_tax_and_partial_refund(s: Story) -> None:
    s.affiliate("ana")
    vat = s.sb.create_tax_rate(700, inclusive=True)["id"]
    session = s.buy(s.price(10_700, "eur"), "ana", tax_rate=vat, shipping=300, invoice_creation={"enabled": True})
    s.expect(ana=[pending(2_000, "eur")])
    s.sb.refund(session, amount=5_500)  # half of 110.00
    s.end(ana=[back(2_000, 1_000, "eur")], refused=[])


@story("16-by-quantity")
def credit_note_by_quantity(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer("ana")
    price = s.price(1_500)
    invoice = s.sb.create_invoice(customer, [{"price": price, "quantity": 4}, {"amount": 4_000, "description": "Work"}])
    invoice = s.sb.pay_invoice(invoice["id"])
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": invoice["_lines"][0], "quantity": 3}])
    s.end(ana=[back(2_000, 900)], refused=[])


@story("16-line-and-amount")
def credit_notes_with_and_without_lines(s: Story) -> None:
    course, book = s.price(8_000, product="Course"), s.price(2_000, product="Book")
    s.program(products=(s.product_of(course),))
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [course, book])
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": invoice["_lines"][1], "amount": 2_000}])
    s.expect(ana=[pending(1_600)])
    s.sb.refund(invoice["id"], amount=1_000)
    s.expect(ana=[back(1_600, 160)])
    s.sb.credit_note(invoice["id"], amount=1_000, credit_amount=1_000)
    s.end(ana=[back(1_600, 320)], refused=[])


@story("18-only-the-note")
def refund_known_by_the_credit_note_alone(s: Story) -> None:
    s.affiliate("ana")
    s.lose("refund.created", "charge.refunded")
    invoice = s.paid_invoice(s.customer("ana"), [6_000, 4_000])
    s.sb.credit_note(invoice["id"], amount=2_500)
    s.end(ana=[back(2_000, 500)], refused=[])


@story("19-older-name")
def failed_refund_told_by_the_older_event(s: Story) -> None:
    s.affiliate("ana")
    s.lose("refund.created", "refund.updated", "refund.failed")
    session = s.buy(s.price(5_000), "ana")
    refund = s.sb.refund(session, amount=2_500)["id"]
    s.expect(ana=[back(1_000, 500)])
    s.sb.advance_by(days=1)
    s.sb.fail_refund(refund)
    s.end(ana=[pending(1_000)], refused=[])


@story("19-after-the-hold")
def refund_of_a_payable_reward_fails(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(5_000, every="year"), "ana")
    s.wait(days=31)
    refund = s.sb.refund(session)["id"]
    s.expect(ana=[gone(1_000)])
    s.wait(days=1)
    s.sb.fail_refund(refund)
    s.end(ana=[payable(1_000)], refused=[])


@story("24-only-the-end")
def lost_dispute_known_by_its_end_alone(s: Story) -> None:
    s.affiliate("ana")
    s.lose("charge.dispute.created", "charge.dispute.funds_withdrawn")
    session = s.buy(s.price(5_000, every="month"), "ana")
    s.sb.close_dispute(s.sb.dispute(session)["id"], "lost")
    s.end(ana=[gone(1_000)], refused=[])


@story("24-won-after-the-hold")
def dispute_is_won_after_the_hold_has_ended(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(5_000, "eur"), "ana")
    dispute = s.sb.dispute(session, inquiry=True)["id"]
    s.wait(days=40)
    s.expect(ana=[held(1_000, currency="eur")])
    s.sb.update_dispute(dispute, "needs_response")
    s.expect(ana=[gone(1_000, "eur")])
    s.wait(days=20)
    s.sb.close_dispute(dispute, "won")
    s.end(ana=[payable(1_000, "eur")], refused=[])


@story("24-payable")
def dispute_of_a_payable_reward(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    first, second = s.buy(s.price(5_000), "ana"), s.buy(s.price(3_000), "ana")
    s.expect(ana=[payable(600), payable(1_000)])
    s.sb.dispute(first, inquiry=True)
    s.sb.refund(second, amount=1_500)
    s.expect(ana=[payable(600, back=300), held(1_000)])
    s.sb.refund(first, amount=2_500)
    s.end(ana=[payable(600, back=300), held(1_000, 500)], refused=[])


@story("24-partial-payments")
def dispute_of_one_of_two_partial_payments(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 10_000, "description": "Work"}])["id"]
    s.sb.pay_invoice(invoice, amount=4_000)
    s.sb.pay_invoice(invoice)
    charge = next(c["id"] for c in s.sb.all("charge") if c["amount"] == 4_000)
    s.sb.close_dispute(s.sb.dispute(charge)["id"], "lost")
    s.end(ana=[back(2_000, 800)], refused=[])


@story("30-one-customer")
def one_customer_pays_in_two_currencies(s: Story) -> None:
    s.program(duration=Duration("payments", 2))
    s.affiliate("ana")
    customer = s.customer("ana")
    for currency in ("usd", "eur", "usd"):
        s.buy(s.price(4_000, currency), customer=customer)
        s.sb.advance_by(hours=1)
    s.end(ana=[pending(800), pending(800, "eur")], refused=["duration_over"])


@story("40-customer-later")
def guest_and_then_customer(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(1_000), "ana", email="same@customers.example")
    s.buy(s.price(2_000), email="same@customers.example", customer_creation="always")
    s.end(ana=[pending(200)], refused=["not_attributed"])


@story("41-linked-by-nothing")
def second_customer_of_one_person_is_referred_by_another(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    s.buy(s.price(1_000, every="month"), "ana", email="same@customers.example")
    s.buy(s.price(3_000, every="month"), "bea", email="same@customers.example")
    s.end(ana=[pending(200)], bea=[pending(600)], refused=[])


@story("55-items")
def subscription_with_an_eligible_and_another_item(s: Story) -> None:
    seat, support = s.price(1_000, every="month", product="Seat"), s.price(5_000, every="month", product="Support")
    s.program(products=(s.product_of(seat),), hold_days=0)
    s.affiliate("ana")
    tenth = s.sb.create_coupon(percent_off=10, duration="forever")["id"]
    rows = [{"price": seat, "quantity": 3}, {"price": support, "quantity": 1}]
    s.sb.subscribe(s.customer("ana"), items=rows, coupon=tenth)
    s.wait(months=1)
    s.end(ana=[payable(540)] * 2, refused=[])


@story("57-once")
def code_for_one_invoice_earns_on_the_renewals_too(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    promo = s.code("ana", percent_off=40, duration="once")
    s.sb.subscribe(s.customer(), price=s.price(2_000, every="month"), promotion_code=promo)
    s.wait(days=2)
    s.deactivate("ana", promo)
    s.wait(months=2)
    s.end(ana=[payable(240), payable(400), payable(400)], refused=[])


@story("60-another-partner")
def new_subscription_by_another_partner_stays_with_the_first(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    s.affiliate("bea")
    customer = s.customer()
    session = s.buy(s.price(1_000, every="month"), "ana", customer=customer)
    s.wait(days=3)
    s.sb.cancel_subscription(s.sb.get(session)["subscription"])
    s.wait(days=3)
    s.buy(s.price(2_000, every="month"), "bea", customer=customer, promotion_code=s.code("bea", percent_off=50))
    s.end(ana=[payable(200), payable(200)], bea=[], refused=[])


@story("56-put-on-later")
def code_put_on_a_running_subscription_changes_nothing(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    s.affiliate("bea")
    subscription = s.sb.get(s.buy(s.price(1_000, every="month"), "ana"))["subscription"]
    s.wait(days=40)
    s.sb.set_discount(subscription, promotion_code=s.code("bea", percent_off=50, duration="forever"))
    s.wait(months=1)
    s.end(ana=[payable(200), payable(200), payable(100)], bea=[], refused=[])


@story("44-metadata-later")
def referral_written_on_a_running_subscription_counts_from_then(s: Story) -> None:
    s.program(hold_days=0, customers="any")
    s.affiliate("ana")
    subscription = s.sb.get(s.buy(s.price(1_000, every="month")))["subscription"]
    s.wait(days=40)
    s.sb.change_subscription(subscription, metadata={"refref_referral_id": "ana"})
    s.wait(months=1)
    s.end(ana=[payable(200)], refused=["before_referral", "before_referral"])


@story("87-not-yet")
def sale_before_the_first_terms(s: Story) -> None:
    s.program(effective_at=at("2026-02-01"))
    s.affiliate("ana")
    s.buy(s.price(1_000, every="month"), "ana")
    s.wait(months=1)
    s.end(ana=[pending(200)], refused=["before_terms"])


@story("22-unnamed", only=("calm", "duplicated", "reversed-late", "2025-03-31.basil", "2026-03-25.dahlia"))
def payment_that_must_be_the_invoices(s: Story) -> None:
    """Without a key, and without invoice_payment.paid, nothing since basil says which invoice a payment paid: customer,
    money and hour do."""
    s.program(counts_bare_charges=True)
    s.affiliate("ana")
    s.lose("invoice_payment.paid")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.wait(months=1)
    s.sb.refund(session, amount=5_000)
    s.end(ana=[payable(2_000, back=1_000), pending(2_000)], refused=[])


@story("22-degraded", only=("calm", "duplicated", "2025-03-31.basil", "2026-03-25.dahlia"))
def refund_whose_invoice_cannot_be_asked_for(s: Story) -> None:
    """A lone refund names its payment, and nobody has told of that payment."""
    s.affiliate("ana")
    s.lose("invoice_payment.paid", "payment_intent.succeeded", "charge.succeeded", "charge.refunded")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.sb.refund(session, amount=5_000)
    s.end(ana=[pending(2_000)], refused=[])


@story("56-degraded", only=("calm", "shuffled", "2025-10-29.clover", "2026-03-25.dahlia"))
def promotion_code_that_cannot_be_looked_up(s: Story) -> None:
    s.affiliate("ana")
    promo = s.code("ana")
    invoice = s.sb.create_invoice(s.customer(), [{"amount": 5_000, "description": "Work"}], promotion_code=promo)
    s.sb.pay_invoice(invoice["id"])
    s.end(ana=[], refused=["not_attributed"])
