"""Objects of lists as stored events: what they tell of a sale is what its events told, and since when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from refref.core.facts import CarrierKind, DisputeState, Fact, Kind, RefundState, SessionState
from refref.flows.read_stored import read_stored
from refref.sandbox import Sandbox
from refref.sandbox.versions import render
from refref.stripe.readers import UnreadableEvent, read
from refref.stripe.readers.objects import object_event, read_object

VERSION = "2026-10-28.endive"
LATER = 90 * 86_400


@pytest.fixture
def sb() -> Sandbox:
    return Sandbox(clock_start="2026-01-01T00:00:00Z", seed=3)


def price_of(sb: Sandbox, **more: Any) -> str:
    return str(sb.create_price(sb.create_product("P")["id"], "usd", 5_000, **more)["id"])


def facts_of(payload: dict[str, Any], seen_at: int) -> dict[str, Fact]:
    return {fact.stripe_id: fact for fact in read_object(render(payload, VERSION), seen_at).facts}


def told(sb: Sandbox, kind: str) -> Fact:
    """What the first event of a type told of its object."""
    event = next(event for event in sb.events if event["type"] == kind)
    stripe_id = event["data"]["object"]["id"]
    return next(fact for fact in read(render(event, VERSION)).facts if fact.stripe_id == stripe_id)


@pytest.mark.parametrize(
    "event", ["customer.created", "invoice.paid", "charge.succeeded", "payment_intent.succeeded", "refund.created"]
)
def test_an_object_read_much_later_tells_what_its_event_told(sb: Sandbox, event: str) -> None:
    customer = sb.create_customer(email="a@customers.example", metadata={"refref_referral_id": "ana"})["id"]
    sb.subscribe(customer, price=price_of(sb, interval="month"))
    if event == "refund.created":
        sb.refund(sb.all("charge")[0]["id"])
    by_event = told(sb, event)
    by_list = facts_of(sb.get(by_event.stripe_id), sb.now + LATER)[by_event.stripe_id]
    assert by_list.seen_at == sb.now + LATER
    assert by_list.carriers == by_event.carriers, "since when it is referred does not depend on when it was read"
    if event != "customer.created":  # its currency came with the first sale
        assert by_list.state == by_event.state


def test_a_discount_counts_from_its_start(sb: Sandbox) -> None:
    coupon = sb.create_coupon(percent_off=10, duration="forever")["id"]
    code = sb.create_promotion_code(coupon, "ANA10")["id"]
    customer = sb.create_customer(email="a@customers.example")["id"]
    subscription = sb.subscribe(customer, price=price_of(sb, interval="month"))["id"]
    sb.advance_by(days=10)
    sb.set_discount(subscription, promotion_code=code)
    began = sb.now
    sb.advance_by(days=5)
    payload = render(sb.get(subscription), VERSION)
    payload["discounts"] = [render(sb.get(discount), VERSION) for discount in payload["discounts"]]
    fact = next(f for f in read_object(payload, sb.now).facts if f.stripe_id == subscription)
    carriers = [carrier for carrier in fact.carriers if carrier.kind is CarrierKind.PROMOTION_CODE]
    assert [(carrier.value, carrier.seen_at) for carrier in carriers] == [(code, began)]
    assert dict(fact.marks)[f"coupon:{coupon}"] == began


@pytest.mark.parametrize(
    ("status", "marks"),
    [
        ("needs_response", {"funds_withdrawn"}),
        ("lost", {"funds_withdrawn"}),
        ("won", {"funds_withdrawn", "funds_reinstated"}),
    ],
)
def test_a_dispute_s_balance_transactions_tell_whether_its_money_moved(
    sb: Sandbox, status: str, marks: set[str]
) -> None:
    sb.sell(price=price_of(sb), email="a@customers.example")
    dispute = sb.dispute(sb.all("charge")[0]["id"])["id"]
    if status != "needs_response":
        sb.advance_by(days=3)
        sb.close_dispute(dispute, status)
    fact = facts_of(sb.get(dispute), sb.now + LATER)[dispute]
    assert isinstance(fact.state, DisputeState)
    assert (fact.kind, fact.state.status) == (Kind.DISPUTE, status)
    assert {name for name, _ in fact.marks} == marks
    assert all(at <= sb.now for _, at in fact.marks)


def test_an_inquiry_moves_no_money(sb: Sandbox) -> None:
    sb.sell(price=price_of(sb), email="a@customers.example")
    dispute = sb.dispute(sb.all("charge")[0]["id"], inquiry=True)["id"]
    assert facts_of(sb.get(dispute), sb.now)[dispute].marks == ()


@pytest.mark.parametrize(("succeeded", "has_failed"), [(True, False), (False, True)])
def test_a_delayed_payment_that_was_given_up_has_failed(sb: Sandbox, succeeded: bool, has_failed: bool) -> None:
    session = sb.sell(price=price_of(sb), email="a@customers.example", card="sepa")["id"]
    waiting = render(sb.get(session), VERSION)
    waiting["payment_intent"] = render(sb.get(waiting["payment_intent"]), VERSION)
    assert _failed(waiting, sb.now) is False, "it is on its way"
    sb.settle_session(session, succeeded=succeeded)
    payload = render(sb.get(session), VERSION)
    payload["payment_intent"] = render(sb.get(payload["payment_intent"]), VERSION)
    assert _failed(payload, sb.now) is has_failed


def _failed(payload: dict[str, Any], seen_at: int) -> bool:
    state = next(fact.state for fact in read_object(payload, seen_at).facts if fact.stripe_id == payload["id"])
    assert isinstance(state, SessionState)
    return state.has_async_failure


def test_a_failed_refund_is_read_as_failed(sb: Sandbox) -> None:
    sb.sell(price=price_of(sb), email="a@customers.example")
    refund = sb.refund(sb.all("charge")[0]["id"])["id"]
    sb.fail_refund(refund)
    state = facts_of(sb.get(refund), sb.now)[refund].state
    assert isinstance(state, RefundState)
    assert state.status == "failed"


def test_the_stored_envelope_reads_as_the_object(sb: Sandbox) -> None:
    sb.sell(price=price_of(sb), email="a@customers.example")
    charge = render(sb.all("charge")[0], VERSION)
    event = object_event(charge, 1_800_000_000, livemode=False, api_version=VERSION)
    assert (event["id"], event["type"]) == (f"obj_{charge['id']}_1800000000", "refref.object.charge")
    assert read_stored(event["type"], msgspec.json.encode(event), {}) == read_object(charge, 1_800_000_000)


@pytest.mark.parametrize("payload", [{}, {"object": "payout", "id": "po_1"}, {"object": "charge"}, {"object": 5}])
def test_what_is_no_object_of_ours_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(UnreadableEvent):
        read_object(payload, 1_800_000_000)
