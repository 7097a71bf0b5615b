"""Small Stripe payloads, old and new shapes, for tables. Each builder takes what the test is about as keywords."""

from typing import Any

from refref.core.facts import Fact
from refref.stripe.readers import read

NOW = 1_780_000_000
Payload = dict[str, Any]

# The event under which an object of this name usually arrives.
EVENT_OF = {
    "checkout.session": "checkout.session.completed",
    "invoice": "invoice.paid",
    "invoice_payment": "invoice_payment.paid",
    "payment_intent": "payment_intent.succeeded",
    "charge": "charge.succeeded",
    "refund": "refund.created",
    "dispute": "charge.dispute.created",
    "credit_note": "credit_note.created",
    "customer": "customer.created",
    "discount": "customer.discount.created",
    "subscription": "customer.subscription.updated",
    "radar.early_fraud_warning": "radar.early_fraud_warning.created",
}


def event(payload: Payload, name: str | None = None, created: int = NOW) -> Payload:
    return {
        "id": "evt_1",
        "object": "event",
        "type": name or EVENT_OF[payload["object"]],
        "created": created,
        "livemode": False,
        "data": {"object": payload},
    }


def facts(payload: Payload, name: str | None = None, created: int = NOW) -> dict[str, Fact]:
    """The facts of the event by Stripe id."""
    return {fact.stripe_id: fact for fact in read(event(payload, name, created)).facts}


def needs(payload: Payload, name: str | None = None) -> set[tuple[str, str]]:
    return {(need.kind.value, need.stripe_id) for need in read(event(payload, name)).needs}


def line(**changes: Any) -> Payload:
    """An invoice line in the newest shape."""
    return {
        "id": "il_1",
        "object": "line_item",
        "amount": 1000,
        "description": "1 × Pro",
        "discount_amounts": [],
        "pretax_credit_amounts": [],
        "pricing": {"type": "price_details", "price_details": {"price": "price_1", "product": "prod_1"}},
        "parent": {"type": "subscription_item_details", "subscription_item_details": {"proration": False}},
        "quantity": 1,
        "taxes": [],
        **changes,
    }


def old_line(**changes: Any) -> Payload:
    """The same line as before basil."""
    price = {"id": "price_1", "object": "price", "product": "prod_1", "currency": "usd"}
    return {
        "id": "il_1",
        "object": "line_item",
        "amount": 1000,
        "description": "1 × Pro",
        "discount_amounts": [],
        "price": price,
        "plan": {"id": "price_1", "object": "plan", "product": "prod_1"},
        "proration": False,
        "quantity": 1,
        "tax_amounts": [],
        "type": "subscription",
        **changes,
    }


def lines(*rows: Payload, has_more: bool = False, total_count: int | None = None) -> Payload:
    count = len(rows) if total_count is None else total_count
    return {"object": "list", "data": list(rows), "has_more": has_more, "total_count": count}


def invoice(**changes: Any) -> Payload:
    """A paid subscription invoice of 10.00 in the newest shape."""
    return {
        "id": "in_1",
        "object": "invoice",
        "status": "paid",
        "currency": "usd",
        "total": 1000,
        "subtotal": 1000,
        "amount_due": 1000,
        "amount_paid": 1000,
        "amount_paid_off_stripe": 0,
        "total_excluding_tax": 1000,
        "total_taxes": [],
        "created": NOW - 60,
        "status_transitions": {"paid_at": NOW - 5},
        "billing_reason": "subscription_cycle",
        "number": "A-1",
        "customer": "cus_1",
        "customer_email": "buyer@example.com",
        "discounts": [],
        "metadata": {},
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": "sub_1", "metadata": {}},
        },
        "lines": lines(line()),
        **changes,
    }


def old_invoice(**changes: Any) -> Payload:
    """The same invoice as before basil."""
    new = invoice()
    for key in ("parent", "amount_paid_off_stripe", "total_taxes"):
        del new[key]
    return {
        **new,
        "paid": True,
        "paid_out_of_band": False,
        "subscription": "sub_1",
        "subscription_details": {"metadata": {}},
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "tax": None,
        "total_tax_amounts": [],
        "discount": None,
        "lines": lines(old_line()),
        **changes,
    }


def session(**changes: Any) -> Payload:
    return {
        "id": "cs_1",
        "object": "checkout.session",
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "currency": "usd",
        "amount_total": 1000,
        "created": NOW - 600,
        "client_reference_id": None,
        "customer": "cus_1",
        "customer_details": {"email": "buyer@example.com"},
        "discounts": [],
        "invoice": None,
        "metadata": {},
        "payment_intent": "pi_1",
        "subscription": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        **changes,
    }


