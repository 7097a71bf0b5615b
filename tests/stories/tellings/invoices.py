"""Invoices that are not just paid in full by card (scenarios 31 to 38)."""

from __future__ import annotations

from stories.story import Story, back, gone, payable, pending, story


@story("31", has_api=True)
def paid_out_of_band(s: Story) -> None:
    s.affiliate("ana")
    s.program("strict", counts_out_of_band=False)
    s.affiliate("bea", program="strict")
    for refcode in ("ana", "bea"):
        customer = s.customer(refcode, email=f"{refcode}s@customers.example")
        invoice = s.sb.create_invoice(customer, [{"amount": 12_500, "description": "Wire"}])
        s.sb.pay_invoice(invoice["id"], out_of_band=True)
    s.end(ana=[pending(2_500)], bea=[], refused=["nothing_paid"])


@story("31-without-key")
def paid_out_of_band_counts_by_default(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 990, "description": "Wire"}], currency="chf")
    s.sb.pay_invoice(invoice["id"], out_of_band=True)
    s.end(ana=[pending(198, "chf")], refused=[])


@story("31-in-part", has_api=True)
def partly_by_card_and_the_rest_out_of_band(s: Story) -> None:
    s.program(counts_out_of_band=False)
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 10_000, "description": "Work"}])
    s.sb.pay_invoice(invoice["id"], amount=4_000)
    s.sb.pay_invoice(invoice["id"], out_of_band=True)
    s.end(ana=[pending(800)], refused=[])


@story("32")
def paid_from_the_customer_balance(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer("ana")
    s.sb.credit_customer(customer, -10_000)
    s.sb.subscribe(customer, price=s.price(10_000, every="month"))
    s.end(ana=[], refused=["nothing_paid"])


@story("32-in-part")
def partly_paid_from_the_customer_balance(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer("ana")
    s.sb.credit_customer(customer, -2_500)
    s.sb.subscribe(customer, price=s.price(10_000, every="month"))
    s.expect(ana=[pending(1_500)])
    invoice = s.sb.all("invoice")[0]["id"]
    s.sb.refund(invoice, amount=3_750)  # half of the money that moved
    s.end(ana=[back(1_500, 750)], refused=[])


@story("32-debit")
def what_the_customer_still_owed_is_not_earned_on(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer("ana")
    s.sb.credit_customer(customer, 1_000)  # a debt, paid with the next invoice
    s.sb.subscribe(customer, price=s.price(10_000, every="month"))
    s.end(ana=[pending(2_000)], refused=[])


@story("32-tax")
def partly_paid_from_the_balance_with_tax(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer("ana")
    s.sb.credit_customer(customer, -5_950, currency="eur")
    vat = s.sb.create_tax_rate(1_900, inclusive=False)["id"]
    s.sb.subscribe(customer, price=s.price(10_000, "eur", every="month"), tax_rate=vat)
    s.end(ana=[pending(1_000, "eur")], refused=[])  # 59.50 of 119.00 moved: half of 100.00


@story("33")
def overpaid_invoice(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 10_000, "description": "Work"}])
    s.sb.pay_invoice(invoice["id"], amount=12_000)
    s.end(ana=[pending(2_000)], refused=[])


@story("33-after-balance")
def overpaid_invoice_that_the_balance_had_lowered(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer("ana")
    s.sb.credit_customer(customer, -4_000)
    invoice = s.sb.create_invoice(customer, [{"amount": 10_000, "description": "Work"}])
    s.sb.pay_invoice(invoice["id"], amount=9_000)  # 60.00 were due
    s.end(ana=[pending(1_200)], refused=[])


@story("34")
def partial_payments_count_once_when_the_invoice_is_paid(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 9_000, "description": "Work"}])["id"]
    s.sb.pay_invoice(invoice, amount=2_000)
    s.deliver()
    s.sb.pay_invoice(invoice, amount=3_000)
    s.deliver()
    s.expect(ana=[])
    s.sb.pay_invoice(invoice)
    s.end(ana=[pending(1_800)], refused=[])


@story("34-refunded")
def refund_of_one_of_three_partial_payments(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 10_000, "description": "Work"}])["id"]
    for amount in (1_500, 2_500, 6_000):
        s.sb.pay_invoice(invoice, amount=amount)
    charges = {charge["amount"]: charge["id"] for charge in s.sb.all("charge")}
    s.sb.refund(charges[2_500])
    s.expect(ana=[back(2_000, 500)])
    s.sb.refund(charges[6_000])
    s.sb.refund(charges[1_500])
    s.end(ana=[gone(2_000)], refused=[])


