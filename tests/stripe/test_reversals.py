"""Refunds, disputes and credit notes in old and new shapes, and how far along their lives they are."""

from typing import Any

import pytest
from stripe_payloads import NOW, charge, credit_note, dispute, facts, lines, needs, refund

from refref.core.facts import CreditNoteLine, Kind, merge
from refref.stripe.readers import Need, NeedKind, read_document


def test_a_refund_by_each_of_its_events_is_one_fact() -> None:
    named = [facts(refund(), name)["re_1"] for name in ("refund.created", "refund.updated", "charge.refund.updated")]
    assert named[0] == named[1] == named[2]
    assert named[0].links == ("ch_1", "pi_1")
    assert needs(refund()) == {("invoice_of_payment", "pi_1")}


@pytest.mark.parametrize(
    ("status", "rank"),
    [
        ("pending", 1),
        (None, 1),
        ("requires_action", 1),
        ("succeeded", 2),
        ("failed", 3),
        ("canceled", 3),
        ("novelty", 1),
    ],
)
def test_rank_of_a_refund(status: str | None, rank: int) -> None:
    assert facts(refund(status=status))["re_1"].rank == rank


def test_a_failed_refund_stays_failed() -> None:
    made = facts(refund(), "refund.created", NOW + 100)["re_1"]
    failed = facts(refund(status="failed"), "refund.failed", NOW)["re_1"]
    assert merge(made, failed).state == merge(failed, made).state == failed.state


def test_a_refunded_charge_with_and_without_its_refunds() -> None:
    new = facts(charge(amount_refunded=400, refunds=None), "charge.refunded")
    assert list(new) == ["ch_1"]
    old = facts(charge(amount_refunded=400, refunds={"object": "list", "data": [refund()]}), "charge.refunded")
    assert old["ch_1"].state == new["ch_1"].state
    assert old["ch_1"].weight == new["ch_1"].weight == 400
    assert set(old["ch_1"].links) - set(new["ch_1"].links) == {"re_1"}
    assert old["re_1"] == facts(refund())["re_1"]


DISPUTE_LIVES = [
    ("warning_needs_response", "warning_under_review", "warning_closed"),
    ("warning_needs_response", "needs_response", "under_review", "lost"),
    ("needs_response", "prevented"),
    ("needs_response", "under_review", "won"),
    ("needs_response", "under_review", "charge_refunded"),  # of older versions
    ("needs_response", "under_review", "lost", "appeal_needs_response", "appeal_under_review", "won"),
    ("needs_response", "lost", "appeal_needs_response", "lost"),
]


@pytest.mark.parametrize("life", DISPUTE_LIVES)
def test_a_dispute_ends_as_its_last_snapshot_says(life: tuple[str, ...]) -> None:
    steps = [facts(dispute(status=status), created=NOW + at)["dp_1"] for at, status in enumerate(life)]
    for order in (steps, steps[::-1], steps[1:] + steps[:1]):
        joined = order[0]
        for step in order[1:]:
            joined = merge(joined, step)
        assert joined.state.status == life[-1]


def test_a_dispute_in_one_second_ends_at_its_end() -> None:
    for life in DISPUTE_LIVES[:-1]:
        joined = facts(dispute(status=life[-1]))["dp_1"]
        for status in life:
            joined = merge(joined, facts(dispute(status=status))["dp_1"])
        assert joined.state.status == life[-1]


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("charge.dispute.created", ()),
        ("charge.dispute.closed", ()),
        ("charge.dispute.funds_withdrawn", (("funds_withdrawn", NOW),)),
        ("charge.dispute.funds_reinstated", (("funds_reinstated", NOW),)),
    ],
)
def test_marks_of_a_dispute(name: str, marks: tuple[tuple[str, int], ...]) -> None:
    fact = facts(dispute(), name)["dp_1"]
    assert fact.marks == marks
    assert fact.links == ("ch_1", "pi_1")


def old_note(**changes: Any) -> dict[str, Any]:
    note = credit_note()
    for key in ("pre_payment_amount", "post_payment_amount", "refunds"):
        del note[key]
    return {**note, "refund": "re_1", **changes}