def subscription(**changes: Any) -> Payload:
    item = {
        "id": "si_1",
        "price": {"id": "price_1", "product": "prod_1", "currency": "usd"},
        "quantity": 2,
        "current_period_end": NOW + 100,
    }
    return {
        "id": "sub_1",
        "object": "subscription",
        "status": "active",
        "currency": "usd",
        "created": NOW - 1000,
        "customer": "cus_1",
        "cancel_at_period_end": False,
        "discounts": [],
        "items": {"object": "list", "data": [item]},
        "latest_invoice": "in_1",
        "metadata": {},
        **changes,
    }


def payment_intent(**changes: Any) -> Payload:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "succeeded",
        "currency": "usd",
        "amount_received": 1000,
        "created": NOW - 20,
        "customer": "cus_1",
        "latest_charge": "ch_1",
        "metadata": {},
        **changes,
    }


def charge(**changes: Any) -> Payload:
    return {
        "id": "ch_1",
        "object": "charge",
        "status": "succeeded",
        "currency": "usd",
        "amount": 1000,
        "amount_captured": 1000,
        "amount_refunded": 0,
        "captured": True,
        "billing_details": {"email": "buyer@example.com"},
        "created": NOW - 20,
        "customer": "cus_1",
        "payment_intent": "pi_1",
        "payment_method_details": {"type": "card", "card": {"fingerprint": "fp_1"}},
        **changes,
    }


def refund(**changes: Any) -> Payload:
    return {
        "id": "re_1",
        "object": "refund",
        "status": "succeeded",
        "amount": 400,
        "currency": "usd",
        "created": NOW - 10,
        "charge": "ch_1",
        "payment_intent": "pi_1",
        **changes,
    }


def dispute(**changes: Any) -> Payload:
    return {
        "id": "dp_1",
        "object": "dispute",
        "status": "needs_response",
        "amount": 1000,
        "currency": "usd",
        "created": NOW - 10,
        "charge": "ch_1",
        "payment_intent": "pi_1",
        **changes,
    }


def invoice_payment(**changes: Any) -> Payload:
    return {
        "id": "inpay_1",
        "object": "invoice_payment",
        "status": "paid",
        "amount_paid": 1000,
        "currency": "usd",
        "invoice": "in_1",
        "payment": {"type": "payment_intent", "payment_intent": "pi_1"},
        "status_transitions": {"paid_at": NOW - 5},
        **changes,
    }


def credit_note(**changes: Any) -> Payload:
    """A credit note of 4.00 on a paid invoice, all of it refunded, in the newest shape."""
    row = {"id": "cnli_1", "object": "credit_note_line_item", "amount": 400, "invoice_line_item": "il_1"}
    return {
        "id": "cn_1",
        "object": "credit_note",
        "status": "issued",
        "type": "post_payment",
        "amount": 400,
        "currency": "usd",
        "created": NOW - 10,
        "customer": "cus_1",
        "invoice": "in_1",
        "lines": lines({**row, "discount_amounts": [], "taxes": []}),
        "pre_payment_amount": 0,
        "post_payment_amount": 400,
        "out_of_band_amount": None,
        "customer_balance_transaction": None,
        "refunds": [{"amount_refunded": 400, "refund": "re_1", "type": "refund"}],
        **changes,
    }


def customer(**changes: Any) -> Payload:
    return {
        "id": "cus_1",
        "object": "customer",
        "email": "buyer@example.com",
        "name": "Ada Buyer",
        "address": {"country": "DE"},
        "currency": "usd",
        "created": NOW - 2000,
        "discount": None,
        "metadata": {},
        **changes,
    }


def discount(**changes: Any) -> Payload:
    return {
        "id": "di_1",
        "object": "discount",
        "customer": "cus_1",
        "subscription": None,
        "promotion_code": "promo_1",
        "source": {"type": "coupon", "coupon": "10OFF"},
        "start": NOW - 30,
        **changes,
    }


def fraud_warning(**changes: Any) -> Payload:
    return {
        "id": "issfr_1",
        "object": "radar.early_fraud_warning",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "created": NOW - 3,
        **changes,
    }


EVERY_OBJECT = (
    invoice,
    old_invoice,
    session,
    subscription,
    payment_intent,
    charge,
    refund,
    dispute,
    invoice_payment,
    credit_note,
    customer,
    discount,
    fraud_warning,
)
