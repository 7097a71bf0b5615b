"""Payloads with only the fields that matter: read where the meaning is clear, refused with the field where not."""

from typing import Any

import pytest
from stripe_payloads import NOW, event, facts, invoice, old_invoice

from refref.core.facts import CarrierKind, Line
from refref.core.sales import sales_of
from refref.stripe.readers import UnreadableEvent, read

Payload = dict[str, Any]
INVOICE = {"id": "in_1", "object": "invoice", "amount_paid": 4_321, "currency": "usd", "customer": "cus_1"}
SESSION = {"id": "cs_1", "object": "checkout.session", "client_reference_id": "ana"}
CHARGE = {"id": "ch_1", "object": "charge", "amount": 5_000, "currency": "usd"}
INTENT = {"id": "pi_1", "object": "payment_intent", "amount": 5_000, "currency": "usd"}
DISPUTE = {"id": "dp_1", "object": "dispute", "amount": 5_000, "charge": "ch_1"}
NOTE = {"id": "cn_1", "object": "credit_note", "invoice": "in_1", "amount": 2_500, "currency": "usd"}


def only(payload: Payload, name: str | None = None) -> Any:
    return facts(payload, name)[payload["id"]]


@pytest.mark.parametrize(
    ("changes", "name", "status"),
    [
        ({"status": "paid"}, "invoice.paid", "paid"),
        ({"paid": True}, "invoice.paid", "paid"),
        ({}, "invoice.paid", "paid"),
        ({"total": 4_321}, "invoice.paid", "paid"),
        ({"amount_due": 4_321}, "invoice.paid", "paid"),
        ({"amount_due": 0, "amount_remaining": 0}, "invoice.paid", "paid"),
        ({"lines": None, "status_transitions": None, "tax": None}, "invoice.paid", "paid"),
        ({}, "invoice.voided", "void"),
        ({}, "invoice.marked_uncollectible", "uncollectible"),
    ],
)
def test_an_invoice_with_little_more_than_what_was_paid(changes: Payload, name: str, status: str) -> None:
    state = only({**INVOICE, **changes}, name).state
    assert (state.status, state.amount_paid, state.tax) == (status, 4_321, 0)
    assert status != "paid" or (state.total, state.subtotal, state.total_excluding_tax) == (4_321, 4_321, 4_321)


@pytest.mark.parametrize(
    "changes",
    [
        {"total_excluding_tax": 4_000},
        {"total_tax_amounts": [{"amount": 321, "inclusive": False}]},
        {"lines": {"data": [{"amount": 4_000, "tax_amounts": [{"amount": 321, "inclusive": False}]}]}},
        {"lines": {"data": [{"amount": 4_000, "taxes": [{"amount": 321, "tax_behavior": "exclusive"}]}]}},
        {"lines": {"data": [{"amount": 4_321, "taxes": [{"amount": 321, "tax_behavior": "inclusive"}]}]}},
    ],
)
def test_tax_that_only_one_place_tells_of(changes: Payload) -> None:
    state = only({**INVOICE, **changes}).state
    assert (state.total, state.tax, state.total_excluding_tax) == (4_321, 321, 4_000)


def test_out_of_band_money_without_an_amount_due() -> None:
    payload = old_invoice(paid_out_of_band=True, amount_paid=0, amount_due=None, total=1_000)
    state = only(payload).state
    assert (state.amount_paid, state.amount_off_stripe) == (1_000, 1_000)


def test_an_invoice_without_its_instant_was_paid_when_it_was_told() -> None:
    assert only({**INVOICE, "created": 1_680_000_000}).state.paid_at == NOW
    assert only(invoice(status_transitions={"paid_at": NOW - 5})).state.paid_at == NOW - 5


def test_payments_of_an_invoice_without_ids_are_links() -> None:
    rows = [{"payment": {"type": "payment_intent", "payment_intent": "pi_1"}}, {"payment": {"charge": "ch_1"}}]
    assert only({**INVOICE, "payments": {"data": rows}}).links == ("ch_1", "cus_1", "pi_1")


