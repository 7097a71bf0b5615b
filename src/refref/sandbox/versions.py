"""Renders canonical objects and events in the shapes of older API versions.

One step per release that changed something near us, newest first; an object passes every step that is newer than the
version asked for. Acacia carries both the old and the new shape of an invoice, as Stripe's did.
"""

from collections.abc import Callable
from typing import Any

from refref.sandbox.prices import plan_of
from refref.sandbox.store import Doc, listed

VERSIONS = (
    "2020-08-27",
    "2024-06-20",
    "2024-12-18.acacia",
    "2025-02-24.acacia",
    "2025-03-31.basil",
    "2025-10-29.clover",
    "2026-03-25.dahlia",
    "2026-10-28.endive",
)
BASIL = "2025-03-31"


def render(doc: Doc, api_version: str) -> Doc:
    """A copy of an object or event in the shape of `api_version`, without private keys."""
    rendered: Doc = _walk(doc, api_version[:10])
    if rendered.get("object") == "event":
        rendered["api_version"] = api_version
    return rendered


def known(event_type: str, api_version: str) -> bool:
    """Whether an endpoint of that version can receive the event type."""
    return not event_type.startswith("invoice_payment.") or api_version[:10] >= BASIL


def _walk(value: Any, day: str) -> Any:
    """Every delivery and answer comes through here: leaves are handled in place, not by a call each."""
    if isinstance(value, list):
        return [_walk(v, day) if isinstance(v, (dict, list)) else v for v in value]
    doc = {k: _walk(v, day) if isinstance(v, (dict, list)) else v for k, v in value.items()}
    noun = doc.get("object")
    if isinstance(noun, str):
        for cut, step in STEPS:
            if day >= cut:
                break
            step(noun, doc)
    for key in [k for k in doc if k[:1] == "_"]:
        del doc[key]
    return doc


def _without(doc: Doc, *keys: str) -> None:
    for key in keys:
        doc.pop(key, None)


def _before_endive(noun: str, doc: Doc) -> None:
    if noun == "dispute" and doc["status"].startswith("appeal_"):
        doc["status"] = "under_review"


def _before_may_2026(noun: str, doc: Doc) -> None:
    if noun == "invoice":
        doc["_off_stripe"] = doc.pop("amount_paid_off_stripe")
    elif noun == "subscription":
        _without(doc, "billing_schedules")


def _before_dahlia(noun: str, doc: Doc) -> None:
    _without(doc, "customer_account", "integration_identifier")
    if noun == "line_item":
        _without(doc, "subtotal", "quantity_decimal")
    elif noun == "invoiceitem":
        _without(doc, "net_amount", "quantity_decimal")
    elif noun == "checkout.session":
        doc["ui_mode"] = "hosted"


def _before_clover(noun: str, doc: Doc) -> None:
    if noun == "discount":
        doc["coupon"] = doc.pop("_coupon")
        _without(doc, "source")
    elif noun == "promotion_code":
        doc["coupon"] = doc.pop("_coupon")
        _without(doc, "promotion")
    elif noun in ("invoice", "checkout.session"):
        _without(doc["automatic_tax"], "provider")


def _tax_amounts(taxes: list[Doc]) -> list[Doc]:
    return [
        {
            "amount": t["amount"],
            "inclusive": t["tax_behavior"] == "inclusive",
            "tax_rate": t["tax_rate_details"]["tax_rate"],
            "taxability_reason": t["taxability_reason"],
            "taxable_amount": t["taxable_amount"],
        }
        for t in taxes
    ]


def _old_invoice(doc: Doc) -> None:
    details = (doc["parent"] or {}).get("subscription_details") or {}
    off_stripe = doc["_off_stripe"]
    taxes = doc["total_taxes"]
    paid = doc["amount_paid"] - off_stripe
    doc.update(
        amount_paid=paid,
        amount_remaining=doc["amount_due"] - paid if off_stripe else doc["amount_remaining"],
        application_fee_amount=None,
        charge=doc["_charge"],
        discount=doc["_discounts"][0] if doc["_discounts"] else None,
        paid=doc["status"] == "paid",
        paid_out_of_band=off_stripe > 0,
        payment_intent=doc["_payment_intent"],
        quote=None,
        subscription=details.get("subscription"),
        subscription_details={"metadata": details.get("metadata")},
        tax=sum(t["amount"] for t in taxes) if taxes else None,
        total_tax_amounts=_tax_amounts(taxes),
        transfer_data=None,
    )


def _old_line(doc: Doc) -> None:
    parent = doc["parent"]
    details = parent["subscription_item_details"] or parent["invoice_item_details"]
    price = doc["_price"]
    inclusive = sum(t["amount"] for t in doc["taxes"] if t["tax_behavior"] == "inclusive")
    doc.update(
        amount_excluding_tax=doc["amount"] - inclusive,
        plan=plan_of(price) if price and price["recurring"] else None,
        price=price,
        proration=details["proration"],
        proration_details=details["proration_details"],
        subscription=details["subscription"],
        tax_amounts=_tax_amounts(doc["taxes"]),
        tax_rates=[],
        type="invoiceitem" if details["invoice_item"] or "subscription_item" not in details else "subscription",
        unit_amount_excluding_tax=(doc["pricing"] or {}).get("unit_amount_decimal"),
    )
    if details["invoice_item"]:
        doc["invoice_item"] = details["invoice_item"]
    if "subscription_item" in details:
        doc["subscription_item"] = details["subscription_item"]


