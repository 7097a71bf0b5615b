"""Sample events of every type that the sandbox tells, in the newest version, as JSON lines in order of type.

`python -m refref.sandbox.sample_events > src/refref/sample_events.jsonl` writes the file that RefRef comes with.
"""

from __future__ import annotations

import json
import sys

from refref.sandbox.deliveries import render_event_bytes
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc
from refref.sandbox.versions import VERSIONS

SEED = 20260101
START = "2026-01-01T09:00:00Z"


def sample_events() -> list[bytes]:
    """One event of each type, the most telling one: with what changed, and with metadata."""
    sandbox = Sandbox(clock_start=START, seed=SEED)
    _sell(sandbox)
    _subscribe(sandbox)
    _take_back(sandbox)
    _bill(sandbox)
    chosen: dict[str, Doc] = {}
    for event in sandbox.events:
        known = chosen.get(event["type"])
        if known is None or _worth(event) > _worth(known):
            chosen[event["type"]] = event
    return [render_event_bytes(chosen[name], VERSIONS[-1]) for name in sorted(chosen)]


def _worth(event: Doc) -> tuple[bool, bool, bool]:
    previous = event["data"].get("previous_attributes") or {}
    return "metadata" in previous, bool(previous), bool(event["data"]["object"].get("metadata"))


def _sell(sb: Sandbox) -> None:
    """One-off sales, at once and delayed, to a customer whose identity is checked meanwhile."""
    product = sb.create_product("Sample Course", metadata={"level": "basic"})["id"]
    once = sb.create_price(product, "usd", 4900)["id"]
    customer = sb.create_customer(
        email="customer@example.com", name="Sample Customer", country="DE", metadata={"kyc": "pending"}
    )["id"]
    sb.advance_by(hours=1)
    sb.update_customer(customer, metadata={"kyc": "passed"})
    sb.sell(price=once, customer=customer, client_reference_id="sample-code", metadata={"source": "newsletter"})
    for succeeded in (True, False):
        sold = sb.sell(price=once, customer=customer, card="sepa")
        sb.advance_by(days=3)
        sb.settle_session(sold["id"], succeeded=succeeded)
    sb.expire_session(sb.checkout(mode="payment", line_items=[{"price": once}])["id"])
    sb.pay_session(sb.checkout(mode="setup", customer=customer)["id"])
    sb.update_catalog("product", product, {"metadata": {"level": "advanced"}})
    sb.update_catalog("price", once, {"nickname": "Sample price"})
    sb.delete_product(sb.create_product("Sample Mistake")["id"])


def _subscribe(sb: Sandbox) -> None:
    """A trial, renewals, a change of plan and of quantity, a discount, a pause, a failed payment and an end."""
    product = sb.create_product("Sample Plan")["id"]
    monthly = sb.create_price(product, "usd", 2900, interval="month")["id"]
    yearly = sb.create_price(product, "usd", 29_000, interval="year")["id"]
    coupon = sb.create_coupon(percent_off=20, duration="repeating", duration_in_months=3)["id"]
    code = sb.create_promotion_code(coupon, "SAMPLE20")["id"]
    customer = sb.create_customer(email="subscriber@example.com", name="Sample Subscriber", country="US")["id"]
    sub = sb.subscribe(customer, price=monthly, trial_days=14, metadata={"team": "sample"})["id"]
    sb.advance_by(months=1)
    sb.set_discount(sub, promotion_code=code)
    sb.change_subscription(sub, price=yearly, proration_behavior="always_invoice")
    sb.change_subscription(sub, price=monthly, quantity=3, metadata={"team": "large"})
    sb.set_discount(sub)
    sb.pause_subscription(sub)
    sb.resume_subscription(sub)
    sb.change_card(sub, "declined")
    sb.advance_by(months=2)
    sb.cancel_subscription(sub)
    sb.update_promotion_code(code, active=False)
    sb.delete_coupon(coupon)
    sb.delete_customer(customer)


def _take_back(sb: Sandbox) -> None:
    """Refunds, a dispute won, and a warning of fraud."""
    once = sb.create_price(sb.create_product("Sample Ticket")["id"], "usd", 12_000)["id"]
    sale = sb.sell(price=once, email="refunds@example.com")["id"]
    sb.fail_refund(sb.refund(sale, amount=1_000)["id"])
    sb.settle_refund(sb.refund(sale, amount=2_000, status="pending")["id"])
    dispute = sb.dispute(sale)["id"]
    sb.update_dispute(dispute, "under_review")
    sb.close_dispute(dispute, "won")
    sb.fraud_warning(sale)


def _bill(sb: Sandbox) -> None:
    """Invoices by hand: paid, credited, voided, written off."""
    customer = sb.create_customer(email="billing@example.com", name="Sample Company")["id"]
    items = [{"amount": 5_000, "description": "Sample work"}]
    paid = sb.create_invoice(customer, items)["id"]
    sb.pay_invoice(paid)
    sb.credit_note(paid, amount=500, credit_amount=500)
    unpaid = sb.create_invoice(customer, items)["id"]
    sb.void_credit_note(sb.credit_note(unpaid, amount=500)["id"])
    sb.void_invoice(unpaid)
    sb.mark_uncollectible(sb.create_invoice(customer, items)["id"])


if __name__ == "__main__":
    for line in sample_events():
        sys.stdout.write(json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")) + "\n")
