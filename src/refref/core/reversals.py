"""Money that went back: refunds, disputes, credit notes. What of a reward they take, and whether it is on hold.

The target is `reward x reversed base / base`, rounded half up once; the whole reward when all of the money went back.
"""

from __future__ import annotations

from fractions import Fraction

import msgspec

from refref.core.base import Base, LineFilter, line_filter
from refref.core.facts import ChargeState, CreditNoteState, DisputeState, Fact, InvoiceState, Kind, RefundState
from refref.core.sales import Sale
from refref.core.terms import Terms

_REFUND_FAILED = ("failed", "canceled")
# `charge_refunded` is of older versions: the dispute ended with a refund, which counts by itself.
_DISPUTE_OVER = ("won", "warning_closed", "prevented", "charge_refunded")
_DISPUTE_INQUIRY = ("warning_needs_response", "warning_under_review")
_DISPUTE_LOST = ("lost", "appeal_needs_response", "appeal_under_review")
_CLOCK_SKEW_S = 3600  # a refund made this shortly after the charge's report is taken to be the one it tells of
_REVERSING_KINDS = frozenset((Kind.REFUND, Kind.DISPUTE, Kind.CREDIT_NOTE))


class ReversalItem(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One thing that took money back: `amount` with tax; `base_part` the base it took, as (numerator, denominator)
    where a credit note named the lines, else None (in proportion to the money). `effect`: reversed, held, none."""

    stripe_id: str
    kind: str  # refund, charge, dispute, credit_note
    amount: int
    effect: str
    reason: str = ""
    base_part: tuple[int, int] | None = None


class Reversal(msgspec.Struct, frozen=True, gc=False):
    """All that went back of one sale: `refunded` of `paid` (never more), and whether an open dispute holds rewards."""

    refunded: int
    is_whole: bool
    is_held: bool
    base_share: Fraction  # the part of the base that is gone, 0 to 1
    items: tuple[ReversalItem, ...]


NOTHING = Reversal(0, False, False, Fraction(0), ())


def reversal_of(sale: Sale, base: Base, terms: Terms, keep: LineFilter | None = None) -> Reversal:
    """What went back of `sale`, whose rewards stand on `base`, of the lines that `keep` lets through (by default those
    of the terms)."""
    if keep is None:
        keep = line_filter(terms.products, terms.excluded_products)
    items = reversal_items(sale, base, keep)
    if not items:
        return NOTHING
    is_held = any(item.effect == "held" for item in items)
    counted = [item for item in items if item.effect == "reversed"]
    gross = sum(item.amount for item in counted)
    refunded = min(base.paid, gross)
    if base.paid > 0 and gross >= base.paid:
        return Reversal(refunded, True, is_held, Fraction(1), items)
    if base.amount <= 0 or base.paid <= 0:
        return Reversal(refunded, False, is_held, Fraction(0), items)
    gone = Fraction(0)
    for item in counted:
        if item.base_part is None:
            gone += Fraction(item.amount, base.paid)
        else:
            gone += Fraction(item.base_part[0], item.base_part[1] * base.amount)
    return Reversal(refunded, False, is_held, min(Fraction(1), gone), items)


def reversed_target(amount: int, reversal: Reversal) -> int:
    """How much of a reward of `amount` is taken back."""
    if reversal.is_whole:
        return amount
    share = reversal.base_share
    return min(amount, (2 * amount * share.numerator + share.denominator) // (2 * share.denominator))


def reversal_items(sale: Sale, base: Base, keep: LineFilter | None) -> tuple[ReversalItem, ...]:
    """Each refund, dispute, credit note and otherwise unexplained refunded charge of `sale`, in order of ids."""
    if not any(
        fact.kind in _REVERSING_KINDS or (isinstance(fact.state, ChargeState) and fact.state.amount_refunded)
        for fact in sale.facts
    ):
        return ()
    notes = [
        (fact, fact.state)
        for fact in sale.facts
        if isinstance(fact.state, CreditNoteState) and fact.state.status != "void"
    ]
    items: list[ReversalItem] = []
    for fact in sale.facts:
        state = fact.state
        if isinstance(state, RefundState):
            items.append(_refund_item(fact, state, notes, sale, base, keep))
        elif isinstance(state, DisputeState):
            items.append(_dispute_item(fact, state))
        elif isinstance(state, ChargeState) and state.amount_refunded:
            unexplained = _unexplained_refund(fact, state, sale)
            if unexplained > 0:
                items.append(ReversalItem(fact.stripe_id, "charge", unexplained, "reversed", "refunded_on_charge"))
    for fact, note in notes:
        amount = _without_refund(note, sale)
        if amount > 0:
            part = _note_base(note, amount, sale, base, keep)
            items.append(
                ReversalItem(fact.stripe_id, "credit_note", amount, "reversed", "credited_without_refund", part)
            )
    return tuple(items)


def _without_refund(note: CreditNoteState, sale: Sale) -> int:
    """What a note gave back other than by refund. Older API versions name the whole; the refund knows better."""
    if not note.refunds:
        return note.amount_other
    actual = {
        fact.stripe_id: fact.state.amount
        for fact in sale.facts
        if isinstance(fact.state, RefundState) and fact.state.status
    }
    return note.amount_other + sum(max(0, amount - actual.get(refund_id, amount)) for refund_id, amount in note.refunds)


def _refund_item(
    fact: Fact,
    refund: RefundState,
    notes: list[tuple[Fact, CreditNoteState]],
    sale: Sale,
    base: Base,
    keep: LineFilter | None,
) -> ReversalItem:
    if refund.status in _REFUND_FAILED:
        return ReversalItem(fact.stripe_id, "refund", refund.amount, "none", f"refund_{refund.status}")
    part = None
    for _, note in notes:
        if any(refund_id == fact.stripe_id for refund_id, _ in note.refunds):
            part = _note_base(note, refund.amount, sale, base, keep)
            break
    return ReversalItem(fact.stripe_id, "refund", refund.amount, "reversed", "refunded", part)


def _note_base(
    note: CreditNoteState, amount: int, sale: Sale, base: Base, keep: LineFilter | None
) -> tuple[int, int] | None:
    """The base that `amount` of a credit note takes when its lines are named: (numerator, denominator), else None."""
    if (
        not note.lines
        or note.amount <= 0
        or sale.total <= 0
        or any(line.invoice_line_id is None for line in note.lines)
    ):
        return None
    invoice = next((f.state for f in sale.facts if isinstance(f.state, InvoiceState)), None)
    if invoice is None:
        return None
    if keep is not None:
        known = {line.id: keep(line) for line in invoice.lines}
        if any(line.invoice_line_id not in known for line in note.lines):
            return None
        named = sum(line.amount for line in note.lines if known[line.invoice_line_id or ""])
    else:
        named = sum(line.amount for line in note.lines)
    return named * amount * base.paid, note.amount * sale.total


def _unexplained_refund(fact: Fact, charge: ChargeState, sale: Sale) -> int:
    """What a charge says was refunded beyond the refunds that are known one by one.

    A refund that failed in the second of the charge's report explains it: Stripe tells of no charge with less refunded.
    """
    known = 0
    for other in sale.facts:
        refund = other.state
        if not isinstance(refund, RefundState) or not _is_of_charge(other, fact, sale):
            continue
        has_failed = refund.status in _REFUND_FAILED
        is_before = refund.created_at <= fact.seen_at + _CLOCK_SKEW_S
        was_counted = is_before and (not has_failed or other.seen_at >= fact.seen_at)
        known += refund.amount if was_counted else 0
    return charge.amount_refunded - known


def _is_of_charge(refund: Fact, charge: Fact, sale: Sale) -> bool:
    """Whether a refund took its money from a charge, or may have: what only names the sale is of its charges."""
    if charge.stripe_id in refund.links or refund.stripe_id in charge.links:
        return True
    others = [fact for fact in sale.facts if fact.kind is Kind.CHARGE and fact is not charge]
    if any(other.stripe_id in refund.links or refund.stripe_id in other.links for other in others):
        return False
    intents = {link for link in charge.links if link.startswith("pi_")}
    named = {link for link in refund.links if link.startswith("pi_")}
    return not named or not intents or not named.isdisjoint(intents)


def _dispute_item(fact: Fact, dispute: DisputeState) -> ReversalItem:
    marks = dict(fact.marks)
    status = dispute.status
    withdrawn_at, reinstated_at = marks.get("funds_withdrawn"), marks.get("funds_reinstated")
    if status in _DISPUTE_OVER or reinstated_at is not None:
        return ReversalItem(fact.stripe_id, "dispute", dispute.amount, "none", f"dispute_{status}")
    if status in _DISPUTE_INQUIRY:
        return ReversalItem(fact.stripe_id, "dispute", dispute.amount, "held", "dispute_inquiry")
    if status in _DISPUTE_LOST or withdrawn_at is not None:
        return ReversalItem(fact.stripe_id, "dispute", dispute.amount, "reversed", f"dispute_{status}")
    return ReversalItem(fact.stripe_id, "dispute", dispute.amount, "held", "dispute_open")
