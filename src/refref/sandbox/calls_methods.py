"""API calls on payment methods, setup intents, payment links, shipping rates and balances by customer."""

from typing import Any

from refref.sandbox.calls_catalog import card
from refref.sandbox.cards import NUMBERS, TOKENS, card_named, refusal
from refref.sandbox.errors import StripeError, missing
from refref.sandbox.form import Params, as_integer
from refref.sandbox.lists import page
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

BANKS = {"sepa_debit": "sepa", "us_bank_account": "ach", "bacs_debit": "bacs"}


def _create_method(sb: Sandbox, p: Params, _: str) -> Doc:
    kind = p.text("type") or "card"
    if kind in BANKS:
        word = BANKS[kind]
    elif kind == "card":
        given = p.nested("card")
        number = given.text("number") or given.text("token") or "tok_visa"
        word = NUMBERS.get(number) or card(sb, number) or "visa"
    else:
        raise StripeError(f"The sandbox knows card, {', '.join(BANKS)}; not {kind}.", param="type")
    return sb.create_payment_method(word, metadata=p.mapping("metadata"))


def _attach(sb: Sandbox, p: Params, method: str) -> Doc:
    """Keep a method for a customer; a test token makes a method of its own, and a declined card is refused."""
    customer = p.required("customer")
    if sb.has("payment_method", method):
        return sb.attach_payment_method(method, customer)
    if method not in TOKENS:
        raise missing("PaymentMethod", method)
    if method.endswith("chargeDeclined"):
        raise refusal(card_named("declined"))
    if not card_named(TOKENS[method]).attachable:
        raise refusal(card_named(TOKENS[method]))
    return sb.create_payment_method(TOKENS[method], customer=customer)


def _of_customer(sb: Sandbox, p: Params, customer: str) -> Doc:
    sb.customer(customer)
    kind = p.text("type")
    rows = [m for m in reversed(sb.live("payment_method")) if m["customer"] == customer and kind in (None, m["type"])]
    return page(rows, p, f"/v1/customers/{customer}/payment_methods")


def _method_of_customer(sb: Sandbox, _: Params, ids: str) -> Doc:
    customer, method = ids.split("/")
    found = sb.find("payment_method", method)
    if found["customer"] != customer:
        raise missing("PaymentMethod", method)
    return found


def _create_setup(sb: Sandbox, p: Params, _: str) -> Doc:
    more: dict[str, Any] = {k: v for k, v in p.given("description", "usage").items() if v is not None}
    return sb.create_setup_intent(
        customer=p.text("customer"),
        card=card(sb, p.text("payment_method")),
        confirm=bool(p.flag("confirm")),
        metadata=p.mapping("metadata"),
        **more,
    )


def _cancel_setup(sb: Sandbox, p: Params, intent: str) -> Doc:
    return sb.cancel_setup_intent(intent, reason=p.text("cancellation_reason"))


def _update_setup(sb: Sandbox, p: Params, intent: str) -> Doc:
    doc = sb.find("setup_intent", intent)
    changes: dict[str, Any] = dict(p.given("description"))
    if "metadata" in p.data:
        changes["metadata"] = doc["metadata"] | p.mapping("metadata")
    word = card(sb, p.text("payment_method"))
    if word is not None:
        method = sb.method_for(None, word)
        changes |= {"payment_method": method, "_card": word, "status": "requires_confirmation"}
    sb.alter(doc, **changes)
    return doc


# payment links


def _create_link(sb: Sandbox, p: Params, _: str) -> Doc:
    items = []
    for number, row in enumerate(p.rows("line_items")):
        quantity = as_integer(str(row.get("quantity", "1")), f"line_items[{number}][quantity]")
        items.append({**row, "quantity": quantity})
    invoice = p.nested("invoice_creation")
    limit = p.nested("restrictions").nested("completed_sessions").integer("limit")
    return sb.create_payment_link(
        items,
        metadata=p.mapping("metadata"),
        allow_promotion_codes=bool(p.flag("allow_promotion_codes")),
        customer_creation=p.text("customer_creation") or "if_required",
        after_completion=p.mapping("after_completion"),
        payment_intent_data=p.mapping("payment_intent_data"),
        subscription_data=p.mapping("subscription_data"),
        invoice_creation={"enabled": True, "invoice_data": invoice.mapping("invoice_data")}
        if invoice.flag("enabled")
        else None,
        shipping_options=p.rows("shipping_options"),
        completed_sessions_limit=limit,
        automatic_tax=bool(p.nested("automatic_tax").flag("enabled")),
    )


