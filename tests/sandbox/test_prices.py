"""What prices ask: per unit, in tiers, in packages, in other currencies, or what the buyer chooses."""

import pytest

import stripe
from refref.sandbox import Sandbox
from refref.sandbox.errors import StripeError
from sandbox.shop import Shop

TIERS = [{"up_to": 5, "unit_amount": 1000}, {"up_to": 10, "unit_amount": 800, "flat_amount": 500},
         {"up_to": "inf", "unit_amount": 600}]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "quantity", "lines"),
    [
        ("graduated", 3, [3000]),
        ("graduated", 5, [5000]),
        ("graduated", 7, [5000, 1600, 500]),
        ("graduated", 12, [5000, 4000, 500, 1200]),
        ("volume", 3, [3000]),
        ("volume", 7, [5600, 500]),
        ("volume", 12, [7200]),
    ],
)
def test_tiers(sb: Sandbox, mode: str, quantity: int, lines: list[int]) -> None:
    product = sb.create_product("Seats")["id"]
    price = sb.create_price(product, "usd", interval="month", tiers=TIERS, tiers_mode=mode)["id"]
    customer = sb.create_customer()["id"]
    sub = sb.subscribe(customer, price=price, quantity=quantity)
    invoice = sb.get(sub["latest_invoice"])
    assert [line["amount"] for line in invoice["lines"]["data"]] == lines
    assert invoice["amount_paid"] == sum(lines)


@pytest.mark.parametrize(("rounding", "quantity", "amount"), [("up", 11, 2000), ("down", 19, 1000), ("up", 20, 2000)])
def test_packages(sb: Sandbox, rounding: str, quantity: int, amount: int) -> None:
    price = sb.create_price(
        sb.create_product("Tokens")["id"], "usd", 1000, transform_quantity={"divide_by": 10, "round": rounding}
    )["id"]
    invoice = sb.create_invoice(sb.create_customer()["id"], [{"price": price, "quantity": quantity}])
    assert invoice["total"] == amount


def test_fractions_of_a_cent_are_rounded_once(sb: Sandbox) -> None:
    price = sb.create_price(sb.create_product("Calls")["id"], "usd", unit_amount_decimal="0.25")["id"]
    invoice = sb.create_invoice(sb.create_customer()["id"], [{"price": price, "quantity": 130}])
    assert invoice["total"] == 33
    assert invoice["lines"]["data"][0]["pricing"]["unit_amount_decimal"] == "0.25"


def test_a_price_in_several_currencies(shop: Shop) -> None:
    v1 = shop.client.v1
    product = v1.products.create({"name": "Plan"}).id
    price = v1.prices.create(
        {
            "product": product,
            "currency": "usd",
            "unit_amount": 2000,
            "recurring": {"interval": "month"},
            "currency_options": {"eur": {"unit_amount": 1800}},
            "expand": ["currency_options"],
        }
    )
    assert price.currency_options["eur"].unit_amount == 1800
    customer = v1.customers.create({"email": "e@example.com"}).id
    sub = v1.subscriptions.create(
        {"customer": customer, "items": [{"price": price.id}], "currency": "eur", "expand": ["latest_invoice"]}
    )
    assert (sub.currency, sub.latest_invoice.currency, sub.latest_invoice.amount_paid) == ("eur", "eur", 1800)
    with pytest.raises(stripe.InvalidRequestError, match="only supports `usd`"):
        v1.subscriptions.create({"customer": customer, "items": [{"price": price.id}], "currency": "gbp"})
    shop.sb.advance_by(months=1)
    assert v1.invoices.list({"subscription": sub.id, "limit": 1}).data[0].amount_paid == 1800


