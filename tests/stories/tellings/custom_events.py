"""Custom events: rewards for what any Stripe event tells (scenario 86)."""

from __future__ import annotations

from typing import Any

from refref.core.terms import CustomEvent, QualifyingEvent, RewardRule
from stories.story import Story, pending, story

PASSED = (
    'event.data.object.metadata.kyc == "passed" && !(has(event.data.previous_attributes.metadata.kyc)'
    ' && event.data.previous_attributes.metadata.kyc == "passed")'
)
FIVE = {"kind": "fixed", "amounts": {"usd": 500}}


def _terms(custom: CustomEvent, **rule: Any) -> dict[str, Any]:
    """Terms of one custom event and what it earns."""
    event = QualifyingEvent("told", kind="custom", custom=custom)
    return {"events": (event,), "rules": (RewardRule(rule_id="told", event="told", **rule),)}


@story("86")
def a_customer_who_passed_the_check(s: Story) -> None:
    s.program(**_terms(CustomEvent(("customer.updated",), PASSED), **FIVE))
    s.affiliate("ana")
    referred, other, unreferred = s.customer("ana"), s.customer("ana"), s.customer()
    for word in ("pending", "passed", "failed", "passed"):
        s.wait(hours=1)
        for customer in (referred, unreferred):
            s.sb.update_customer(customer, metadata={"kyc": word})
        s.sb.update_customer(other, name=f"Sample Buyer {word}")
    s.end(ana=[pending(500)], refused=[])


@story("86-every-time")
def as_often_as_it_happens_and_of_the_amount_that_it_names(s: Story) -> None:
    s.enable("invoice.finalized")
    custom = CustomEvent(
        ("invoice.finalized",), "event.data.object.total >= 1000", amount_path="data.object.total", per_customer="many"
    )
    s.program(**_terms(custom, rate_bps=1_000))
    s.affiliate("ana")
    customer = s.customer("ana")
    for amount in (3_000, 999, 5_000):
        s.wait(hours=1)
        s.paid_invoice(customer, [amount])
    s.end(ana=[pending(300), pending(500)])


@story("86-terms-after-the-fact")
def what_happened_before_the_terms_were_published_counts_too(s: Story) -> None:
    s.enable("invoice.finalized")
    s.program(**_terms(CustomEvent(("customer.updated",), PASSED), **FIVE))
    s.affiliate("ana")
    customer = s.customer("ana")
    s.wait(hours=1)
    s.sb.update_customer(customer, metadata={"kyc": "passed"})
    s.paid_invoice(customer, [2_000])
    s.expect(ana=[pending(500)])
    s.publish(0, **_terms(CustomEvent(("invoice.finalized",)), kind="fixed", amounts={"usd": 700}))
    s.end(ana=[pending(700)])
    keys = s.world.fetch(s.merchant, "select payment_key from decision where outcome = 'rewarded'")
    assert [row[0] for row in keys] == [f"{customer}/custom/told"]
    states = s.world.fetch(s.merchant, "select distinct state from stripe_event where type = 'invoice.finalized'")
    assert [row[0] for row in states] == ["accepted" if s.mode.is_late else "ignored"]


@story("86-another-customer")
def the_customer_stands_elsewhere_in_the_event(s: Story) -> None:
    s.enable("product.created")
    s.program(**_terms(CustomEvent(("product.created",), customer_path="data.object.metadata.buyer"), **FIVE))
    s.affiliate("ana")
    customer = s.customer("ana")
    s.wait(hours=1)
    for buyer in (customer, "usd", "cus_unknown"):
        s.sb.create_product("Gift", metadata={"buyer": buyer})
    s.sb.create_product("Mug")
    s.end(ana=[pending(500)], refused=[])
    scopes = s.world.fetch(s.merchant, "select stripe_id, scope_id from fact where kind = 'event' order by scope_id")
    assert sorted(row[1] for row in scopes) == sorted([customer, "cus_unknown"])
