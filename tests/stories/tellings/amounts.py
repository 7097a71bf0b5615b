"""What a reward is worked out from: tax, shipping, lines, currencies (scenarios 14, 15, 26 to 30, 54, 55)."""

from __future__ import annotations

from refref.core.money import payout_amount
from refref.core.terms import RewardRule
from stories.story import Story, back, pending, story


@story("14")
def tax_on_top(s: Story) -> None:
    s.affiliate("ana")
    rate = s.sb.create_tax_rate(1_000, inclusive=False)["id"]
    s.buy(s.price(10_000, every="month"), "ana", tax_rate=rate)
    s.buy(s.price(10_000), "ana", tax_rate=rate)
    s.end(ana=[pending(2_000), pending(2_000)], refused=[])


@story("14-inclusive")
def tax_inside_the_price(s: Story) -> None:
    s.affiliate("ana")
    tenth = s.sb.create_tax_rate(1_000, inclusive=True)["id"]
    vat = s.sb.create_tax_rate(1_900, inclusive=True)["id"]
    s.buy(s.price(11_000, "eur", every="month"), "ana", tax_rate=tenth)
    s.buy(s.price(4_999, "eur"), "ana", tax_rate=vat)  # 49.99 holds 7.98 of tax
    s.end(ana=[pending(840, "eur"), pending(2_000, "eur")], refused=[])


@story("14-with-tax")
def terms_that_count_tax(s: Story) -> None:
    s.program(includes_tax=True)
    s.affiliate("ana")
    on_top = s.sb.create_tax_rate(2_000, inclusive=False)["id"]
    inside = s.sb.create_tax_rate(2_000, inclusive=True)["id"]
    s.buy(s.price(10_000, every="month"), "ana", tax_rate=on_top)
    s.buy(s.price(12_000), "ana", tax_rate=inside)
    s.end(ana=[pending(2_400), pending(2_400)], refused=[])


@story("14-coupon")
def tax_after_a_coupon_and_a_refund(s: Story) -> None:
    s.affiliate("ana")
    rate = s.sb.create_tax_rate(1_000, inclusive=False)["id"]
    half = s.sb.create_coupon(percent_off=50)["id"]
    session = s.buy(s.price(10_000, every="month"), "ana", tax_rate=rate, discounts=[{"coupon": half}])
    s.expect(ana=[pending(1_000)])
    s.sb.refund(session, amount=1_100)  # a fifth of 55.00
    s.end(ana=[back(1_000, 200)], refused=[])


@story("15")
def shipping_is_left_out(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(5_000), "ana", shipping=790)
    s.buy(s.price(5_000), "ana", shipping=790, invoice_creation={"enabled": True})
    s.end(ana=[pending(1_000), pending(1_000)], refused=[])


@story("15-counted")
def terms_that_count_shipping(s: Story) -> None:
    s.program(includes_shipping=True)
    s.affiliate("ana")
    s.buy(s.price(5_000), "ana", shipping=1_000)
    s.paid_invoice(s.customer("ana"), [5_000, 2_000], shipping=500)
    s.end(ana=[pending(1_200), pending(1_500)], refused=[])


@story("15-with-tax")
def shipping_tax_and_coupon_together(s: Story) -> None:
    s.affiliate("ana")
    rate = s.sb.create_tax_rate(2_100, inclusive=True)["id"]
    coupon = s.sb.create_coupon(amount_off=2_100, currency="eur")["id"]
    s.buy(s.price(14_200, "eur"), "ana", shipping=499, tax_rate=rate, discounts=[{"coupon": coupon}])
    # 142.00 - 21.00 = 121.00 with 21 % inside: 100.00
    s.end(ana=[pending(2_000, "eur")], refused=[])


@story("26")
def yen_has_no_minor_unit(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(500, "jpy"), "ana")
    s.buy(s.price(1_234, "jpy", every="month"), "ana")
    s.end(ana=[pending(100, "jpy"), pending(247, "jpy")], refused=[])


@story("27")
def dinar_has_three_decimals(s: Story) -> None:
    s.program(rules=(RewardRule(rule_id="ten", rate_bps=1_000),))
    s.affiliate("ana")
    s.buy(s.price(5_120, "kwd"), "ana")
    s.end(ana=[pending(512, "kwd")], refused=[])
    assert payout_amount(512, "kwd") == 510


@story("28")
def krona_of_iceland_travels_with_two_decimals(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(500, "isk"), "ana")
    s.end(ana=[pending(100, "isk")], refused=[])


@story("29")
def buyer_saw_euro_and_the_price_is_in_dollars(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(10_000), "ana", presentment_currency="eur")
    s.end(ana=[pending(2_000)], refused=[])


@story("29-refunded")
def refund_of_a_sale_shown_in_another_currency(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(2_000, "gbp"), "ana", presentment_currency="chf")
    s.sb.refund(session, amount=500)
    s.end(ana=[back(400, 100, "gbp")], refused=[])


@story("30")
def two_currencies_are_never_added(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(10_000), "ana")
    s.buy(s.price(10_000, "eur"), "ana")
    s.end(ana=[pending(2_000, "eur"), pending(2_000)], refused=[])
    balances = s.world.balances(s.merchant, s.names["ana"])
    assert balances == {("pending", "usd"): 2_000, ("pending", "eur"): 2_000}


