"""One row of the shape table after the other: old and new payloads of one thing give one fact."""

from typing import Any

import pytest
from stripe_payloads import (
    NOW,
    charge,
    customer,
    event,
    facts,
    fraud_warning,
    invoice,
    invoice_payment,
    line,
    lines,
    needs,
    old_invoice,
    old_line,
    payment_intent,
    session,
    subscription,
)

from refref.core.facts import CarrierKind, Kind, Line
from refref.stripe.readers import Need, NeedKind, read, read_document

DROPPED_BY_BASIL = {"ch_1", "pi_1"}


def state_of(payload: dict[str, Any], name: str | None = None) -> Any:
    return facts(payload, name)[payload["id"]].state


def test_the_invoice_of_both_shapes_is_one_state() -> None:
    old, new = facts(old_invoice())["in_1"], facts(invoice())["in_1"]
    assert old.state == new.state
    assert (old.rank, old.weight) == (new.rank, new.weight) == (4, 12)
    assert new.links == ("cus_1", "sub_1")
    assert set(old.links) - set(new.links) == DROPPED_BY_BASIL


@pytest.mark.parametrize(
    "payload",
    [
        invoice(),
        invoice(parent={"subscription_details": {"subscription": subscription()}}),
        invoice(parent=None, subscription="sub_1"),
        old_invoice(subscription={"id": "sub_1", "object": "subscription", "deleted": True}),
        old_invoice(parent={"subscription_details": {"subscription": "sub_1"}}),  # acacia carries both
        invoice(customer=customer()),
        invoice(customer={"id": "cus_1", "object": "customer", "deleted": True}),
        invoice(customer=None, customer_account="cus_1"),
    ],
)
def test_the_invoice_finds_its_subscription_and_customer(payload: dict[str, Any]) -> None:
    assert {"sub_1", "cus_1"} <= set(facts(payload)["in_1"].links)


def test_an_invoice_without_subscription_or_customer() -> None:
    assert facts(invoice(parent=None, customer=None))["in_1"].links == ()
    quote = {"type": "quote_details", "quote_details": {"quote": "qt_1"}, "subscription_details": None}
    assert facts(invoice(parent=quote))["in_1"].links == ("cus_1",)


def test_metadata_of_the_subscription_travels_on_the_invoice() -> None:
    metadata = {"refref_referral_id": " ref_1 ", "refref_campaign": "spring"}
    new = facts(invoice(parent={"subscription_details": {"subscription": "sub_1", "metadata": metadata}}))
    old = facts(old_invoice(subscription_details={"metadata": metadata}))
    for found in (new, old):
        (carrier,) = found["sub_1"].carriers
        assert (carrier.kind, carrier.value, carrier.campaign) == (
            CarrierKind.SUBSCRIPTION_METADATA,
            "ref_1",
            "spring",
        )
        assert carrier.seen_at == NOW - 60  # the invoice's created: the snapshot was taken then
        assert found["sub_1"].state is None
        assert found["in_1"].carriers == ()
    assert new["sub_1"] == old["sub_1"]


@pytest.mark.parametrize(
    ("payload", "paid", "off_stripe", "weight"),
    [
        (old_invoice(), 1000, 0, 12),
        (old_invoice(amount_paid=0, paid_out_of_band=True), 1000, 1000, 13),
        (old_invoice(amount_paid=300, paid_out_of_band=True), 1000, 700, 13),
        (old_invoice(amount_paid=1000, paid_out_of_band=True), 1000, 1000, 13),
        (invoice(amount_paid_off_stripe=1000), 1000, 1000, 13),
        (invoice(amount_paid_off_stripe=700), 1000, 700, 13),
        (invoice(amount_paid_off_stripe=None), 1000, 0, 12),
        (invoice(amount_paid=0), 0, 0, 12),  # paid from the customer balance
    ],
)
def test_out_of_band_money(payload: dict[str, Any], paid: int, off_stripe: int, weight: int) -> None:
    fact = facts(payload)["in_1"]
    assert (fact.state.amount_paid, fact.state.amount_off_stripe) == (paid, off_stripe)
    assert fact.weight == weight


def test_where_out_of_band_money_cannot_be_told_it_is_asked_for() -> None:
    unknown = invoice()
    del unknown["amount_paid_off_stripe"]
    assert needs(unknown) == {("invoice_off_stripe", "in_1")}
    assert needs(invoice()) == needs(old_invoice()) == set()
    without_flag = old_invoice()
    del without_flag["paid_out_of_band"]
    assert needs(without_flag) == set()
    (fact,) = read_document(Need(NeedKind.INVOICE_OFF_STRIPE, "in_1"), invoice(amount_paid_off_stripe=1000), NOW)
    assert fact.weight > facts(unknown)["in_1"].weight