def test_a_line_without_an_id() -> None:
    (line,) = only(
        {**INVOICE, "lines": {"data": [{"amount": 4_321, "price": {"id": "p", "product": "a"}}]}}
    ).state.lines
    assert line == Line("", 4_321, product="a", price="p")


@pytest.mark.parametrize(
    ("changes", "mode", "payment_status"),
    [
        ({"payment_status": "paid", "payment_intent": "pi_1"}, "payment", "paid"),
        ({"payment_status": "paid", "amount_total": 5_000}, "payment", "paid"),
        ({"amount_total": 5_000}, "payment", "unpaid"),  # nothing says that it was paid: the payment will
        ({"amount_total": 0}, "payment", "no_payment_required"),
        ({"subscription": "sub_1"}, "subscription", "unpaid"),
        ({"setup_intent": "seti_1"}, "setup", "unpaid"),
    ],
)
def test_a_session_without_its_mode_or_payment_status(changes: Payload, mode: str, payment_status: str) -> None:
    found = only({**SESSION, **changes})
    assert (found.state.mode, found.state.payment_status) == (mode, payment_status)
    assert found.carriers[0].value == "ana"


def test_a_session_without_amounts_is_worth_what_its_payment_moved() -> None:
    session = only({**SESSION, "payment_status": "paid", "payment_intent": "pi_1"})
    (sale,) = sales_of([session, only(INTENT)])
    assert (sale.key, sale.paid, sale.net, sale.currency) == ("pi_1", 5_000, 5_000, "usd")


def test_a_charge_without_its_instant_was_paid_when_it_was_told() -> None:
    (sale,) = sales_of([only(CHARGE)])
    assert sale.paid_at == NOW


def test_an_async_payment_that_succeeded_is_paid() -> None:
    name = "checkout.session.async_payment_succeeded"
    assert only({**SESSION, "amount_total": 5_000}, name).state.payment_status == "paid"


@pytest.mark.parametrize(
    ("changes", "name", "status", "refunded"),
    [
        ({}, "charge.succeeded", "succeeded", 0),
        ({"paid": True}, "charge.succeeded", "succeeded", 0),
        ({"amount_refunded": 700}, "charge.refunded", "succeeded", 700),
        ({"refunded": True}, "charge.refunded", "succeeded", 5_000),
    ],
)
def test_a_charge_without_status(changes: Payload, name: str, status: str, refunded: int) -> None:
    state = only({**CHARGE, **changes}, name).state
    assert (state.status, state.amount, state.amount_refunded) == (status, 5_000, refunded)


def test_a_payment_intent_without_status_and_amount_received() -> None:
    state = only(INTENT).state
    assert (state.status, state.amount_received) == ("succeeded", 5_000)


@pytest.mark.parametrize(("name", "status"), [("refund.created", "pending"), ("refund.failed", "failed")])
def test_a_refund_with_nothing_but_its_amount_and_charge(name: str, status: str) -> None:
    found = only({"id": "re_1", "object": "refund", "amount": 700, "charge": "ch_1"}, name)
    assert (found.state.status, found.state.amount, found.links) == (status, 700, ("ch_1",))


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("charge.dispute.created", ()),
        ("charge.dispute.funds_withdrawn", ("funds_withdrawn",)),
        ("charge.dispute.funds_reinstated", ("funds_reinstated",)),
    ],
)
def test_a_dispute_without_status_is_open(name: str, marks: tuple[str, ...]) -> None:
    found = only(DISPUTE, name)
    assert (found.state.status, found.state.amount) == ("needs_response", 5_000)
    assert tuple(mark for mark, _ in found.marks) == marks


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"type": "post_payment"}, "credit_note.created", ("issued", 0, 2_500)),
        ({"type": "pre_payment"}, "credit_note.created", ("issued", 2_500, 0)),
        ({"type": "post_payment"}, "credit_note.voided", ("void", 0, 2_500)),
        ({"customer_balance_transaction": "cbtxn_1"}, "credit_note.created", ("issued", 0, 2_500)),
        ({"out_of_band_amount": 2_500}, "credit_note.created", ("issued", 0, 2_500)),
        ({"refund": "re_1"}, "credit_note.created", ("issued", 0, 0)),
        ({"pre_payment_amount": 500}, "credit_note.created", ("issued", 500, 2_000)),
        ({"post_payment_amount": 2_000}, "credit_note.created", ("issued", 500, 2_000)),
    ],
)
def test_a_credit_note_without_status_or_type(changes: Payload, name: str, expected: tuple[str, int, int]) -> None:
    state = only({**NOTE, **changes}, name).state
    assert (state.status, state.amount_pre_payment, state.amount_other) == expected


