"""API calls on invoices, invoice items, subscriptions and credit notes."""

from typing import Any

from refref.sandbox.calls_catalog import card
from refref.sandbox.errors import StripeError
from refref.sandbox.form import Params, as_integer
from refref.sandbox.lists import page
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc


def _create_item(sb: Sandbox, p: Params, _: str) -> Doc:
    return sb.add_invoice_item(
        p.required("customer"),
        amount=p.integer("amount"),
        price=p.nested("pricing").text("price"),
        quantity=p.integer("quantity") or 1,
        currency=p.text("currency") or "usd",
        description=p.text("description"),
        subscription=p.text("subscription"),
        metadata=p.mapping("metadata"),
    )


def _create_invoice(sb: Sandbox, p: Params, _: str) -> Doc:
    discounts = p.rows("discounts")
    rates = p.rows("default_tax_rates")
    return sb.create_invoice(
        p.required("customer"),
        currency=p.text("currency") or "usd",
        metadata=p.mapping("metadata"),
        tax_rate=rates[0] if rates else None,
        coupon=discounts[0].get("coupon") if discounts else None,
        promotion_code=discounts[0].get("promotion_code") if discounts else None,
        collection_method=p.text("collection_method") or "charge_automatically",
        finalize=False,
        description=p.text("description"),
    )


def _pay(sb: Sandbox, p: Params, invoice: str) -> Doc:
    doc = sb.pay_invoice(invoice, card=card(sb, p.text("payment_method")), out_of_band=bool(p.flag("paid_out_of_band")))
    if doc["status"] != "paid":
        raise StripeError("Your card was declined.", status=402, kind="card_error", code="card_declined")
    return doc


def _invoice_lines(sb: Sandbox, p: Params, invoice: str) -> Doc:
    return page(sb.lines_of(sb.find("invoice", invoice)), p, f"/v1/invoices/{invoice}/lines")


def _items(p: Params) -> list[dict[str, Any]]:
    items = p.rows("items")
    if not items:
        raise StripeError("Missing required param: items.", code="parameter_missing", param="items")
    return [
        {"price": i.get("price"), "quantity": as_integer(i.get("quantity", "1"), "items[0][quantity]")} for i in items
    ]


def _subscribe(sb: Sandbox, p: Params, _: str) -> Doc:
    discounts = p.rows("discounts")
    rates = p.rows("default_tax_rates")
    return sb.subscribe(
        p.required("customer"),
        items=_items(p),
        trial_days=p.integer("trial_period_days"),
        coupon=discounts[0].get("coupon") if discounts else None,
        promotion_code=discounts[0].get("promotion_code") if discounts else None,
        tax_rate=rates[0] if rates else None,
        metadata=p.mapping("metadata"),
        collection_method=p.text("collection_method") or "charge_automatically",
        card=card(sb, p.text("default_payment_method")),
    )


def _update_subscription(sb: Sandbox, p: Params, subscription: str) -> Doc:
    doc = sb.find("subscription", subscription)
    if "cancel_at_period_end" in p.data:
        if p.flag("cancel_at_period_end"):
            sb.cancel_subscription(subscription, at_period_end=True)
        elif doc["cancel_at_period_end"]:
            sb.keep_subscription(subscription)
    if "pause_collection" in p.data:
        behavior = p.nested("pause_collection").text("behavior")
        if behavior is None:
            sb.resume_subscription(subscription)
        else:
            sb.pause_subscription(subscription, behavior=behavior)
    if "discounts" in p.data:
        given = (p.rows("discounts") or [{}])[0]
        if given.get("discount") not in doc["discounts"]:
            sb.set_discount(subscription, coupon=given.get("coupon"), promotion_code=given.get("promotion_code"))
    if p.rows("items") or "metadata" in p.data:
        item = Params((p.rows("items") or [{}])[0])
        sb.change_subscription(
            subscription,
            price=item.text("price"),
            quantity=item.integer("quantity"),
            item=item.text("id"),
            proration_behavior=p.text("proration_behavior") or "create_prorations",
            metadata=p.mapping("metadata"),
        )
    return doc


def _remove_discount(sb: Sandbox, _: Params, subscription: str) -> Doc:
    doc = sb.find("subscription", subscription)
    if not doc["discounts"]:
        raise StripeError("No active discount for this subscription.", status=404, code="resource_missing")
    gone: Doc = {"id": doc["discounts"][0], "object": "discount", "deleted": True, **_owner(doc)}
    sb.set_discount(subscription)
    return gone


def _owner(subscription: Doc) -> Doc:
    source = subscription["_discounts"][0]
    return {k: v for k, v in source.items() if k not in ("id", "object", "end")}


def _subscription_items(sb: Sandbox, p: Params, _: str) -> Doc:
    subscription = p.required("subscription")
    return page(sb.find("subscription", subscription)["items"]["data"], p, "/v1/subscription_items")


def _credit_note(sb: Sandbox, p: Params, _: str) -> Doc:
    lines = []
    for row in p.rows("lines"):
        line: dict[str, Any] = {k: row[k] for k in ("invoice_line_item", "description") if k in row}
        line |= {k: as_integer(row[k], f"lines[0][{k}]") for k in ("amount", "quantity", "unit_amount") if k in row}
        lines.append(line)
    return sb.credit_note(
        p.required("invoice"),
        amount=p.integer("amount"),
        lines=lines or None,
        refund_amount=p.integer("refund_amount"),
        credit_amount=p.integer("credit_amount"),
        out_of_band_amount=p.integer("out_of_band_amount"),
        reason=p.text("reason"),
        memo=p.text("memo"),
        metadata=p.mapping("metadata"),
    )


def _note_lines(sb: Sandbox, p: Params, note: str) -> Doc:
    return page(sb.find("credit_note", note)["lines"]["data"], p, f"/v1/credit_notes/{note}/lines")


CALLS = (
    ("POST", "/v1/invoiceitems", _create_item),
    ("POST", "/v1/invoices", _create_invoice),
    (
        "POST",
        "/v1/invoices/{id}",
        lambda sb, p, invoice: sb.update_metadata("invoice", invoice, p.mapping("metadata"), "invoice.updated"),
    ),
    ("POST", "/v1/invoices/{id}/finalize", lambda sb, _, invoice: sb.finalize_invoice(invoice)),
    ("POST", "/v1/invoices/{id}/pay", _pay),
    ("POST", "/v1/invoices/{id}/void", lambda sb, _, invoice: sb.void_invoice(invoice)),
    ("POST", "/v1/invoices/{id}/mark_uncollectible", lambda sb, _, invoice: sb.mark_uncollectible(invoice)),
    ("GET", "/v1/invoices/{id}/lines", _invoice_lines),
    ("POST", "/v1/subscriptions", _subscribe),
    ("POST", "/v1/subscriptions/{id}", _update_subscription),
    ("DELETE", "/v1/subscriptions/{id}", lambda sb, _, subscription: sb.cancel_subscription(subscription)),
    ("DELETE", "/v1/subscriptions/{id}/discount", _remove_discount),
    ("GET", "/v1/subscription_items", _subscription_items),
    ("POST", "/v1/credit_notes", _credit_note),
    (
        "POST",
        "/v1/credit_notes/{id}",
        lambda sb, p, note: sb.update_metadata("credit_note", note, p.mapping("metadata"), "credit_note.updated"),
    ),
    ("POST", "/v1/credit_notes/{id}/void", lambda sb, _, note: sb.void_credit_note(note)),
    ("GET", "/v1/credit_notes/{id}/lines", _note_lines),
)