TAXES = {
    "old exclusive": old_line(tax_amounts=[{"amount": 100, "inclusive": False, "tax_rate": "txr_1"}]),
    "new exclusive": line(taxes=[{"amount": 100, "tax_behavior": "exclusive"}]),
    "both": old_line(
        tax_amounts=[{"amount": 100, "inclusive": False}], taxes=[{"amount": 100, "tax_behavior": "exclusive"}]
    ),
}


@pytest.mark.parametrize("name", TAXES)
def test_exclusive_tax_of_a_line(name: str) -> None:
    found = state_of(invoice(lines=lines(TAXES[name]))).lines[0]
    assert (found.tax_inclusive, found.tax_exclusive) == (0, 100)


def test_inclusive_and_mixed_tax_of_a_line() -> None:
    old = old_line(tax_amounts=[{"amount": 91, "inclusive": True}, {"amount": 9, "inclusive": False}])
    new = line(taxes=[{"amount": 91, "tax_behavior": "inclusive"}, {"amount": 9, "tax_behavior": "exclusive"}])
    expected = Line("il_1", 1000, 0, 91, 9, 0, "prod_1", "price_1", 1, False, "1 × Pro")
    assert state_of(invoice(lines=lines(old))).lines == state_of(invoice(lines=lines(new))).lines == (expected,)


@pytest.mark.parametrize(
    "payload",
    [
        invoice(total=1100, total_excluding_tax=1000, total_taxes=[{"amount": 100, "tax_behavior": "exclusive"}]),
        invoice(total=1100, total_excluding_tax=None, total_taxes=[{"amount": 100, "tax_behavior": "exclusive"}]),
        old_invoice(total=1100, total_excluding_tax=None, tax=100),
        old_invoice(total=1100, total_excluding_tax=None, total_tax_amounts=[{"amount": 100, "inclusive": False}]),
    ],
)
def test_tax_of_an_invoice(payload: dict[str, Any]) -> None:
    state = state_of(payload)
    assert (state.tax, state.total_excluding_tax) == (100, 1000)


@pytest.mark.parametrize(
    ("changes", "shipping"),
    [
        ({}, 0),
        ({"shipping_cost": {"amount_subtotal": 500, "amount_tax": 50, "amount_total": 550}}, 500),
        ({"shipping_cost": {"amount_subtotal": 550, "amount_tax": 50, "amount_total": 550}}, 500),
        ({"shipping_cost": {"amount_subtotal": 500}}, 500),
        ({"shipping_cost": None, "amount_shipping": 500}, 500),
    ],
)
def test_shipping_is_net(changes: dict[str, Any], shipping: int) -> None:
    assert state_of(invoice(**changes)).shipping == shipping
    totals = {"amount_discount": 0, "amount_tax": 0, "amount_shipping": changes.get("amount_shipping", 0)}
    assert state_of(session(**changes, total_details=totals)).amount_shipping == shipping


def test_discounts_and_billing_credits_of_a_line() -> None:
    new = line(
        discount_amounts=[{"amount": 100, "discount": "di_1"}, {"amount": 50, "discount": "di_2"}],
        pretax_credit_amounts=[
            {"amount": 150, "discount": "di_1", "type": "discount"},
            {"amount": 200, "credit_balance_transaction": "cbtxn_1", "type": "credit_balance_transaction"},
        ],
    )
    found = state_of(invoice(lines=lines(new))).lines[0]
    assert (found.discount, found.credit_applied) == (150, 200)
    del new["discount_amounts"]
    assert state_of(invoice(lines=lines(new))).lines[0].discount == 150


@pytest.mark.parametrize(
    ("changes", "product", "price"),
    [
        ({"pricing": {"price_details": {"price": "price_2", "product": "prod_2"}}}, "prod_2", "price_2"),
        (
            {"pricing": {"price_details": {"price": {"id": "price_2", "product": "prod_2"}}}},
            "prod_2",
            "price_2",
        ),
        ({"pricing": None, "price": {"id": "price_2", "product": {"id": "prod_2"}}}, "prod_2", "price_2"),
        ({"pricing": None, "price": "price_2"}, None, "price_2"),
        ({"pricing": None, "plan": {"id": "price_2", "product": "prod_2"}}, "prod_2", "price_2"),
        ({"pricing": None}, None, None),  # a bare invoice item
    ],
)
def test_product_and_price_of_a_line(changes: dict[str, Any], product: str | None, price: str | None) -> None:
    found = state_of(invoice(lines=lines(line(**changes)))).lines[0]
    assert (found.product, found.price) == (product, price)


