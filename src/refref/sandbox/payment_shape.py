"""The shapes of payment intents, charges and test cards."""

from typing import Any

from refref.sandbox.ids import scramble
from refref.sandbox.store import Doc

LAST4 = {"visa": "4242", "mastercard": "4444", "amex": "0005", "declined": "0002", "sepa": "3000"}

# What a stored card shows of the card on a charge.
METHOD_CARD = (
    "brand",
    "checks",
    "country",
    "exp_month",
    "exp_year",
    "fingerprint",
    "funding",
    "last4",
    "regulated_status",
    "wallet",
)
# What a payment intent starts without.
INTENT_UNSET = (
    "application",
    "application_fee_amount",
    "automatic_payment_methods",
    "canceled_at",
    "cancellation_reason",
    "customer_account",
    "excluded_payment_method_types",
    "last_payment_error",
    "latest_charge",
    "next_action",
    "on_behalf_of",
    "payment_method",
    "payment_method_configuration_details",
    "processing",
    "receipt_email",
    "review",
    "setup_future_usage",
    "shipping",
    "source",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
)
# What a charge starts without.
CHARGE_UNSET = (
    "application",
    "application_fee",
    "application_fee_amount",
    "balance_transaction",
    "destination",
    "dispute",
    "failure_balance_transaction",
    "failure_code",
    "failure_message",
    "on_behalf_of",
    "order",
    "outcome",
    "receipt_email",
    "receipt_number",
    "receipt_url",
    "review",
    "shipping",
    "source",
    "source_transfer",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
)


def method_id(card: str) -> str:
    """The payment method id of a test card."""
    return f"pm_{scramble('card ' + card, 24)}"


def method_details(card: str) -> Doc:
    """A charge's payment_method_details; the fingerprint depends on the card only."""
    fingerprint = scramble(f"fingerprint {card}", 16)
    last4 = LAST4.get(card, "1111")
    if card == "sepa":
        return {"sepa_debit": {"bank_code": "19043", "branch_code": "", "country": "AT", "fingerprint": fingerprint,
                               "last4": last4, "mandate": None}, "type": "sepa_debit"}  # fmt: skip
    brand = card if card in ("mastercard", "amex") else "visa"
    return {
        "card": {
            "amount_authorized": None,
            "authorization_code": None,
            "brand": brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": fingerprint,
            "funding": "credit",
            "installments": None,
            "last4": last4,
            "mandate": None,
            "network": brand,
            "network_token": {"used": False},
            "network_transaction_id": None,
            "regulated_status": "unregulated",
            "three_d_secure": None,
            "wallet": None,
        },
        "type": "card",
    }


def blank_intent(intent_id: str, now: int) -> Doc:
    """A payment intent that waits for its payment, without amount and owner."""
    unset: dict[str, Any] = dict.fromkeys(INTENT_UNSET)
    return unset | {
        "id": intent_id,
        "object": "payment_intent",
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_{scramble(intent_id, 24)}",
        "confirmation_method": "automatic",
        "created": now,
        "livemode": False,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "status": "requires_payment_method",
        "_charges": [],
    }


def blank_charge(charge_id: str, buyer: Doc, now: int) -> Doc:
    """A charge on its way, without amount and owner."""
    unset: dict[str, Any] = dict.fromkeys(CHARGE_UNSET)
    blank = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return unset | {
        "id": charge_id,
        "object": "charge",
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": {
            "address": buyer.get("address") or blank,
            "email": buyer.get("email"),
            "name": buyer.get("name"),
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "SAMPLE MERCHANT",
        "captured": False,
        "created": now,
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "paid": False,
        "radar_options": {},
        "refunded": False,
        "status": "pending",
        "_refunds": [],
    }


def blank_payment_method(method: str, card: str, now: int) -> Doc:
    """A payment method of nobody for a test card."""
    details = method_details(card)
    return {
        "id": method,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
            **dict.fromkeys(("email", "name", "phone", "tax_id")),
        },
        "created": now,
        "customer": None,
        "customer_account": None,
        details["type"]: {
            **{k: details["card"][k] for k in METHOD_CARD},
            "display_brand": details["card"]["brand"],
            "generated_from": None,
            "networks": {"available": [details["card"]["brand"]], "preferred": None},
            "three_d_secure_usage": {"supported": True},
        },
        "livemode": False,
        "metadata": {},
        "type": details["type"],
        "_card": card,
    }
