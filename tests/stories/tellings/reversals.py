"""Money that goes back: refunds and credit notes (scenarios 16 to 20, 22, 23, 39)."""

from __future__ import annotations

from stories.story import Story, back, gone, payable, pending, story


@story("16")
def refund_of_one_lines_price(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [5_000, 3_000, 2_000])
    s.sb.refund(invoice["id"], amount=3_000)
    s.end(ana=[back(2_000, 600)], refused=[])


@story("16-named-line")
def credit_note_that_names_the_line(s: Story) -> None:
    course, book, ticket = (s.price(n, product=p) for n, p in ((5_000, "Course"), (3_000, "Book"), (2_000, "Ticket")))
    s.program(products=(s.product_of(course), s.product_of(ticket)))
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [course, book, ticket])
    of_course, of_book, of_ticket = invoice["_lines"]
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": of_book, "amount": 3_000}])
    s.expect(ana=[pending(1_400)])
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": of_ticket, "amount": 2_000}])
    s.expect(ana=[back(1_400, 400)])
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": of_course, "amount": 2_500}])
    s.end(ana=[back(1_400, 900)], refused=[])


@story("16-product-rule")
def refund_without_lines_under_a_product_rule(s: Story) -> None:
    course, book = s.price(5_000, "eur", product="Course"), s.price(3_000, "eur", product="Book")
    s.program(products=(s.product_of(course),))
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [course, book])
    s.sb.refund(invoice["id"], amount=3_000)
    s.end(ana=[back(1_000, 375, "eur")], refused=[])


@story("16-tax-and-coupon")
def credit_note_on_a_taxed_and_discounted_line(s: Story) -> None:
    s.affiliate("ana")
    rate = s.sb.create_tax_rate(1_000, inclusive=False)["id"]
    half = s.sb.create_coupon(percent_off=50)["id"]
    invoice = s.paid_invoice(s.customer("ana"), [6_000, 4_000], tax_rate=rate, coupon=half)
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": invoice["_lines"][1], "amount": 4_000}])
    s.end(ana=[back(1_000, 400)], refused=[])


@story("16-to-the-balance")
def named_line_credited_to_the_balance(s: Story) -> None:
    course, book = s.price(7_000, product="Course"), s.price(3_000, product="Book")
    s.program(products=(s.product_of(course),))
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [course, book])
    of_course, of_book = invoice["_lines"]
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": of_book, "amount": 3_000}], credit_amount=3_000)
    s.expect(ana=[pending(1_400)])
    s.sb.credit_note(
        invoice["id"],
        lines=[{"invoice_line_item": of_course, "amount": 3_500}],
        credit_amount=1_500,
        refund_amount=2_000,
    )
    s.end(ana=[back(1_400, 700)], refused=[])