def test_tiers_over_the_wire_and_deactivated_prices(shop: Shop) -> None:
    v1 = shop.client.v1
    product = v1.products.create({"name": "Seats"}).id
    price = v1.prices.create(
        {
            "product": product,
            "currency": "usd",
            "recurring": {"interval": "month"},
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [{"up_to": 2, "unit_amount": 700}, {"up_to": "inf", "unit_amount": 500}],
            "lookup_key": "seats",
            "expand": ["tiers"],
        }
    )
    assert [(t.up_to, t.unit_amount) for t in price.tiers] == [(2, 700), (None, 500)]
    assert (price.unit_amount, price.billing_scheme) == (None, "tiered")
    assert [p.id for p in v1.prices.list({"lookup_keys": ["seats"]}).data] == [price.id]
    v1.prices.update(price.id, {"active": False})
    customer = v1.customers.create({}).id
    with pytest.raises(stripe.InvalidRequestError, match="inactive"):
        v1.subscriptions.create({"customer": customer, "items": [{"price": price.id}]})
    with pytest.raises(stripe.InvalidRequestError, match="one or more user-created prices"):
        v1.products.delete(product)


def test_the_buyer_chooses_what_to_pay(sb: Sandbox) -> None:
    limits = {"enabled": True, "minimum": 500, "preset": 1000}
    price = sb.create_price(sb.create_product("Donation")["id"], "usd", custom_unit_amount=limits)["id"]
    session = sb.checkout(mode="payment", line_items=[{"price": price}])
    assert session["amount_total"] == 1000
    with pytest.raises(StripeError, match="between 500"):
        sb.pay_session(session["id"], custom_amount=100)
    assert sb.pay_session(session["id"], custom_amount=2500)["amount_total"] == 2500


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({}, "Exactly one of"),
        ({"unit_amount": 1, "tiers": TIERS, "tiers_mode": "volume"}, "Exactly one of"),
        ({"tiers": TIERS}, "tiers_mode"),
        ({"tiers": TIERS[:1], "tiers_mode": "volume"}, "up_to=inf"),
        ({"unit_amount": 1, "transform_quantity": {"divide_by": 2, "round": "near"}}, "up or down"),
        ({"unit_amount_decimal": "a lot"}, "Invalid decimal"),
    ],
)
def test_prices_that_are_refused(sb: Sandbox, terms: dict[str, object], words: str) -> None:
    product = sb.create_product("P")["id"]
    with pytest.raises(StripeError, match=words):
        sb.create_price(product, "usd", **terms)


def test_shipping_rates(shop: Shop) -> None:
    v1 = shop.client.v1
    fixed = {"amount": 500, "currency": "eur", "currency_options": {"usd": {"amount": 600}}}
    rate = v1.shipping_rates.create({"display_name": "Post", "type": "fixed_amount", "fixed_amount": fixed})
    fast = v1.shipping_rates.create(
        {"display_name": "Fast", "type": "fixed_amount", "fixed_amount": {"amount": 900, "currency": "eur"}}
    )
    session = v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price": shop.once, "quantity": 1}],
            "shipping_options": [{"shipping_rate": rate.id}, {"shipping_rate": fast.id}],
        }
    )
    assert (session.amount_total, session.shipping_cost.shipping_rate) == (2000, rate.id)
    shop.sb.pay_session(session.id, email="g@example.com", shipping_rate=fast.id)
    paid = v1.checkout.sessions.retrieve(session.id)
    assert (paid.amount_total, paid.shipping_cost.amount_total) == (2400, 900)
    assert v1.shipping_rates.update(fast.id, {"active": False}).active is False
    assert [r.id for r in v1.shipping_rates.list({"active": True}).data] == [rate.id]


def test_two_tax_rates_on_one_line(sb: Sandbox) -> None:
    state = sb.create_tax_rate(600, inclusive=False, name="State", jurisdiction="US-NY")["id"]
    city = sb.create_tax_rate(250, inclusive=False, name="City")["id"]
    customer = sb.create_customer()["id"]
    sb.add_invoice_item(customer, amount=10_000, tax_rates=[state, city])
    sb.add_invoice_item(customer, amount=2_000)
    invoice = sb.create_invoice(customer)
    assert [t["amount"] for t in invoice["total_taxes"]] == [600, 250]
    assert (invoice["total"], invoice["total_excluding_tax"]) == (12_850, 12_000)
