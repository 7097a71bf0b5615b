"""The shape of a subscription and the arithmetic of a change in the middle of a period."""

from refref.sandbox.amounts import percent_bps, share, split
from refref.sandbox.prices import amount_of
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


def proration_amounts(sub: Doc, old: Doc, new: Doc, at: int) -> tuple[int, int]:
    """Credit (negative) for the unused time of `old`, charge for the rest of `new`; discounts included."""
    credit = -share(_gross(sub, old), max(0, old["current_period_end"] - at), _length(old))
    charge = share(_gross(sub, new), max(0, new["current_period_end"] - at), _length(new))
    return credit, charge


def _length(item: Doc) -> int:
    return int(item["current_period_end"] - item["current_period_start"])


def _gross(sub: Doc, item: Doc) -> int:
    """A full period of an item after discounts; an amount off is spread over the subscription's items."""
    amount = amount_of(item["price"], item["quantity"], sub["currency"])
    others = [
        amount_of(row["price"], row["quantity"], sub["currency"])
        for row in sub["items"]["data"]
        if row["id"] != item["id"]
    ]
    for discount in sub["_discounts"]:
        coupon = discount["_coupon"]
        if coupon["percent_off"] is not None:
            amount -= share(amount, percent_bps(coupon["percent_off"]), 10_000)
        elif amount > 0:
            amount -= split(min(coupon["amount_off"], amount + sum(others)), [amount, *others])[0]
    return amount