@story("35")
def credit_note_before_payment(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 10_000, "description": "Work"}])["id"]
    s.sb.credit_note(invoice, amount=3_000)
    s.sb.pay_invoice(invoice)
    s.end(ana=[pending(1_400)], refused=[])


@story("35-voided")
def credit_note_before_payment_that_is_voided(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 8_000, "description": "Work"}], currency="eur")["id"]
    note = s.sb.credit_note(invoice, amount=3_000)
    s.sb.void_credit_note(note["id"])
    s.sb.pay_invoice(invoice)
    s.end(ana=[pending(1_600, "eur")], refused=[])


@story("35-all")
def credit_note_over_everything_before_payment(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 10_000, "description": "Work"}])["id"]
    s.sb.credit_note(invoice, amount=10_000)
    s.end(ana=[], refused=["nothing_paid"])


@story("36")
def credit_note_to_the_balance_takes_its_part_back(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [10_000])["id"]
    s.expect(ana=[pending(2_000)])
    s.sb.credit_note(invoice, amount=4_000, credit_amount=4_000)
    s.end(ana=[back(2_000, 800)], refused=[])


@story("36-split")
def credit_note_split_over_refund_balance_and_cash(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [10_000], currency="eur")["id"]
    s.sb.credit_note(invoice, amount=6_000, refund_amount=3_000, credit_amount=2_000, out_of_band_amount=1_000)
    s.expect(ana=[back(2_000, 1_200, "eur")])
    s.sb.credit_note(invoice, amount=4_000, out_of_band_amount=4_000)
    s.end(ana=[gone(2_000, "eur")], refused=[])


@story("36-and-refund")
def credit_note_to_the_balance_and_a_refund_by_hand(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [5_000])["id"]
    s.sb.refund(invoice, amount=1_000)
    s.sb.credit_note(invoice, amount=1_500, credit_amount=1_500)
    s.end(ana=[back(1_000, 500)], refused=[])


@story("37")
def voided_and_uncollectible_invoices_earn_nothing(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer("ana")
    voided, lost = [s.sb.create_invoice(customer, [{"amount": 5_000, "description": "Work"}])["id"] for _ in range(2)]
    s.sb.void_invoice(voided)
    s.sb.mark_uncollectible(lost)
    s.end(ana=[], refused=[])


@story("37-paid-later")
def uncollectible_invoice_that_is_paid_after_all(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.sb.create_invoice(s.customer("ana"), [{"amount": 5_000, "description": "Work"}])["id"]
    s.sb.mark_uncollectible(invoice)
    s.expect(ana=[])
    s.sb.advance_by(days=9)
    s.sb.pay_invoice(invoice)
    s.end(ana=[pending(1_000)], refused=[])


@story("37-failed-renewal")
def renewal_that_cannot_be_collected(s: Story) -> None:
    s.program(hold_days=60)
    s.affiliate("ana")
    session = s.buy(s.price(2_000, every="month"), "ana")
    subscription = s.sb.get(session)["subscription"]
    s.sb.change_card(subscription, "declined")
    s.wait(months=1)
    s.expect(ana=[pending(400)])
    s.sb.pay_invoice(s.sb.get(subscription)["latest_invoice"], card="visa")
    s.end(ana=[pending(400), pending(400)], refused=[])


@story("38")
def renewal_of_nothing(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(2_000, every="month"), "ana")
    free = s.sb.create_coupon(percent_off=100, duration="forever")["id"]
    s.sb.set_discount(s.sb.get(session)["subscription"], coupon=free)
    s.wait(months=1)
    s.end(ana=[payable(400)], refused=["nothing_paid"])


@story("38-free-plan")
def free_plan_with_renewals(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(0, every="month"), "ana")
    s.wait(months=2)
    s.expect_referrals(ana=1)
    s.end(ana=[], refused=["nothing_paid", "nothing_paid", "nothing_paid"])