def test_an_invoice_payment_without_status() -> None:
    payment = {"type": "payment_intent", "payment_intent": "pi_1"}
    found = only({"id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "payment": payment})
    assert (found.state.status, found.links) == ("paid", ("in_1", "pi_1"))


def test_a_subscription_without_status_only_attributes() -> None:
    metadata = {"refref_referral_id": "ana"}
    found = only({"id": "sub_1", "object": "subscription", "customer": "cus_1", "metadata": metadata})
    assert (found.state, found.links) == (None, ("cus_1",))
    assert found.carriers[0].kind is CarrierKind.SUBSCRIPTION_METADATA


@pytest.mark.parametrize(
    ("key", "stub"),
    [
        ("payment_intent", {"id": "pi_1", "object": "payment_intent", "metadata": {"refref_referral_id": "ana"}}),
        ("payment_intent", {"id": "pi_1", "metadata": {"refref_referral_id": "ana"}}),
        ("payment_intent", {"id": "pi_1", "object": "payment_intent"}),
        ("payment_intent", {"id": "pi_1"}),
        ("subscription", {"id": "sub_1", "object": "subscription", "metadata": {"refref_referral_id": "ana"}}),
        ("invoice", {"id": "in_1", "object": "invoice", "customer": "cus_1"}),
        ("customer", {"id": "cus_1", "object": "customer", "metadata": {"refref_referral_id": "ana"}}),
    ],
)
def test_an_expanded_stub_is_a_link_with_its_metadata(key: str, stub: Payload) -> None:
    found = facts({**SESSION, "amount_total": 5_000, "payment_status": "paid", key: stub})
    assert stub["id"] in found["cs_1"].links
    if "metadata" in stub:
        assert found[stub["id"]].carriers[0].value == "ana"
    if key != "customer" and stub["id"] in found:
        assert found[stub["id"]].state is None


@pytest.mark.parametrize(
    ("payload", "name", "field"),
    [
        ({**INVOICE, "amount_paid": None}, "invoice.paid", "amount_paid"),
        ({**INVOICE, "currency": None}, "invoice.paid", "currency"),
        (SESSION, "checkout.session.completed", "mode"),
        ({**CHARGE, "amount": None}, "charge.succeeded", "amount"),
        ({**INTENT, "amount": None}, "payment_intent.succeeded", "amount"),
        ({**INTENT}, "payment_intent.payment_failed", "status"),
        ({**DISPUTE}, "charge.dispute.closed", "status"),
        ({**DISPUTE, "amount": None}, "charge.dispute.created", "amount"),
        ({"id": "re_1", "object": "refund", "charge": "ch_1"}, "refund.created", "amount"),
        (NOTE, "credit_note.created", "type"),
    ],
)
def test_what_is_not_clear_is_refused_and_names_the_field(payload: Payload, name: str, field: str) -> None:
    with pytest.raises(UnreadableEvent, match=f"`{field}` of the") as refused:
        read(event(payload, name))
    assert refused.value.code == "missing_field"


def test_a_whole_invoice_is_read_as_before() -> None:
    assert only(invoice()).state == only(old_invoice()).state
