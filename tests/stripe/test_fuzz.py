"""Whatever a payload looks like, reading it gives facts that can be stored, or UnreadableEvent. Never anything else."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stripe_payloads import EVERY_OBJECT, NOW, discount, event, invoice, line, lines, refund, session, subscription

from refref.core.facts import Fact, decode_fact, encode_fact
from refref.stripe.readers import REGISTRY, Need, NeedKind, UnreadableEvent, read, read_document

CODES = {
    "not_an_event",
    "no_object",
    "wrong_object",
    "no_id",
    "missing_field",
    "wrong_type",
    "wrong_document",
    "too_deep",
}

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["in_1", "cus_1", "\ud800", "\x00", "", " "]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)

WHOLE: list[dict[str, Any]] = [
    *(make() for make in EVERY_OBJECT),
    invoice(
        discounts=[discount(), "di_2"],
        customer={"id": "cus_1", "object": "customer", "metadata": {"refref_referral_id": "r"}},
        parent={"subscription_details": {"subscription": subscription(), "metadata": {"refref_referral_id": "r"}}},
        shipping_cost={"amount_subtotal": 5, "amount_tax": 1, "amount_total": 6},
        payments={"data": [{"id": "inpay_1", "object": "invoice_payment", "status": "paid", "payment": {}}]},
        lines=lines(line(discounts=[discount()], taxes=[{"amount": 5, "tax_behavior": "inclusive"}]), line(id="il_2")),
    ),
    session(
        metadata={"refref_referral_id": "r", "refref_campaign": "c"},
        client_reference_id="r",
        currency_conversion={"amount_total": 7, "source_currency": "usd"},
        line_items={"data": [{"id": "li_1", "amount_subtotal": 5, "amount_total": 5}]},
    ),
    {**EVERY_OBJECT[5](), "refunds": {"data": [refund()]}, "invoice": invoice()},
]


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = [path] if path else []
    for key, value in inside:
        found += places(value, (*path, key))
    return found


def mutated(draw: st.DrawFn, body: Any) -> Any:
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        paths = places(body)
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        node = body
        for key in way:
            node = node[key]
        action = draw(st.sampled_from(["drop", "null", "junk", "extra", "swap"]))
        if action == "drop":
            del node[last]
        elif action == "null":
            node[last] = None
        elif action == "swap":
            node[last] = copy.deepcopy(draw(st.sampled_from(WHOLE)))
        elif action == "extra" and isinstance(node, dict):
            node[draw(st.text(max_size=5))] = draw(junk)
        else:
            node[last] = draw(junk)
    return body


@st.composite
def odd_events(draw: st.DrawFn) -> Any:
    return mutated(draw, event(draw(st.sampled_from(WHOLE))))


@st.composite
def odd_documents(draw: st.DrawFn) -> tuple[Need, Any]:
    payload = draw(st.sampled_from(WHOLE))
    kinds = [kind for kind in NeedKind if kind.value.startswith(payload["object"].split(".")[-1])]
    kind = draw(st.sampled_from(kinds or list(NeedKind)))
    if kind is NeedKind.INVOICE_OF_PAYMENT:
        payload = {"object": "list", "data": [payload]}
    return Need(kind, payload.get("id", "pi_1")), mutated(draw, payload)


def outcome(call: Callable[[], tuple[Fact, ...]]) -> tuple[Fact, ...] | UnreadableEvent:
    try:
        return call()
    except UnreadableEvent as refusal:
        return refusal


def check(call: Callable[[], tuple[Fact, ...]]) -> None:
    found = outcome(call)
    if isinstance(found, UnreadableEvent):
        assert found.code in CODES
        assert found.sentence.endswith(".")
        return
    for fact in found:
        assert decode_fact(encode_fact(fact)) == fact
        assert list(fact.links) == sorted(set(fact.links))
        assert fact.stripe_id not in fact.links


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(odd_events())
def test_an_odd_event_is_read_or_refused(body: Any) -> None:
    check(lambda: read(body).facts)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(odd_documents())
def test_an_odd_document_is_read_or_refused(case: tuple[Need, Any]) -> None:
    need, document = case
    check(lambda: read_document(need, document, NOW))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(REGISTRY)), junk)
def test_junk_is_read_or_refused(name: str, payload: Any) -> None:
    check(lambda: read({"type": name, "created": NOW, "data": {"object": payload}}).facts)


@pytest.mark.parametrize("make", EVERY_OBJECT)
def test_an_object_without_an_id_is_refused(make: Any) -> None:
    payload = make()
    del payload["id"]
    with pytest.raises(UnreadableEvent) as refused:
        read(event(payload))
    assert refused.value.code == "no_id"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "not_an_event"),
        ({}, "not_an_event"),
        ({"type": "invoice.paid", "data": {"object": {}}}, "not_an_event"),
        ({"type": "invoice.paid", "created": 1}, "no_object"),
        ({"type": "invoice.paid", "created": 1, "data": {}}, "no_object"),
        (event(refund(), "invoice.paid"), "wrong_object"),
        (event(invoice(amount_paid="1000")), "wrong_type"),
        (event(invoice(amount_paid=10.5)), "wrong_type"),
        (event(invoice(amount_paid=True)), "wrong_type"),
        (event(invoice(amount_paid=2**63)), "wrong_type"),
        (event(invoice(amount_paid=None)), "missing_field"),
        (event(invoice(customer=7)), "wrong_type"),
        (event(invoice(lines=lines({**line(), "amount": None}))), "missing_field"),
    ],
)
def test_what_is_refused_and_why(body: Any, code: str) -> None:
    with pytest.raises(UnreadableEvent) as refused:
        read(body)
    assert refused.value.code == code


def test_the_refusal_names_the_field() -> None:
    with pytest.raises(UnreadableEvent, match="`amount_paid` of the invoice must be a whole number"):
        read(event(invoice(amount_paid="1000")))


def test_endless_nesting_is_refused() -> None:
    payload = subscription()
    for _ in range(20):
        payload = subscription(latest_invoice=invoice(parent={"subscription_details": {"subscription": payload}}))
    with pytest.raises(UnreadableEvent) as refused:
        read(event(payload))
    assert refused.value.code == "too_deep"


def test_a_document_of_something_else_is_refused() -> None:
    need = Need(NeedKind.INVOICE_LINES, "in_1")
    for document in (invoice(id="in_2"), refund(), {}, [], None):
        with pytest.raises(UnreadableEvent) as refused:
            read_document(need, document, NOW)  # type: ignore[arg-type]  # odd on purpose
        assert refused.value.code == "wrong_document"
    assert read_document(need, {"id": "in_1", "object": "invoice", "deleted": True}, NOW) == ()
