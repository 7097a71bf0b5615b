"""Everything that billing keeps or emits passes Stripe's own specification, and renders in every version."""

import json

import pytest

from refref.sandbox import Sandbox
from refref.sandbox.versions import VERSIONS, known, render
from sandbox.everything_billing import billing
from sandbox.judge import faults

SB = Sandbox(clock_start="2026-01-31T00:00:00+00:00", seed=11)
billing(SB)
KINDS = (
    "charge",
    "checkout.session",
    "customer",
    "dispute",
    "invoice",
    "invoice_payment",
    "invoiceitem",
    "line_item",
    "payment_intent",
    "payment_link",
    "payment_method",
    "price",
    "refund",
    "setup_intent",
    "shipping_rate",
    "subscription",
    "subscription_schedule",
)
EMITTED = {
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "invoice.deleted",
    "invoice.payment_action_required",
    "invoice.sent",
    "invoiceitem.deleted",
    "payment_intent.requires_action",
    "payment_link.created",
    "payment_link.updated",
    "payment_method.attached",
    "payment_method.detached",
    "payment_method.updated",
    "setup_intent.canceled",
    "setup_intent.requires_action",
    "setup_intent.setup_failed",
    "subscription_schedule.canceled",
    "subscription_schedule.completed",
    "subscription_schedule.created",
    "subscription_schedule.released",
    "subscription_schedule.updated",
    "test_helpers.test_clock.advancing",
    "test_helpers.test_clock.created",
    "test_helpers.test_clock.deleted",
    "test_helpers.test_clock.ready",
}


def test_every_event_passes_the_specification() -> None:
    assert [(e["type"], f) for e in SB.events for f in faults(render(e, VERSIONS[-1]))] == []
    assert {e["type"] for e in SB.events} >= EMITTED


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_passes_the_specification(kind: str) -> None:
    held = [render(d, VERSIONS[-1]) for d in SB.all(kind) if not d.get("deleted")]
    assert held
    assert [f for d in held for f in faults(d)] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_event_renders_in_every_version(version: str) -> None:
    for event in SB.events:
        if known(event["type"], version):
            shown = render(event, version)
            assert (shown["api_version"], shown["data"]["object"]["id"]) == (version, event["data"]["object"]["id"])
            assert '"_' not in json.dumps(shown)


def test_invoices_add_up() -> None:
    for invoice in SB.all("invoice"):
        own = [line for line in SB.all("line_item") if line["invoice"] == invoice["id"]]
        on_top = sum(t["amount"] for t in invoice["total_taxes"] if t["tax_behavior"] == "exclusive")
        off = sum(d["amount"] for d in invoice["total_discount_amounts"])
        assert invoice["subtotal"] == sum(line["amount"] for line in own)
        assert invoice["total"] == invoice["subtotal"] - off + on_top + invoice["amount_shipping"]
        paid = [
            p["amount_paid"] for p in SB.all("invoice_payment") if p["invoice"] == invoice["id"] and p["amount_paid"]
        ]
        assert invoice["amount_paid"] == sum(paid) + invoice["amount_paid_off_stripe"]
        assert invoice["amount_remaining"] == max(0, invoice["amount_due"] - invoice["amount_paid"])
