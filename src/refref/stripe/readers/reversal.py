"""Refunds, disputes and credit notes: what takes money back. Amounts in minor units."""

from __future__ import annotations

from refref.core.facts import CreditNoteState, DisputeState, Kind, RefundState
from refref.stripe.readers.lines import credit_note_line
from refref.stripe.readers.payment import ask_for_invoice, customer_of
from refref.stripe.readers.probe import (
    Payload,
    flag,
    identifier,
    rows,
    section,
    text,
    text_or_none,
    whole,
    whole_or_none,
)
from refref.stripe.readers.ranks import (
    CREDIT_NOTE_RANK,
    DISPUTE_RANK,
    DISPUTE_WEIGHT,
    REFUND_RANK,
    REFUND_UNKNOWN_RANK,
)
from refref.stripe.readers.scene import Scene
from refref.stripe.reading import NeedKind, UnreadableEvent

DISPUTE_MARKS = {
    "charge.dispute.funds_withdrawn": "funds_withdrawn",
    "charge.dispute.funds_reinstated": "funds_reinstated",
}


# Short shapes leave the status out; the event's name tells it.
STATUS_OF_EVENT = {
    "refund.failed": "failed",
    "charge.dispute.created": "needs_response",
    "charge.dispute.updated": "needs_response",
    "charge.dispute.funds_withdrawn": "needs_response",
    "charge.dispute.funds_reinstated": "needs_response",
    "credit_note.created": "issued",
    "credit_note.updated": "issued",
    "credit_note.voided": "void",
}


def read_refund(refund: Payload, scene: Scene) -> None:
    """A refund. A null status (allowed by Stripe's specification) counts as pending."""
    stripe_id = identifier(refund)
    status = text_or_none(refund, "status") or scene.told(STATUS_OF_EVENT) or "pending"
    is_stub = scene.is_nested and refund.get("amount") is None
    intent_id = scene.follow(refund, "payment_intent", "payment_intent")
    if not scene.is_nested:
        ask_for_invoice(scene, None, intent_id)
    scene.add(
        stripe_id,
        Kind.REFUND,
        None
        if is_stub
        else RefundState(
            status=status,
            amount=whole(refund, "amount"),
            currency=_currency(refund),
            created_at=whole_or_none(refund, "created") or 0,
        ),
        rank=REFUND_RANK.get(status, REFUND_UNKNOWN_RANK),
        links=(scene.follow(refund, "charge", "charge"), intent_id),
    )


def read_dispute(dispute: Payload, scene: Scene) -> None:
    """A dispute or inquiry; the two funds_* events leave a mark, since only they say that money moved."""
    stripe_id = identifier(dispute)
    status = text_or_none(dispute, "status") or scene.told(STATUS_OF_EVENT)
    is_stub = scene.is_nested and (not status or dispute.get("amount") is None)
    status = (status or "") if is_stub else (status or text(dispute, "status"))
    intent_id = scene.follow(dispute, "payment_intent", "payment_intent")
    if not scene.is_nested:
        ask_for_invoice(scene, None, intent_id)
    mark = None if scene.is_nested else DISPUTE_MARKS.get(scene.event_type)
    scene.add(
        stripe_id,
        Kind.DISPUTE,
        None
        if is_stub
        else DisputeState(
            status=status,
            amount=whole(dispute, "amount"),
            currency=_currency(dispute),
            created_at=whole_or_none(dispute, "created") or 0,
        ),
        rank=DISPUTE_RANK.get(status, 0),
        weight=DISPUTE_WEIGHT.get(status, 0),
        links=(scene.follow(dispute, "charge", "charge"), intent_id),
        marks=() if mark is None else ((mark, scene.seen_at),),
    )


