"""The shape of an invoice before anything is on it."""

from collections.abc import Sequence

from refref.sandbox.store import Doc, copy_of

EMBEDDED_LINES = 10

# What an invoice starts without.
UNSET = (
    "account_tax_ids",
    "application",
    "automatically_finalizes_at",
    "custom_fields",
    "customer_account",
    "customer_phone",
    "customer_shipping",
    "default_payment_method",
    "default_source",
    "effective_at",
    "ending_balance",
    "footer",
    "from_invoice",
    "hosted_invoice_url",
    "invoice_pdf",
    "last_finalization_error",
    "latest_revision",
    "next_payment_attempt",
    "number",
    "on_behalf_of",
    "parent",
    "receipt_number",
    "rendering",
    "shipping_cost",
    "shipping_details",
    "statement_descriptor",
    "test_clock",
    "webhooks_delivered_at",
    "_charge",
    "_payment_intent",
)


def blank_invoice(invoice_id: str, customer: Doc, currency: str, reason: str, now: int) -> Doc:
    """A draft invoice without lines."""
    return dict.fromkeys(UNSET) | {
        "id": invoice_id,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Sample Merchant",
        "amount_due": 0,
        "_links": [],
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_paid_off_stripe": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None,
                          "status": None},
        "billing_reason": reason,
        "created": now,
        "currency": currency,
        "customer": customer["id"],
        "customer_address": customer.get("address"),
        "customer_email": customer.get("email"),
        "customer_name": customer.get("name"),
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "issuer": {"type": "self"},
        "livemode": False,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None,
                               "voided_at": None},
    }  # fmt: skip


def embedded_lines(lines: Sequence[Doc], invoice_id: str) -> Doc:
    """The first lines, as an invoice carries them; the others are fetched from `url`."""
    return {
        "object": "list",
        "data": copy_of(list(lines[:EMBEDDED_LINES])),
        "has_more": len(lines) > EMBEDDED_LINES,
        "total_count": len(lines),
        "url": f"/v1/invoices/{invoice_id}/lines",
    }


def invoice_parent(subscription: Doc) -> Doc:
    """Where an invoice comes from; the metadata is as it is now and stays so."""
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def shipping_cost(shipping: int, rate: str | None = None) -> Doc:
    """Untaxed shipping, as sessions and invoices show it."""
    return {"amount_subtotal": shipping, "amount_tax": 0, "amount_total": shipping, "shipping_rate": rate}
