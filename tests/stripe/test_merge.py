"""Merging facts is a join: order, repetition and grouping of what arrives never change what is known."""

from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from stripe_payloads import (
    NOW,
    charge,
    credit_note,
    customer,
    dispute,
    event,
    fraud_warning,
    invoice,
    invoice_payment,
    line,
    lines,
    old_invoice,
    payment_intent,
    refund,
    session,
    subscription,
)

from refref.core.facts import Carrier, CarrierKind, Fact, Kind, RefundState, decode_fact, encode_fact, merge
from refref.stripe.readers import Need, NeedKind, read, read_document

small = st.integers(0, 3)
words = st.sampled_from(["", "a", "b"])
carriers = st.builds(
    Carrier,
    st.sampled_from([CarrierKind.SIGNUP, CarrierKind.PROMOTION_CODE]),
    st.sampled_from(["v", "w"]),
    small,
    words,
    st.none() | small,
)


@st.composite
def grown_facts(draw: st.DrawFn) -> Fact:
    """A fact as the readers make it (links, carriers and marks in order, each once)."""
    by_key = {(carrier.kind, carrier.value): carrier for carrier in draw(st.lists(carriers, max_size=3))}
    return Fact(
        "re_1",
        draw(st.sampled_from([Kind.REF, Kind.REFUND])),
        draw(small),
        draw(small),
        draw(small),
        draw(st.none() | st.builds(RefundState, words, small)),
        tuple(sorted(draw(st.sets(words)))),
        tuple(sorted(by_key.values(), key=lambda carrier: (carrier.kind.value, carrier.value))),
        tuple(sorted(draw(st.dictionaries(words, small)).items())),
    )


@given(grown_facts(), grown_facts(), grown_facts())
def test_merge_is_a_semilattice(a: Fact, b: Fact, c: Fact) -> None:
    assert merge(a, a) == a
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(merge(a, b), b) == merge(a, b)
    assert decode_fact(encode_fact(merge(a, b))) == merge(a, b)


# Everything one sale with a refund, a dispute and a credit note may emit, much of it in the same second.
SALE: list[dict[str, Any]] = [
    event(customer(metadata={"refref_referral_id": "ref_1"}), "customer.created", NOW - 50),
    event(customer(email="new@example.com"), "customer.updated", NOW + 20),
    event(subscription(status="incomplete"), "customer.subscription.created", NOW),
    event(subscription(), "customer.subscription.updated", NOW),
    event(subscription(status="canceled", canceled_at=NOW + 90), "customer.subscription.deleted", NOW + 90),
    event(old_invoice(lines=lines(line(), has_more=True)), "invoice.paid", NOW),
    event(invoice(), "invoice.paid", NOW),
    event(invoice_payment(), "invoice_payment.paid", NOW),
    event(payment_intent(), "payment_intent.succeeded", NOW),
    event(charge(), "charge.succeeded", NOW),
    event(session(mode="subscription", subscription="sub_1", invoice="in_1", client_reference_id="ref_2")),
    event(charge(amount_refunded=400, refunds={"data": [refund()]}), "charge.refunded", NOW),
    event(charge(amount_refunded=700), "charge.refunded", NOW),
    event(refund(status="pending"), "refund.created", NOW),
    event(refund(), "refund.updated", NOW),
    event(refund(status="failed"), "refund.failed", NOW + 60),
    event(dispute(), "charge.dispute.created", NOW + 30),
    event(dispute(), "charge.dispute.funds_withdrawn", NOW + 30),
    event(dispute(status="won"), "charge.dispute.closed", NOW + 40),
    event(dispute(status="won"), "charge.dispute.funds_reinstated", NOW + 40),
    event(fraud_warning()),
    event(credit_note(), "credit_note.created", NOW + 10),
    event(credit_note(status="void"), "credit_note.voided", NOW + 15),
]


def joined(arrivals: list[tuple[Fact, ...]]) -> dict[str, Fact]:
    known: dict[str, Fact] = {}
    for arrived in arrivals:
        for fact in arrived:
            known[fact.stripe_id] = merge(known[fact.stripe_id], fact) if fact.stripe_id in known else fact
    return known


READINGS = [
    *(read(arrived).facts for arrived in SALE),
    read_document(Need(NeedKind.INVOICE_LINES, "in_1"), invoice(lines=lines(line(), line(id="il_2"))), NOW),
    read_document(Need(NeedKind.SUBSCRIPTION, "sub_1"), subscription(), NOW),
]
EXPECTED = joined(READINGS)


@given(st.permutations(READINGS), st.lists(st.sampled_from(READINGS), max_size=10))
def test_a_sale_in_any_order_and_number_of_arrivals(order: list[Any], again: list[Any]) -> None:
    assert joined([*order, *again]) == EXPECTED
    assert joined([*again, *order]) == EXPECTED


def test_what_the_sale_comes_to() -> None:
    states = {stripe_id: fact.state for stripe_id, fact in EXPECTED.items()}
    assert len(states["in_1"].lines) == 2
    assert states["sub_1"].status == "canceled"
    assert states["ch_1"].amount_refunded == 700
    assert states["re_1"].status == "failed"
    assert states["dp_1"].status == "won"
    assert states["cn_1"].status == "void"
    assert states["cus_1"].email == "new@example.com"
    assert dict(EXPECTED["ch_1"].marks) == {"fraud_warning": NOW - 3}
    assert dict(EXPECTED["dp_1"].marks) == {"funds_withdrawn": NOW + 30, "funds_reinstated": NOW + 40}


def test_async_payment_failed_before_or_after_completed() -> None:
    steps = [
        read(event(session(payment_status="unpaid"), "checkout.session.completed", NOW)).facts,
        read(event(session(payment_status="unpaid"), "checkout.session.async_payment_failed", NOW)).facts,
    ]
    for order in permutations(steps):
        assert joined(list(order))["cs_1"].state.has_async_failure
    succeeded = read(event(session(), "checkout.session.async_payment_succeeded", NOW)).facts
    for order in permutations([steps[0], succeeded]):
        assert joined(list(order))["cs_1"].rank == 4
