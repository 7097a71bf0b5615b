"""The shapes of payment intents, charges and test cards."""

from typing import Any

from refref.sandbox.cards import Card, card_named
from refref.sandbox.ids import scramble
from refref.sandbox.store import Doc

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


def method_id(card: str, owner: str | None = None) -> str:
    """The id of a customer's (or a guest's) payment method for a test card."""
    return f"pm_{scramble(f'card {card}' + (f' of {owner}' if owner else ''), 24)}"


def method_details(word: str) -> Doc:
    """A charge's payment_method_details; the fingerprint depends on the card only."""
    card = card_named(word)
    if card.kind != "card":
        return {card.kind: _bank_details(card), "type": card.kind}
    return {
        "card": {
            "amount_authorized": None,
            "authorization_code": None,
            "brand": card.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": scramble(f"fingerprint {word}", 16),
            "funding": "debit" if word == "debit" else "credit",
            "installments": None,
            "last4": card.last4,
            "mandate": None,
            "network": card.brand,
            "network_token": {"used": False},
            "network_transaction_id": None,
            "regulated_status": "unregulated",
            "three_d_secure": None,
            "wallet": None,
        },
        "type": "card",
    }


def _bank_details(card: Card) -> Doc:
    """What a charge shows of a bank account."""
    known = {"fingerprint": scramble(f"fingerprint {card.word}", 16), "last4": card.last4, "mandate": None}
    if card.kind == "sepa_debit":
        return {"bank_code": "19043", "branch_code": "", "country": "AT", **known}
    if card.kind == "bacs_debit":
        return {"sort_code": "108800", **known}
    del known["mandate"]
    return {"account_holder_type": "individual", "account_type": "checking", "bank_name": "SAMPLE TEST BANK",
            "payment_reference": None, "routing_number": "110000000", **known}  # fmt: skip


def _method_of(word: str) -> Doc:
    """What a stored payment method shows."""
    details = method_details(word)
    kind = details["type"]
    shown: Doc = details[kind]
    if kind == "card":
        return {
            **{k: shown[k] for k in METHOD_CARD},
            "display_brand": shown["brand"],
            "generated_from": None,
            "networks": {"available": [shown["brand"]], "preferred": None},
            "three_d_secure_usage": {"supported": True},
        }
    kept = {k: v for k, v in shown.items() if k not in ("mandate", "payment_reference")}
    if kind == "sepa_debit":
        kept["generated_from"] = {"charge": None, "setup_attempt": None}
    if kind == "us_bank_account":
        kept |= {"financial_connections_account": None, "status_details": {},
                 "networks": {"preferred": "ach", "supported": ["ach"]}}  # fmt: skip
    return kept


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
    kind = card_named(card).kind
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
        kind: _method_of(card),
        "livemode": False,
        "metadata": {},
        "type": kind,
        "_card": card,
    }