@story("17")
def two_partial_refunds(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.expect(ana=[pending(2_000)])
    s.sb.refund(session, amount=2_500)
    s.expect(ana=[back(2_000, 500)])
    s.sb.refund(session, amount=2_500)
    s.end(ana=[back(2_000, 1_000)], refused=[])


@story("17-rounding")
def many_small_refunds_never_take_more_than_was_earned(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(999), "ana")  # earns 2.00
    for _ in range(9):
        s.sb.refund(session, amount=110)
    s.expect(ana=[back(200, 198)])  # 9.90 of 9.99
    s.sb.refund(session)
    s.end(ana=[gone(200)], refused=[])


@story("17-beyond")
def refund_and_credit_note_beyond_the_total(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [5_000])["id"]
    s.sb.refund(invoice, amount=4_000)
    s.sb.credit_note(invoice, amount=3_000, credit_amount=3_000)
    s.end(ana=[gone(1_000)], refused=[])


@story("18")
def full_refund(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.sb.refund(session)
    s.end(ana=[gone(2_000)], refused=[])


@story("18-after-the-hold")
def full_refund_of_a_payable_reward(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(4_990, "eur"), "ana")
    s.wait(days=30)
    s.expect(ana=[payable(998, "eur")])
    s.sb.refund(session, amount=2_495)
    s.expect(ana=[payable(998, "eur", back=499)])
    s.sb.refund(session)
    s.end(ana=[gone(998, "eur")], refused=[])
    assert s.world.balances(s.merchant, s.names["ana"]) == {}


@story("18-renewal")
def refund_of_a_renewal_leaves_the_others(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(1_000, every="month"), "ana")
    s.wait(months=2)
    s.sb.refund(s.sb.all("invoice")[1]["id"])
    s.end(ana=[payable(200), gone(200), pending(200)], refused=[])


@story("18-of-the-payment-intent")
def refunds_by_charge_and_by_payment_intent(s: Story) -> None:
    s.affiliate("ana")
    first = s.buy(s.price(3_000), "ana")
    s.sb.refund(s.sb.get(first)["payment_intent"])
    s.buy(s.price(7_000, every="month"), "ana")
    s.sb.refund(s.sb.all("charge")[-1]["id"], amount=700)
    s.end(ana=[gone(600), back(1_400, 140)], refused=[])


@story("18-by-credit-note")
def credit_note_over_everything_is_one_reversal(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [5_000, 2_500])["id"]
    s.sb.credit_note(invoice, amount=7_500)
    s.end(ana=[gone(1_500)], refused=[])


@story("19")
def failed_refund_restores_the_reward(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    refund = s.sb.refund(session)["id"]
    s.expect(ana=[gone(2_000)])
    s.sb.advance_by(days=2)
    s.sb.fail_refund(refund)
    s.end(ana=[pending(2_000)], refused=[])


@story("19-at-once")
def refund_that_fails_within_the_second(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000), "ana")
    s.sb.fail_refund(s.sb.refund(session, amount=6_000)["id"])
    s.expect(ana=[pending(2_000)])
    s.sb.refund(session, amount=1_000)
    s.end(ana=[back(2_000, 200)], refused=[])


@story("19-one-of-two")
def one_of_two_refunds_fails(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, "eur", every="month"), "ana")
    lost = s.sb.refund(session, amount=3_000, status="pending")["id"]
    s.sb.advance_by(days=1)
    s.sb.refund(session, amount=2_000)
    s.expect(ana=[back(2_000, 1_000, "eur")])
    s.sb.advance_by(days=1)
    s.sb.fail_refund(lost)
    s.end(ana=[back(2_000, 400, "eur")], refused=[])


@story("19-pending")
def pending_refunds_settle_and_are_cancelled(s: Story) -> None:
    s.affiliate("ana")
    settled, cancelled = s.buy(s.price(1_000), "ana"), s.buy(s.price(3_000), "ana")
    first, second = [s.sb.refund(session, status="pending")["id"] for session in (settled, cancelled)]
    s.sb.advance_by(days=1)
    s.sb.settle_refund(first)
    s.sb.cancel_refund(second)
    s.end(ana=[gone(200), pending(600)], refused=[])


@story("20")
def refund_told_by_two_events_is_one_reversal(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(8_000, every="month"), "ana")
    s.deliver()
    s.sb.refund(session, amount=2_000)
    s.deliver("charge.refunded")
    s.expect(ana=[back(1_600, 400)])
    s.end(ana=[back(1_600, 400)], refused=[])


@story("20-charge-only")
def refunds_told_by_the_charge_alone(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(8_000), "ana")
    s.lose("refund.created", "refund.updated", "charge.refund.updated")
    s.sb.refund(session, amount=2_000)
    s.expect(ana=[back(1_600, 400)])
    s.sb.advance_by(days=1)
    s.sb.refund(session)
    s.end(ana=[gone(1_600)], refused=[])


@story("20-refund-only")
def refunds_told_by_the_refund_alone(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(8_000, every="month"), "ana")
    s.lose("charge.refunded")
    s.sb.refund(session, amount=2_000)
    s.sb.refund(session, amount=1_000)
    s.end(ana=[back(1_600, 600)], refused=[])


@story("22", has_api=True)
def refund_of_a_payment_whose_invoice_must_be_asked_for(s: Story) -> None:
    s.affiliate("ana")
    s.lose("invoice_payment.paid")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.deliver("invoice.paid", "checkout.session.completed", "customer.subscription.created")
    s.sb.refund(session, amount=5_000)
    s.end(ana=[back(2_000, 1_000)], refused=[])


@story("22-renewal", has_api=True)
def refund_of_a_renewal_whose_invoice_must_be_asked_for(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    s.lose("invoice_payment.paid", "payment_intent.succeeded", "charge.succeeded")
    s.buy(s.price(3_000, "eur", every="month"), "ana")
    s.wait(months=1)
    s.sb.refund(s.sb.all("invoice")[1]["id"])
    s.end(ana=[payable(600, "eur"), gone(600, "eur")], refused=[])


@story("22-linked")
def refund_of_a_payment_intent_with_its_invoice_payment(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.sb.refund(session, amount=2_000)
    s.deliver("refund.created", "charge.refunded")
    s.deliver("invoice.paid", "checkout.session.completed")
    s.end(ana=[back(2_000, 400)], refused=[])


@story("22-dispute", has_api=True)
def dispute_of_a_payment_whose_invoice_must_be_asked_for(s: Story) -> None:
    s.affiliate("ana")
    s.lose("invoice_payment.paid", "payment_intent.succeeded", "charge.succeeded")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.sb.dispute(session)
    s.end(ana=[gone(2_000)], refused=[])


@story("23")
def refund_arrives_before_the_payment(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.sb.refund(session, amount=4_000)
    s.deliver("charge.refunded", "refund.created")
    s.glance(ana=[])
    s.end(ana=[back(2_000, 800)], refused=[])


@story("23-one-off")
def refund_of_a_guests_sale_arrives_first(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(1_500, "eur"), "ana")
    s.sb.refund(session)
    s.deliver("refund.created")
    s.deliver("charge.refunded")
    s.end(ana=[gone(300, "eur")], refused=[])


@story("39")
def late_refund_of_a_deleted_customer(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    customer = s.sb.get(session)["customer"]
    s.wait(days=5)
    s.sb.delete_customer(customer)
    s.wait(days=5)
    s.sb.refund(session)
    s.end(ana=[gone(2_000)], refused=[])


@story("39-order")
def deletion_arrives_before_everything_else(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer("ana")
    s.buy(s.price(5_000), customer=customer)
    s.sb.delete_customer(customer)
    s.sb.refund(s.sb.all("charge")[0]["id"], amount=1_000)
    s.deliver("customer.deleted")
    s.deliver("charge.refunded", "refund.created")
    s.end(ana=[back(1_000, 200)], refused=[])


@story("18-named-lines-first")
def full_refund_after_a_note_on_a_line_that_earned_nothing(s: Story) -> None:
    course, book = s.price(5_000, product="Course"), s.price(3_000, product="Book")
    s.program(products=(s.product_of(course),))
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [course, book])
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": invoice["_lines"][1], "amount": 3_000}])
    s.expect(ana=[pending(1_000)])
    s.sb.refund(invoice["id"])
    s.end(ana=[gone(1_000)], refused=[])
