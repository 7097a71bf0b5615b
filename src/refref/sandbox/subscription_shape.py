"""The shape of a subscription and the arithmetic of a change in the middle of a period."""

from collections.abc import Sequence

from refref.sandbox.amounts import percent_bps, share
from refref.sandbox.store import Doc, listed

# What a subscription starts without.
UNSET = (
    "application",
    "application_fee_percent",
    "billing_cycle_anchor_config",
    "billing_thresholds",
    "cancel_at",
    "canceled_at",
    "customer_account",
    "days_until_due",
    "default_payment_method",
    "default_source",
    "description",
    "ended_at",
    "latest_invoice",
    "next_pending_invoice_item_invoice",
    "on_behalf_of",
    "pause_collection",
    "pending_invoice_item_interval",
    "pending_setup_intent",
    "pending_update",
    "schedule",
    "test_clock",
    "transfer_data",
    "trial_end",
    "trial_start",
)


def public(fields: Doc) -> Doc:
    """Without the private keys."""
    return {k: v for k, v in fields.items() if not k.startswith("_")}


def blank_subscription(sub_id: str, customer: str, currency: str, items: list[Doc], now: int) -> Doc:
    """An active subscription with these items."""
    single = items[0] if len(items) == 1 else None
    return dict.fromkeys(UNSET) | {
        "id": sub_id,
        "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": now,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": now},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": currency,
        "customer": customer,
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": listed(items, f"/v1/subscription_items?subscription={sub_id}"),
        "livemode": False,
        "metadata": {},
        "payment_settings": {"payment_method_options": None, "payment_method_types": None,
                             "save_default_payment_method": "off"},
        "plan": single["plan"] if single else None,
        "quantity": single["quantity"] if single else None,
        "start_date": now,
        "status": "active",
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "_discounts": [],
    }  # fmt: skip


def proration_amounts(old: Doc, new: Doc, discounts: Sequence[Doc], now: int) -> tuple[int, int]:
    """Credit (negative) for the unused time of `old`, charge for the rest of `new`; percentage discounts included."""
    credit = -share(_gross(old, discounts), old["current_period_end"] - now, _length(old))
    charge = share(_gross(new, discounts), new["current_period_end"] - now, _length(new))
    return credit, charge


def _length(item: Doc) -> int:
    return int(item["current_period_end"] - item["current_period_start"])


def _gross(item: Doc, discounts: Sequence[Doc]) -> int:
    """A full period of an item after percentage discounts."""
    amount: int = item["price"]["unit_amount"] * item["quantity"]
    for discount in discounts:
        if discount["_coupon"]["percent_off"] is not None:
            amount -= share(amount, percent_bps(discount["_coupon"]["percent_off"]), 10_000)
    return amount