def _update_link(sb: Sandbox, p: Params, link: str) -> Doc:
    changes: dict[str, Any] = dict(p.given("inactive_message"))
    changes |= {k: bool(p.flag(k)) for k in ("active", "allow_promotion_codes") if k in p.data}
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    return sb.update_payment_link(link, **changes)


def _link_items(sb: Sandbox, p: Params, link: str) -> Doc:
    return page(sb.link_items(link), p, f"/v1/payment_links/{link}/line_items")


# shipping and tax


def _create_shipping(sb: Sandbox, p: Params, _: str) -> Doc:
    fixed = p.nested("fixed_amount")
    if not fixed.data:
        raise StripeError("Missing required param: fixed_amount.", code="parameter_missing", param="fixed_amount")
    options = {c: as_integer(str(o.get("amount")), "fixed_amount[currency_options]") for c, o in
               fixed.mapping("currency_options").items()}  # fmt: skip
    return sb.create_shipping_rate(
        as_integer(fixed.required("amount"), "fixed_amount[amount]"),
        fixed.required("currency"),
        name=p.required("display_name"),
        tax_behavior=p.text("tax_behavior") or "unspecified",
        options=options or None,
        metadata=p.mapping("metadata"),
    )


def _update_shipping(sb: Sandbox, p: Params, rate: str) -> Doc:
    changes: dict[str, Any] = {} if p.flag("active") is None else {"active": p.flag("active")}
    changes |= {"metadata": p.mapping("metadata")} if "metadata" in p.data else {}
    return sb.update_catalog("shipping_rate", rate, changes)


def _update_tax_rate(sb: Sandbox, p: Params, rate: str) -> Doc:
    names = ("display_name", "description", "jurisdiction", "country", "state")
    changes: dict[str, Any] = dict(p.given(*names))
    changes |= {} if p.flag("active") is None else {"active": p.flag("active")}
    changes |= {"metadata": p.mapping("metadata")} if "metadata" in p.data else {}
    return sb.update_catalog("tax_rate", rate, changes)


# customers


def _balance_entry(sb: Sandbox, _: Params, ids: str) -> Doc:
    customer, entry = ids.split("/")
    found = sb.find("customer_balance_transaction", entry)
    if found["customer"] != customer:
        raise missing("customer_balance_transaction", entry)
    return found


def _update_balance_entry(sb: Sandbox, p: Params, ids: str) -> Doc:
    found = _balance_entry(sb, p, ids)
    sb.alter(found, metadata={k: v for k, v in (found["metadata"] | p.mapping("metadata")).items() if v != ""})
    return found


def _subscriptions_of(sb: Sandbox, p: Params, customer: str) -> Doc:
    rows = [s for s in reversed(sb.live("subscription")) if s["customer"] == customer and s["status"] != "canceled"]
    return page(rows, p, f"/v1/customers/{customer}/subscriptions")


CALLS = (
    ("POST", "/v1/payment_methods", _create_method),
    (
        "POST",
        "/v1/payment_methods/{id}",
        lambda sb, p, method: sb.update_payment_method(method, p.mapping("metadata")),
    ),
    ("POST", "/v1/payment_methods/{id}/attach", _attach),
    ("POST", "/v1/payment_methods/{id}/detach", lambda sb, _, method: sb.detach_payment_method(method)),
    ("GET", "/v1/customers/{id}/payment_methods", _of_customer),
    ("GET", "/v1/customers/{id}/payment_methods/{part}", _method_of_customer),
    ("POST", "/v1/setup_intents", _create_setup),
    ("POST", "/v1/setup_intents/{id}", _update_setup),
    (
        "POST",
        "/v1/setup_intents/{id}/confirm",
        lambda sb, p, intent: sb.confirm_setup_intent(intent, card=card(sb, p.text("payment_method"))),
    ),
    ("POST", "/v1/setup_intents/{id}/cancel", _cancel_setup),
    ("POST", "/v1/payment_links", _create_link),
    ("POST", "/v1/payment_links/{id}", _update_link),
    ("GET", "/v1/payment_links/{id}/line_items", _link_items),
    ("POST", "/v1/shipping_rates", _create_shipping),
    ("POST", "/v1/shipping_rates/{id}", _update_shipping),
    ("POST", "/v1/tax_rates/{id}", _update_tax_rate),
    ("DELETE", "/v1/products/{id}", lambda sb, _, product: sb.delete_product(product)),
    ("GET", "/v1/customers/{id}/balance_transactions/{part}", _balance_entry),
    ("POST", "/v1/customers/{id}/balance_transactions/{part}", _update_balance_entry),
    ("GET", "/v1/customers/{id}/subscriptions", _subscriptions_of),
)
