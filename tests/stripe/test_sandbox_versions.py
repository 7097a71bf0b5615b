"""One sale of the sandbox, rendered in every API version, comes to the same facts."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from refref.core.facts import Fact, Kind, merge
from refref.sandbox import Sandbox
from refref.sandbox.deliveries import render_event_bytes
from refref.sandbox.versions import VERSIONS, known
from refref.sandbox.wire import create_app
from refref.stripe.client import StripeGateway
from refref.stripe.readers import Need, read, read_document
from serving import serve

Story = Callable[[Sandbox], None]


def monthly(sb: Sandbox, amount: int = 1000, currency: str = "usd") -> str:
    return sb.create_price(sb.create_product("Pro")["id"], currency, amount, interval="month")["id"]


def one_off(sb: Sandbox, amount: int = 2500) -> str:
    return sb.create_price(sb.create_product("Mug")["id"], "usd", amount)["id"]


def promotion(sb: Sandbox) -> str:
    return sb.create_promotion_code(sb.create_coupon(percent_off=10, duration="forever")["id"], "ADA10")["id"]


def subscription_checkout(sb: Sandbox) -> None:
    sb.sell(
        price=monthly(sb),
        email="a@example.com",
        client_reference_id="ref_1",
        metadata={"refref_referral_id": "ref_1", "refref_campaign": "spring"},
        subscription_data={"metadata": {"refref_referral_id": "ref_2"}},
    )
    sb.advance_by(months=2)


def subscription_with_promotion_code_and_tax(sb: Sandbox) -> None:
    tax = sb.create_tax_rate(1000, inclusive=False)["id"]
    sb.sell(
        price=monthly(sb), email="a@example.com", promotion_code=promotion(sb), tax_rate=tax, client_reference_id="r"
    )
    sb.advance_by(months=1)


def subscription_with_inclusive_tax(sb: Sandbox) -> None:
    tax = sb.create_tax_rate(1900, inclusive=True)["id"]
    sb.sell(price=monthly(sb), email="a@example.com", tax_rate=tax)


def trial_and_cancellation(sb: Sandbox) -> None:
    sold = sb.sell(price=monthly(sb), email="a@example.com", subscription_data={"trial_period_days": 14})
    sb.advance_by(months=2)
    sb.cancel_subscription(sold["subscription"])


def upgrade_and_downgrade(sb: Sandbox) -> None:
    customer = sb.create_customer(email="a@example.com", country="DE")["id"]
    subscription = sb.subscribe(customer, price=monthly(sb), quantity=3)["id"]
    sb.advance_by(days=10)
    sb.change_subscription(subscription, price=monthly(sb, 9000), proration_behavior="always_invoice")
    sb.advance_by(days=5)
    sb.change_subscription(subscription, price=monthly(sb, 500), proration_behavior="always_invoice")
    sb.change_subscription(subscription, quantity=5)
    sb.advance_by(months=2)


def plans_intervals_and_metadata(sb: Sandbox) -> None:
    yearly = sb.create_price(sb.create_product("Pro")["id"], "usd", 9000, interval="year")["id"]
    customer = sb.create_customer(email="a@example.com", metadata={"tier": "gold", "refref_campaign": "spring"})["id"]
    subscription = sb.subscribe(customer, price=monthly(sb), trial_days=14, metadata={"seat": "a"})["id"]
    sb.advance_by(days=20)
    sb.change_subscription(subscription, quantity=4)
    sb.advance_by(months=1)
    sb.change_subscription(subscription, price=yearly, quantity=4)
    sb.set_discount(subscription, coupon=sb.create_coupon(percent_off=10, duration="forever")["id"])
    sb.advance_by(months=13)
    sb.sell(price=one_off(sb), email="b@example.com", promotion_code=promotion(sb), metadata={"kind": "mug"})


def one_off_refunded_in_parts(sb: Sandbox) -> None:
    sold = sb.sell(
        price=one_off(sb), email="a@example.com", payment_intent_data={"metadata": {"refref_referral_id": "ref_1"}}
    )
    sb.refund(sold["id"], amount=500)
    sb.advance_by(days=1)
    refund = sb.refund(sold["id"], amount=700, status="pending")
    sb.advance_by(days=1)
    sb.fail_refund(refund["id"])


def one_off_with_invoice_and_shipping(sb: Sandbox) -> None:
    sb.sell(
        price=one_off(sb),
        email="a@example.com",
        invoice_creation={"enabled": True},
        shipping=500,
        promotion_code=promotion(sb),
    )


def guest(sb: Sandbox) -> None:
    sb.sell(price=one_off(sb), customer_creation="if_required", client_reference_id="ref_1")


def delayed_payment(sb: Sandbox) -> None:
    for succeeded in (True, False):
        sold = sb.sell(price=one_off(sb), email="a@example.com", card="sepa")
        sb.advance_by(days=3)
        sb.settle_session(sold["id"], succeeded=succeeded)


def paid_out_of_band(sb: Sandbox) -> None:
    customer = sb.create_customer(email="a@example.com")["id"]
    whole = sb.create_invoice(customer, [{"amount": 3000, "description": "Work"}])
    sb.pay_invoice(whole["id"], out_of_band=True)
    partly = sb.create_invoice(customer, [{"amount": 3000, "description": "Work"}])
    sb.pay_invoice(partly["id"], amount=1000)
    sb.pay_invoice(partly["id"], out_of_band=True)


def paid_in_parts_and_too_much(sb: Sandbox) -> None:
    customer = sb.create_customer(email="a@example.com")["id"]
    invoice = sb.create_invoice(customer, [{"amount": 3000, "description": "Work"}])["id"]
    sb.pay_invoice(invoice, amount=1000)
    sb.pay_invoice(invoice, amount=2500)


def from_balance_and_written_off(sb: Sandbox) -> None:
    customer = sb.create_customer(email="a@example.com")["id"]
    sb.credit_customer(customer, -1500)
    sb.create_invoice(customer, [{"amount": 1000, "description": "x"}])
    sb.pay_invoice(sb.create_invoice(customer, [{"amount": 2000, "description": "x"}])["id"])
    sb.void_invoice(sb.create_invoice(customer, [{"amount": 100, "description": "x"}])["id"])
    sb.mark_uncollectible(sb.create_invoice(customer, [{"amount": 100, "description": "x"}])["id"])


def credit_notes(sb: Sandbox) -> None:
    customer = sb.create_customer(email="a@example.com")["id"]
    tax = sb.create_tax_rate(1000, inclusive=False)["id"]
    items = [{"amount": amount, "description": str(amount)} for amount in (1000, 2000, 3000)]
    paid = sb.create_invoice(customer, items, tax_rate=tax)
    sb.pay_invoice(paid["id"])
    line = paid["lines"]["data"][0]["id"]
    sb.credit_note(paid["id"], lines=[{"invoice_line_item": line, "amount": 1000}])
    sb.credit_note(paid["id"], amount=300, credit_amount=300)
    sb.credit_note(paid["id"], amount=300, out_of_band_amount=300)
    sb.credit_note(paid["id"], amount=300, out_of_band_amount=100, credit_amount=100, refund_amount=100)
    due = sb.create_invoice(customer, items)
    note = sb.credit_note(due["id"], amount=1000)
    sb.credit_note(due["id"], amount=500)
    sb.void_credit_note(note["id"])
    sb.pay_invoice(due["id"])


def disputes(sb: Sandbox) -> None:
    for ends in ("won", "lost", "warning_closed"):
        sold = sb.sell(price=monthly(sb), email="a@example.com")
        dispute = sb.dispute(sold["invoice"], inquiry=ends == "warning_closed")
        sb.advance_by(days=2)
        sb.close_dispute(dispute["id"], ends)
    sb.fraud_warning(sold["invoice"])


def many_lines(sb: Sandbox) -> None:
    customer = sb.create_customer(email="a@example.com")["id"]
    invoice = sb.create_invoice(customer, [{"amount": n, "description": str(n)} for n in range(100, 125)])
    sb.pay_invoice(invoice["id"])


def discount_set_later_and_customer_deleted(sb: Sandbox) -> None:
    customer = sb.create_customer(email="a@example.com", metadata={"refref_referral_id": "ref_1"})["id"]
    subscription = sb.subscribe(customer, price=monthly(sb), metadata={"refref_referral_id": "ref_2"})["id"]
    sb.set_discount(subscription, promotion_code=promotion(sb))
    sb.advance_by(months=1)
    sb.update_customer(customer, email="b@example.com")
    sb.delete_customer(customer)


def bare_payments(sb: Sandbox) -> None:
    customer = sb.create_customer(email="a@example.com")["id"]
    sb.create_payment_intent(700, "jpy", customer=customer)
    sb.create_charge(500, "isk", customer=customer)


STORIES: tuple[Story, ...] = (
    subscription_checkout,
    subscription_with_promotion_code_and_tax,
    subscription_with_inclusive_tax,
    trial_and_cancellation,
    upgrade_and_downgrade,
    plans_intervals_and_metadata,
    one_off_refunded_in_parts,
    one_off_with_invoice_and_shipping,
    guest,
    delayed_payment,
    paid_out_of_band,
    paid_in_parts_and_too_much,
    from_balance_and_written_off,
    credit_notes,
    disputes,
    many_lines,
    discount_set_later_and_customer_deleted,
    bare_payments,
)


@contextlib.contextmanager
def served(sb: Sandbox) -> Iterator[str]:
    """The sandbox on a real port."""
    url, stop = serve(create_app(sb))
    try:
        yield url
    finally:
        stop()


def facts_in(sb: Sandbox, version: str, documents: dict[Need, Any]) -> dict[str, Fact]:
    """What the events of that version come to, with what they need."""
    found: dict[str, Fact] = {}
    for event in sb.events:
        if not known(event["type"], version):
            continue
        reading = read(msgspec.json.decode(render_event_bytes(event, version)))
        fetched = [read_document(need, documents[need], event["created"]) for need in reading.needs]
        for fact in (*reading.facts, *(fact for group in fetched for fact in group)):
            found[fact.stripe_id] = merge(found[fact.stripe_id], fact) if fact.stripe_id in found else fact
    return found


def needs_in(sb: Sandbox) -> set[Need]:
    return {
        need
        for version in VERSIONS
        for event in sb.events
        for need in read(msgspec.json.decode(render_event_bytes(event, version))).needs
    }


async def fetched(needs: set[Need], base_url: str) -> dict[Need, Any]:
    gateway = StripeGateway("sk_test_x", base_url)
    try:
        return {need: await gateway.fetch(need) for need in sorted(needs)}
    finally:
        await gateway.close()


def scopes(found: dict[str, Fact]) -> set[frozenset[str]]:
    """Which objects hang together through their links."""
    groups: dict[str, set[str]] = {}
    for fact in found.values():
        joined = set().union(*(groups.get(stripe_id, {stripe_id}) for stripe_id in (fact.stripe_id, *fact.links)))
        groups.update(dict.fromkeys(joined, joined))
    return {
        frozenset(stripe_id for stripe_id in group if not stripe_id.startswith(("inpay_", "ch_", "pi_")))
        for group in groups.values()
    }


def told(found: dict[str, Fact]) -> dict[str, Any]:
    # Invoice payments exist since basil; older payloads name the payment themselves.
    return {
        stripe_id: (fact.kind, fact.rank, fact.state, fact.carriers, fact.marks)
        for stripe_id, fact in found.items()
        if fact.kind is not Kind.INVOICE_PAYMENT
    }


@pytest.mark.parametrize("story", STORIES)
def test_every_version_comes_to_the_same_facts(story: Story) -> None:
    sb = Sandbox(clock_start="2026-01-01T00:00:00Z", seed=7)
    story(sb)
    with served(sb) as base_url:
        documents = asyncio.run(fetched(needs_in(sb), base_url))
    expected = facts_in(sb, VERSIONS[-1], documents)
    assert expected
    for version in VERSIONS[:-1]:
        found = facts_in(sb, version, documents)
        assert told(found) == told(expected), version
        assert scopes(found) == scopes(expected), version