@pytest.mark.parametrize(
    "changed",
    [
        old_line(proration=True),
        line(parent={"subscription_item_details": {"proration": True}, "invoice_item_details": None}),
        line(parent={"invoice_item_details": {"proration": True}, "subscription_item_details": None}),
    ],
)
def test_proration_of_a_line(changed: dict[str, Any]) -> None:
    assert state_of(invoice(lines=lines(changed))).lines[0].is_proration


@pytest.mark.parametrize(
    ("listed", "has_all"),
    [
        (lines(line()), True),
        ({"data": [line()], "has_more": False}, True),
        (lines(line(), has_more=True), False),
        (lines(line(), total_count=12), False),
        (None, False),
    ],
)
def test_cut_off_lines_are_asked_for(listed: dict[str, Any] | None, has_all: bool) -> None:
    payload = invoice(lines=listed)
    assert state_of(payload).has_all_lines is has_all
    assert needs(payload) == (set() if has_all else {("invoice_lines", "in_1")})


def test_lines_of_an_unpaid_invoice_are_not_asked_for() -> None:
    for status, name in (("void", "invoice.voided"), ("uncollectible", "invoice.marked_uncollectible")):
        assert needs(invoice(status=status, lines=lines(line(), has_more=True)), name) == set()


def test_a_payment_intent_without_money_may_lack_the_amounts() -> None:
    open_intent = payment_intent(status="requires_payment_method", currency=None, amount_received=None)
    state = facts(open_intent, "payment_intent.payment_failed")["pi_1"].state
    assert (state.currency, state.amount_received) == ("", 0)


def test_billing_credits_that_an_old_line_hides_are_asked_for() -> None:
    credit = {"amount": 200, "credit_balance_transaction": "cbtxn_1", "type": "credit_balance_transaction"}
    new = invoice(total=800, total_excluding_tax=800, lines=lines(line(pretax_credit_amounts=[credit])))
    old = old_invoice(total=800, total_excluding_tax=800)
    assert needs(new) == set()
    assert needs(old) == {("invoice_lines", "in_1")}
    (fetched,) = read_document(Need(NeedKind.INVOICE_LINES, "in_1"), new, NOW)
    assert fetched.weight > facts(old)["in_1"].weight
    # A line that adds up hides nothing: discount, exclusive tax and shipping are in the total.
    whole = old_line(
        discount_amounts=[{"amount": 100, "discount": None}], tax_amounts=[{"amount": 90, "inclusive": False}]
    )
    shipping = {"amount_subtotal": 50, "amount_tax": 5, "amount_total": 55}
    assert needs(old_invoice(total=1045, total_excluding_tax=950, lines=lines(whole), shipping_cost=shipping)) == set()


def test_the_invoice_with_every_line_wins() -> None:
    (partial,) = read(event(invoice(lines=lines(line(), has_more=True)))).facts
    whole = invoice(lines=lines(line(), line(id="il_2")))
    (fetched,) = read_document(Need(NeedKind.INVOICE_LINES, "in_1"), whole, partial.seen_at)
    assert (fetched.rank, fetched.seen_at) == (partial.rank, partial.seen_at)
    assert fetched.weight > partial.weight


def test_a_line_with_a_new_enum_value_and_new_keys() -> None:
    odd = line(parent={"type": "license_fee_details", "license_fee_details": {"x": 1}}, novelty=[1, 2])
    assert state_of(invoice(lines=lines(odd), billing_reason="novelty")).billing_reason == "novelty"


PROMOTED = {"id": "di_1", "object": "discount", "promotion_code": "promo_1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"discount": PROMOTED},
        {"discounts": [PROMOTED]},
        {"discounts": [{**PROMOTED, "promotion_code": {"id": "promo_1", "object": "promotion_code"}}]},
        {"discounts": ["di_1"], "total_discount_amounts": [{"amount": 1, "discount": PROMOTED}]},
        {"discounts": [{**PROMOTED, "source": {"type": "coupon", "coupon": "c"}}]},
        {"lines": lines(line(discounts=[PROMOTED], discount_amounts=[{"amount": 1, "discount": "di_1"}]))},
    ],
)
def test_promotion_codes_of_an_invoice(changes: dict[str, Any]) -> None:
    (carrier,) = facts(invoice(**changes))["in_1"].carriers
    assert (carrier.kind, carrier.value, carrier.seen_at) == (CarrierKind.PROMOTION_CODE, "promo_1", NOW)
    assert needs(invoice(**changes)) == set()