def _old_subscription(doc: Doc) -> None:
    _lift_period(doc["items"]["data"], doc)
    doc["discount"] = doc["_discounts"][0] if doc["_discounts"] else None
    _without(doc, "billing_mode")


def _old_schedule(doc: Doc) -> None:
    _without(doc, "billing_mode")


def _lift_period(items: list[Doc], to: Doc) -> None:
    """Move the period from the items to what holds them."""
    for item in reversed(items):
        to["current_period_start"] = item.pop("current_period_start")
        to["current_period_end"] = item.pop("current_period_end")


def _old_invoiceitem(doc: Doc) -> None:
    details = (doc.pop("parent") or {}).get("subscription_details", {})
    price = doc["_price"]
    doc.update(
        plan=plan_of(price) if price and price["recurring"] else None,
        price=price,
        subscription=details.get("subscription"),
        unit_amount=price["unit_amount"] if price else doc["amount"],
    )
    if details.get("subscription_item"):
        doc["subscription_item"] = details["subscription_item"]
    _without(doc, "pricing", "proration_details")


def _old_session(doc: Doc) -> None:
    """Adaptive pricing used to put the buyer's currency on the session itself."""
    shown = doc.pop("presentment_details", None)
    if shown:
        doc["currency_conversion"] = {
            "amount_subtotal": doc["amount_subtotal"],
            "amount_total": doc["amount_total"],
            "fx_rate": "0.92",
            "source_currency": doc["currency"],
        }
        doc.update(currency=shown["presentment_currency"], amount_total=shown["presentment_amount"])
        doc["amount_subtotal"] = doc["amount_total"] - doc["total_details"]["amount_tax"]
    doc["shipping_details"] = None


def _old_credit_note(doc: Doc) -> None:
    refunds = doc.pop("refunds")
    doc["refund"] = refunds[0]["refund"] if refunds else None
    doc["tax_amounts"] = _tax_amounts(doc.pop("total_taxes"))


def _old_credit_note_line(doc: Doc) -> None:
    doc["tax_amounts"] = _tax_amounts(doc.pop("taxes"))


def _old_payment(doc: Doc) -> None:
    doc["invoice"] = doc["_invoice"]
    _without(doc, "presentment_details", "payment_details")


def _old_event(doc: Doc) -> None:
    """What a subscription had before a change sat on the subscription, not on its items."""
    previous = doc["data"].get("previous_attributes") or {}
    if doc["type"].startswith("customer.subscription.") and "items" in previous:
        _lift_period(previous["items"]["data"], previous)


BASIL_TABLE: dict[str, Callable[[Doc], None]] = {
    "charge": _old_payment,
    "checkout.session": _old_session,
    "credit_note": _old_credit_note,
    "credit_note_line_item": _old_credit_note_line,
    "event": _old_event,
    "invoice": _old_invoice,
    "invoiceitem": _old_invoiceitem,
    "line_item": _old_line,
    "payment_intent": _old_payment,
    "subscription": _old_subscription,
    "subscription_schedule": _old_schedule,
}


def _before_basil(noun: str, doc: Doc) -> None:
    step = BASIL_TABLE.get(noun)
    if step is not None:
        step(doc)


def _before_acacia(noun: str, doc: Doc) -> None:
    if noun == "invoice":
        _without(doc, "parent", "total_taxes", "total_pretax_credit_amounts", "amount_overpaid")
        _without(doc["automatic_tax"], "disabled_reason")
    elif noun == "line_item":
        _without(doc, "parent", "pricing", "taxes", "pretax_credit_amounts")
    elif noun in ("credit_note", "credit_note_line_item"):
        _without(doc, "pretax_credit_amounts")


def _before_april_2024(noun: str, doc: Doc) -> None:
    if noun in ("subscription", "subscription_item"):
        _without(doc, "discounts")


def _before_november_2022(noun: str, doc: Doc) -> None:
    if noun == "charge":
        url = f"/v1/charges/{doc['id']}/refunds"
        doc["refunds"] = listed(doc["_refunds"], url)
    elif noun == "customer":
        _without(doc, "invoice_credit_balance")
    elif noun == "payment_intent":
        doc["charges"] = listed(doc["_charges"], f"/v1/charges?payment_intent={doc['id']}")
        _without(doc, "latest_charge")


# The first day of the version that no longer needs the step, and the step.
STEPS: tuple[tuple[str, Callable[[str, Doc], None]], ...] = (
    ("2026-09-30", _before_endive),
    ("2026-05-27", _before_may_2026),
    ("2026-03-25", _before_dahlia),
    ("2025-09-30", _before_clover),
    (BASIL, _before_basil),
    ("2024-09-30", _before_acacia),
    ("2024-04-10", _before_april_2024),
    ("2022-11-15", _before_november_2022),
)