def test_a_refunded_credit_note_of_both_shapes_is_one_fact() -> None:
    assert facts(old_note()) == facts(credit_note())
    found = facts(credit_note())
    assert found["cn_1"].links == ("cus_1", "in_1", "re_1")
    assert found["cn_1"].state.refunds == (("re_1", 400),)
    assert found["cn_1"].state.amount_other == 0
    named = found["re_1"]
    assert (named.kind, named.rank, named.state.status, named.state.amount) == (Kind.REFUND, 0, "", 400)
    assert named.links == ("cn_1", "in_1")
    assert merge(named, facts(refund())["re_1"]).state.status == "succeeded"


@pytest.mark.parametrize(
    ("note", "pre", "other", "refunds"),
    [
        (credit_note(refunds=[]), 0, 400, ()),
        (old_note(refund=None), 0, 400, ()),
        (credit_note(pre_payment_amount=400, post_payment_amount=0, refunds=[], type="pre_payment"), 400, 0, ()),
        (old_note(refund=None, type="pre_payment"), 400, 0, ()),
        (credit_note(amount=500, pre_payment_amount=100, type="mixed"), 100, 0, (("re_1", 400),)),
        (credit_note(refunds=[{"refund": "re_1", "amount_refunded": 150}]), 0, 250, (("re_1", 150),)),
        (old_note(out_of_band_amount=250), 0, 250, (("re_1", 150),)),
        (old_note(customer_balance_transaction={"id": "cbtxn_1", "amount": -250}), 0, 250, (("re_1", 150),)),
        (old_note(refund=refund(amount=150), customer_balance_transaction="cbtxn_1"), 0, 250, (("re_1", 150),)),
        (
            credit_note(refunds=[{"type": "payment_record_refund", "refund": None, "amount_refunded": 400}]),
            0,
            400,
            (),
        ),
    ],
)
def test_parts_of_a_credit_note(
    note: dict[str, Any], pre: int, other: int, refunds: tuple[tuple[str, int], ...]
) -> None:
    state = facts(note)["cn_1"].state
    assert (state.amount_pre_payment, state.amount_other, state.refunds) == (pre, other, refunds)
    assert needs(note) <= {("invoice_of_payment", "pi_1")}


def test_a_split_that_the_old_shape_hides_is_asked_for() -> None:
    hidden = old_note(customer_balance_transaction="cbtxn_1")
    assert needs(hidden) == {("credit_note", "cn_1")}
    document = credit_note(refunds=[{"refund": "re_1", "amount_refunded": 150}])
    fetched = {fact.stripe_id: fact for fact in read_document(Need(NeedKind.CREDIT_NOTE, "cn_1"), document, NOW)}
    told = facts(hidden)["cn_1"]
    assert merge(told, fetched["cn_1"]).state == fetched["cn_1"].state
    assert fetched["cn_1"].state.amount_other == 250


@pytest.mark.parametrize(
    ("changes", "net"),
    [
        ({}, 1000),
        ({"amount_excluding_tax": 909, "tax_amounts": [{"amount": 91, "inclusive": True}]}, 909),
        ({"taxes": [{"amount": 91, "tax_behavior": "inclusive"}]}, 909),
        ({"taxes": [{"amount": 100, "tax_behavior": "exclusive"}]}, 1000),
        ({"discount_amounts": [{"amount": 100, "discount": "di_1"}]}, 900),
        ({"discount_amount": 100}, 900),
    ],
)
def test_a_line_of_a_credit_note_is_net(changes: dict[str, Any], net: int) -> None:
    row = {"id": "cnli_1", "amount": 1000, "invoice_line_item": "il_1", **changes}
    assert facts(credit_note(lines=lines(row)))["cn_1"].state.lines == (CreditNoteLine("il_1", net),)


def test_cut_off_lines_of_a_credit_note_are_asked_for() -> None:
    row = {"id": "cnli_1", "amount": 400, "invoice_line_item": None}
    assert needs(credit_note(lines=lines(row, has_more=True))) == {("credit_note", "cn_1")}


def test_a_voided_credit_note_stays_void() -> None:
    void = facts(credit_note(status="void"), "credit_note.voided", NOW)["cn_1"]
    late = facts(credit_note(), "credit_note.created", NOW + 5)["cn_1"]
    assert merge(void, late).state.status == "void"