def test_discounts_known_by_id_are_asked_for() -> None:
    assert needs(invoice(discounts=["di_1"])) == {("invoice_discounts", "in_1")}
    assert needs(subscription(discounts=["di_1"])) == {("subscription_discounts", "sub_1")}
    (fact,) = read_document(Need(NeedKind.INVOICE_DISCOUNTS, "in_1"), invoice(discounts=[PROMOTED]), NOW)
    assert fact.state is None
    assert fact.carriers == facts(invoice(discounts=[PROMOTED]))["in_1"].carriers


@pytest.mark.parametrize(
    "payload",
    [
        charge(),
        charge(invoice=None),
        payment_intent(),
        payment_intent(invoice=None),
    ],
)
def test_a_payment_without_an_invoice_asks_for_it(payload: dict[str, Any]) -> None:
    assert needs(payload) == {("invoice_of_payment", "pi_1")}


def test_a_payment_with_an_invoice_links_it() -> None:
    assert needs(charge(invoice="in_1")) == needs(payment_intent(invoice="in_1")) == set()
    assert set(facts(charge(invoice="in_1"))["ch_1"].links) == {"in_1", "pi_1", "cus_1"}
    assert needs(charge(payment_intent=None)) == set()  # a bare charge
    assert needs(payment_intent(status="requires_payment_method"), "payment_intent.payment_failed") == set()


def test_an_invoice_payment_ties_invoice_and_payment() -> None:
    assert facts(invoice_payment())["inpay_1"].links == ("in_1", "pi_1")
    charged = invoice_payment(payment={"type": "charge", "charge": "ch_1"}, status="open", amount_paid=None)
    fact = facts(charged)["inpay_1"]
    assert (fact.links, fact.rank, fact.state.amount_paid) == (("ch_1", "in_1"), 0, 0)
    document = {"object": "list", "data": [invoice_payment()], "has_more": False}
    assert read_document(Need(NeedKind.INVOICE_OF_PAYMENT, "pi_1"), document, NOW) == (
        facts(invoice_payment())["inpay_1"],
    )
    assert read_document(Need(NeedKind.INVOICE_OF_PAYMENT, "pi_1"), {"object": "list", "data": []}, NOW) == ()


def test_a_charge_of_any_age() -> None:
    assert state_of(charge()).card_fingerprint == "fp_1"
    old = charge(payment_method_details=None, source={"object": "card", "fingerprint": "fp_1"}, receipt_email="r@x.y")
    del old["amount_captured"]
    assert state_of(old) == state_of(charge())
    assert state_of({**old, "captured": False}).amount == 0
    nested = payment_intent(latest_charge=None, charges={"data": [charge()]})
    assert facts(nested)["ch_1"] == facts(charge())["ch_1"]
    assert "ch_1" in facts(nested)["pi_1"].links


def test_a_fraud_warning_marks_the_charge() -> None:
    fact = facts(fraud_warning())["ch_1"]
    assert (fact.kind, fact.state, fact.marks) == (Kind.CHARGE, None, (("fraud_warning", NOW - 3),))
    assert fact.links == ("pi_1",)


def test_subscription_of_both_shapes_is_one_state() -> None:
    new = subscription()
    old = subscription(currency=None, current_period_end=NOW + 100, discount=None)
    del old["items"]["data"][0]["current_period_end"]
    assert facts(old) == facts(new)
    assert state_of(new).quantity == 2
    assert state_of(new).products == ("prod_1",)
    assert state_of(new).current_period_end_at == NOW + 100
    items = [
        {"id": "si_1", "plan": {"id": "b", "product": "p2"}, "quantity": 1, "current_period_end": NOW + 5},
        {"id": "si_2", "plan": {"id": "a", "product": "p1"}, "current_period_end": NOW + 9},
    ]
    several = state_of(subscription(items={"data": items}))
    assert (several.products, several.prices, several.quantity, several.current_period_end_at) == (
        ("p1", "p2"),
        ("a", "b"),
        1,
        NOW + 9,
    )


@pytest.mark.parametrize("status", ["canceled", "incomplete_expired"])
def test_an_ended_subscription_stays_ended(status: str) -> None:
    assert facts(subscription(status=status), "customer.subscription.deleted")["sub_1"].rank == 1
    assert facts(subscription(status="novelty"))["sub_1"].rank == 0


def test_created_loses_against_updated_of_the_same_second() -> None:
    created = facts(subscription(), "customer.subscription.created")["sub_1"]
    updated = facts(subscription(status="incomplete"), "customer.subscription.updated")["sub_1"]
    assert updated.weight > created.weight
    (fetched,) = read_document(Need(NeedKind.SUBSCRIPTION, "sub_1"), subscription(status="incomplete"), NOW)
    assert fetched.weight > facts(subscription(status="paused"))["sub_1"].weight
