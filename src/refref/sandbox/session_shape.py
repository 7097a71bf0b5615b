"""The shape of a Checkout Session and of its line items, before anybody paid."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.invoice_lines import LineDraft, reductions, tax_of
from refref.sandbox.store import Doc

HOURS_OPEN = 24

# What a session starts without.
UNSET = (
    "after_expiration",
    "allow_promotion_codes",
    "amount_subtotal",
    "amount_total",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "client_secret",
    "consent",
    "consent_collection",
    "currency_conversion",
    "customer",
    "customer_account",
    "customer_details",
    "customer_email",
    "integration_identifier",
    "invoice",
    "invoice_creation",
    "locale",
    "origin_context",
    "payment_intent",
    "payment_link",
    "payment_method_configuration_details",
    "permissions",
    "recovered_from",
    "saved_payment_method_options",
    "setup_intent",
    "shipping_address_collection",
    "shipping_cost",
    "submit_type",
    "subscription",
    "success_url",
    "total_details",
    "wallet_options",
)


def items_of(
    ids: Sequence[str],
    drafts: Sequence[LineDraft],
    discounts: Sequence[Doc],
    rates: Sequence[Sequence[Doc]],
    currency: str,
) -> list[Doc]:
    """The line items (`item` objects) of a session; `rates` are the tax rates of each."""
    rows = []
    reduced_by = reductions(drafts, discounts)
    for item_id, draft, reduced, taxed_by in zip(ids, drafts, reduced_by, rates, strict=True):
        discount = sum(r["amount"] for r in reduced)
        taxes = tax_of(draft.amount - discount, taxed_by)
        tax = sum(t["amount"] for t in taxes)
        on_top = sum(t["amount"] for t in taxes if t["tax_behavior"] == "exclusive")
        rows.append(
            {
                "id": item_id,
                "object": "item",
                "adjustable_quantity": None,
                "amount_discount": discount,
                "amount_subtotal": draft.amount,
                "amount_tax": tax,
                "amount_total": draft.amount - discount + on_top,
                "currency": currency,
                "description": draft.description,
                "metadata": {},
                "price": draft.price,
                "quantity": draft.quantity,
            }
        )
    return rows


def session_totals(items: Sequence[Doc], shipping: int, *, trial: bool) -> Doc:
    """The session's amounts; a trial costs nothing today."""
    kept = [] if trial else items
    return {
        "amount_subtotal": sum(i["amount_subtotal"] for i in kept),
        "amount_total": sum(i["amount_total"] for i in kept) + shipping,
        "total_details": {
            "amount_discount": sum(i["amount_discount"] for i in kept),
            "amount_shipping": shipping,
            "amount_tax": sum(i["amount_tax"] for i in kept),
        },
    }


def details_of(customer: Mapping[str, Any], email: str | None, name: str | None) -> Doc:
    """`customer_details` as entered by the buyer or known of the customer."""
    return {
        "address": customer.get("address"),
        "business_name": None,
        "email": email or customer.get("email"),
        "individual_name": None,
        "name": name or customer.get("name"),
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def blank_session(session_id: str, mode: str, currency: str | None, url: str, now: int) -> Doc:
    """An open session without amounts."""
    return dict.fromkeys(UNSET) | {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": True},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "collected_information": {"business_name": None, "individual_name": None, "shipping_details": None},
        "created": now,
        "currency": currency,
        "custom_fields": [],
        "custom_text": {"after_submit": None, "shipping_address": None, "submit": None,
                        "terms_of_service_acceptance": None},
        "customer_creation": "if_required" if mode == "payment" else None,
        "discounts": [],
        "expires_at": now + HOURS_OPEN * 3600,
        "livemode": False,
        "metadata": {},
        "mode": mode,
        "payment_method_collection": "if_required" if mode == "payment" else "always",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "ui_mode": "hosted_page",
        "url": url,
    }  # fmt: skip


def invoice_creation_of(given: Mapping[str, Any] | None) -> Doc:
    """The session's `invoice_creation` (mode payment)."""
    asked = given or {}
    data = asked.get("invoice_data", {})
    return {
        "enabled": bool(asked.get("enabled")),
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": data.get("description"),
            "footer": None,
            "issuer": None,
            "metadata": dict(data.get("metadata", {})),
            "rendering_options": None,
        },
    }


def blank_setup_intent(intent_id: str, customer: str | None, method: str | None, now: int) -> Doc:
    """A setup intent that waits for its payment method."""
    return {
        "id": intent_id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": f"{intent_id}_secret_sample",
        "created": now,
        "customer": customer,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": method,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_confirmation" if method else "requires_payment_method",
        "usage": "off_session",
    }
