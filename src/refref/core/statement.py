"""The monthly statement: every payment in exactly one class, tied to its charges and they to Stripe's balance. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from refref.core.facts import ChargeState, DisputeState, Fact, PaymentIntentState, RefundState
from refref.core.sales import Sale


class PaymentClass(StrEnum):
    """What became of a payment, in the order in which programs decide: what one rewards is rewarded."""

    REWARDED = "rewarded"
    WAITING = "waiting"
    REVERSED = "reversed"
    EXCLUDED = "excluded"
    NOT_ATTRIBUTED = "not_attributed"


_ORDER = {found: place for place, found in enumerate(PaymentClass)}
_NOBODY = frozenset({"not_attributed", "unknown_code"})
# Types of balance transactions that are money of payments: what came in, what went back.
SALE_TYPES = frozenset(
    {
        "charge",
        "payment",
        "refund",
        "payment_refund",
        "refund_failure",
        "payment_failure_refund",
        "payment_reversal",
    }
)


# Adjustments are disputes, unless Stripe's report counts them elsewhere.
_OTHER_ADJUSTMENT = "other_adjustment"


def is_of_payments(movement_type: str, reporting_category: str, source_id: str) -> bool:
    """Whether a movement of Stripe's balance is money of payments; else a payout, a fee, a transfer, a correction."""
    if movement_type == "adjustment":
        return bool(source_id) and reporting_category != _OTHER_ADJUSTMENT
    return movement_type in SALE_TYPES


class Known(msgspec.Struct, frozen=True):
    """What the books hold of a charge, refund or dispute, without its sign; minor units of `currency`."""

    minor: int
    currency: str


def known_of(fact: Fact) -> Known | None:
    """What a movement whose source the fact is should come to; None where the books do not know its amount."""
    state = fact.state
    if isinstance(state, ChargeState | RefundState | DisputeState) and state.currency:
        return Known(state.amount, state.currency)
    return None


def charged_minor(sale: Sale) -> int | None:
    """What the charges of a payment took through Stripe, in its currency; None where no charge of it is known."""
    states = [fact.state for fact in sale.facts]
    charges = [s for s in states if isinstance(s, ChargeState) and s.status == "succeeded" and s.amount]
    if charges:
        return sum(s.amount for s in charges) if all(s.currency == sale.currency for s in charges) else None
    intents = [s for s in states if isinstance(s, PaymentIntentState) and s.status == "succeeded"]
    if intents and all(s.currency == sale.currency for s in intents):
        return sum(s.amount_received for s in intents)
    return None


class Decided(msgspec.Struct, frozen=True):
    """What one program decided about a payment; amounts in minor units of the payment's currency. `is_taken_back`: it
    gave money, in whatever currency, and all of that was taken back."""

    outcome: str  # rewarded, refused, waiting
    reason: str
    paid_minor: int
    refunded_minor: int
    is_taken_back: bool = False


def class_of(decisions: Iterable[Decided]) -> tuple[PaymentClass, str]:
    """The one class of a payment, with the reason code where it earned nothing ("" else)."""
    found = sorted((_class_of_one(decided) for decided in decisions), key=lambda one: (_ORDER[one[0]], one[1]))
    return found[0]


def _class_of_one(decided: Decided) -> tuple[PaymentClass, str]:
    if decided.outcome == "waiting":
        return PaymentClass.WAITING, decided.reason
    if decided.outcome == "rewarded":
        is_back = decided.paid_minor > 0 and decided.refunded_minor >= decided.paid_minor
        return (PaymentClass.REVERSED if is_back or decided.is_taken_back else PaymentClass.REWARDED), ""
    if decided.reason in _NOBODY:
        return PaymentClass.NOT_ATTRIBUTED, decided.reason
    return PaymentClass.EXCLUDED, decided.reason


def explained_bps(explained_minor: int, total_minor: int) -> int:
    """The explained part of the money that moved, in hundredths of a percent, rounded down; 100 % of nothing."""
    return 10_000 if total_minor == 0 else 10_000 * explained_minor // total_minor