@story("30-fixed")
def fixed_rewards_by_currency(s: Story) -> None:
    s.program(rules=(RewardRule(rule_id="fixed", kind="fixed", amounts={"usd": 1_000, "eur": 900, "jpy": 1_500}),))
    s.affiliate("ana")
    for currency in ("usd", "eur", "jpy", "gbp"):
        s.buy(s.price(4_200, currency), "ana")
        s.sb.advance_by(hours=1)
    s.end(ana=[pending(1_000), pending(900, "eur"), pending(1_500, "jpy")], refused=["no_amount_for_currency"])


@story("54", has_api=True)
def invoice_with_more_lines_than_a_webhook_carries(s: Story) -> None:
    extra, plan = s.price(250, product="Extra"), s.price(5_000, product="Plan")
    s.program(products=(s.product_of(extra),))
    s.affiliate("ana")
    s.paid_invoice(s.customer("ana"), [plan, *([extra] * 12)])
    s.end(ana=[pending(600)], refused=[])  # twelve times 2.50


@story("54-without-key")
def many_lines_without_a_key(s: Story) -> None:
    s.affiliate("ana")
    s.paid_invoice(s.customer("ana"), [1_000] * 13)
    s.end(ana=[pending(2_600)], refused=[])


@story("54-rule-without-key")
def product_rule_waits_for_lines_that_cannot_be_fetched(s: Story) -> None:
    extra = s.price(250, product="Extra")
    s.program(products=(s.product_of(extra),))
    s.affiliate("ana")
    customer = s.customer("ana")
    s.paid_invoice(customer, [extra] * 12)
    s.paid_invoice(customer, [extra] * 2)
    s.end(ana=[pending(100)], refused=["lines_missing"])


@story("54-refunded", has_api=True)
def credit_note_names_a_line_beyond_the_tenth(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [1_000] * 14)
    line = invoice["_lines"][-1]
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": line, "amount": 1_000}])
    s.end(ana=[back(2_800, 200)], refused=[])


@story("54-refunded-without-key")
def credit_note_names_a_line_that_is_not_known(s: Story) -> None:
    s.affiliate("ana")
    invoice = s.paid_invoice(s.customer("ana"), [1_000] * 14)
    line = invoice["_lines"][-1]
    s.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": line, "amount": 1_000}], credit_amount=1_000)
    s.end(ana=[back(2_800, 200)], refused=[])


@story("55")
def one_of_three_lines_is_eligible(s: Story) -> None:
    course, book, ticket = (s.price(n, product=p) for n, p in ((6_000, "Course"), (3_000, "Book"), (1_000, "Ticket")))
    s.program(products=(s.product_of(book),))
    s.affiliate("ana")
    coupon = s.sb.create_coupon(percent_off=20)["id"]
    s.paid_invoice(s.customer("ana"), [course, book, ticket], coupon=coupon)
    s.end(ana=[pending(480)], refused=[])  # 30.00 less 6.00


@story("55-coupon-of-another-line")
def discount_belongs_to_another_line(s: Story) -> None:
    course, book = s.price(6_000, "eur", product="Course"), s.price(3_000, "eur", product="Book")
    s.program(products=(book,))  # a price will do as well
    s.affiliate("ana")
    coupon = s.sb.create_coupon(amount_off=4_000, currency="eur", products=[s.product_of(course)])["id"]
    vat = s.sb.create_tax_rate(1_000, inclusive=False)["id"]
    s.paid_invoice(s.customer("ana"), [course, book], coupon=coupon, tax_rate=vat)
    s.end(ana=[pending(600, "eur")], refused=[])


@story("55-none")
def no_line_is_eligible(s: Story) -> None:
    course, book = s.price(6_000, product="Course"), s.price(3_000, product="Book")
    s.program(products=(s.product_of(book),))
    s.affiliate("ana")
    customer = s.customer("ana")
    s.paid_invoice(customer, [course])
    s.buy(s.price(1_000, every="month"), customer=customer)
    s.end(ana=[], refused=["nothing_paid", "nothing_paid"])


@story("55-checkout", has_api=True)
def lines_of_a_checkout_are_fetched(s: Story) -> None:
    book, course = s.price(2_000, product="Book"), s.price(9_000, product="Course")
    s.program(products=(s.product_of(book),))
    s.affiliate("ana")
    half = s.sb.create_coupon(percent_off=50)["id"]
    rate = s.sb.create_tax_rate(1_000, inclusive=False)["id"]
    session = s.sb.checkout(
        mode="payment",
        line_items=[{"price": book, "quantity": 3}, {"price": course}],
        client_reference_id="ana",
        discounts=[{"coupon": half}],
        tax_rate=rate,
        shipping=500,
    )
    s.sb.pay_session(session["id"], email="guest@customers.example")
    s.end(ana=[pending(600)], refused=[])  # half of three books


@story("55-checkout-without-key")
def lines_of_a_checkout_cannot_be_fetched(s: Story) -> None:
    book = s.price(2_000, product="Book")
    s.program(products=(s.product_of(book),))
    s.affiliate("ana")
    s.buy(book, "ana")
    s.buy(book, "ana", invoice_creation={"enabled": True})
    s.end(ana=[pending(400)], refused=["lines_missing"])


@story("55-by-balance")
def eligible_line_of_a_partly_paid_invoice(s: Story) -> None:
    course, book = s.price(7_500, product="Course"), s.price(2_500, product="Book")
    s.program(products=(s.product_of(course),))
    s.affiliate("ana")
    customer = s.customer("ana")
    s.sb.credit_customer(customer, -6_000)
    s.paid_invoice(customer, [course, book])
    s.end(ana=[pending(600)], refused=[])  # 75.00 x 40 : 100