def read_credit_note(note: Payload, scene: Scene) -> None:
    """A credit note; each refund it names gets a fact of rank 0, which ties the refund to the note and its invoice.

    A refund counts once, by its own fact: `amount_other` is only what went to the balance or out of band.
    """
    stripe_id = identifier(note)
    status = text_or_none(note, "status") or scene.told(STATUS_OF_EVENT) or text(note, "status")
    amount = whole(note, "amount")
    listed = section(note, "lines")
    lines = tuple([credit_note_line(line) for line in rows(listed, "data")])
    pre_payment, post_payment = _parts(note, amount)
    refunds, is_exact = _refunds(note, post_payment, scene)
    if not is_exact or flag(listed, "has_more"):
        scene.need(NeedKind.CREDIT_NOTE, stripe_id)
    invoice_id = scene.follow(note, "invoice", "invoice")
    customer_id = customer_of(note, scene)
    currency = _currency(note)
    for refund_id, refunded in refunds:
        state = RefundState(status="", amount=refunded, currency=currency)
        scene.add(refund_id, Kind.REFUND, state, links=(stripe_id, invoice_id))
    scene.add(
        stripe_id,
        Kind.CREDIT_NOTE,
        CreditNoteState(
            status=status,
            amount=amount,
            amount_pre_payment=pre_payment,
            amount_other=max(0, post_payment - sum(refunded for _, refunded in refunds)),
            refunds=refunds,
            lines=lines,
            created_at=whole_or_none(note, "created") or 0,
        ),
        rank=CREDIT_NOTE_RANK.get(status, 0),
        weight=2 * len(lines) + is_exact,
        links=(invoice_id, customer_id, *[refund_id for refund_id, _ in refunds]),
    )


def _parts(note: Payload, amount: int) -> tuple[int, int]:
    """Pre-payment and post-payment part: told by basil and later; before, `type` gives the whole to one of them."""
    pre_payment = whole_or_none(note, "pre_payment_amount")
    post_payment = whole_or_none(note, "post_payment_amount")
    if pre_payment is not None or post_payment is not None:
        if pre_payment is None:
            pre_payment = max(0, amount - (post_payment or 0))
        return pre_payment, max(0, amount - pre_payment) if post_payment is None else post_payment
    # Only money that had been paid can be refunded, put on the balance or handed back out of band.
    if text_or_none(note, "type") is None and any(note.get(key) for key in _AFTER_PAYMENT):
        return 0, amount
    return (amount, 0) if text(note, "type") == "pre_payment" else (0, amount)


_AFTER_PAYMENT = ("refund", "refunds", "customer_balance_transaction", "out_of_band_amount")


def _currency(payload: Payload) -> str | None:
    currency = text_or_none(payload, "currency")
    return None if currency is None else currency.lower()


def _refunds(note: Payload, post_payment: int, scene: Scene) -> tuple[tuple[tuple[str, int], ...], bool]:
    """Refund ids with their amounts, and whether the amounts are exact.

    Older versions name one `refund` and not its amount: it is what neither went out of band nor to the balance. When
    both a refund and a balance transaction are given by id, the split is not in the payload; the whole then counts as
    refunded, loses by weight against the refetched note, and is asked for.
    """
    listed = rows(note, "refunds")
    if listed:
        found = []
        for row in listed:
            refund_id = scene.follow(row, "refund", "refund")
            if refund_id is not None:  # a refund of a payment record has no refund id
                found.append((refund_id, whole(row, "amount_refunded")))
        return tuple(sorted(found)), True
    refund_id = scene.follow(note, "refund", "refund")
    if refund_id is None:
        return (), True
    expanded = note.get("refund")
    if type(expanded) is dict and expanded.get("amount") is not None:
        return ((refund_id, whole(expanded, "amount")),), True
    rest = post_payment - (whole_or_none(note, "out_of_band_amount") or 0)
    balance = note.get("customer_balance_transaction")
    if balance is None:
        return ((refund_id, rest),), True
    if type(balance) is dict:
        return ((refund_id, rest - abs(whole(balance, "amount"))),), True
    if type(balance) is str:
        return ((refund_id, rest),), False
    raise UnreadableEvent("wrong_type", "`customer_balance_transaction` must be an id, an object or null.")
