"""Decisions: the stored, complete explanation of why a payment earned what it did, or why it earned nothing.

A decision does not depend on the clock (the status of its rewards does), only on facts, terms and participants.
"""

from __future__ import annotations

import hashlib

import msgspec

from refref.core.attribution import Evidence
from refref.core.base import Base
from refref.core.reversals import ReversalItem

# Every reason, with the sentence a merchant reads. docs/reasons.md is checked against this table.
REASONS: dict[str, str] = {
    "not_attributed": "No referral identifier was found on this sale or its customer.",
    "unknown_code": "A referral identifier was found, but no participant has that code.",
    "inactive_code": "The participant's code was no longer active when it was used.",
    "self_referral": "The participant and the customer seem to be the same person (same e-mail address or card).",
    "before_referral": "The payment was made before the customer was referred.",
    "outside_window": "The first payment came after the attribution window had ended.",
    "duration_over": "The customer's earning period for this program has ended.",
    "no_rule_applies": "No reward rule of the terms applies to this payment.",
    "nothing_paid": "No money moved for eligible lines, so there is nothing to earn on.",
    "rounds_to_zero": "The reward is less than half of the smallest unit of the currency.",
    "no_amount_for_currency": "The terms give no fixed amount for this currency, and RefRef never guesses a rate.",
    "bare_charge": "A charge without checkout or invoice does not count under these terms.",
    "payment_pending": "The payment method has not confirmed the payment yet.",
    "payment_failed": "The payment did not succeed.",
    "lines_missing": "The terms reward certain products and the lines of this sale are not known yet.",
    "before_terms": "The program had no terms in force on that day.",
}


class RuleOutcome(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one rule made of one payment. `amount` before reversals; `reason` is set unless rewarded."""

    rule_id: str
    outcome: str  # rewarded, refused
    reason: str = ""
    kind: str = ""
    rate_bps: int = 0
    amount: int = 0
    reversed: int = 0


class Decision(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The explanation of one payment in one program ("" when no program is concerned). Minor units, seconds."""

    payment_key: str
    program_id: str
    ids: tuple[str, ...]
    referee_id: str
    outcome: str  # rewarded, refused, waiting
    reason: str
    occurred_at: int
    currency: str
    source: str
    paid: int
    total: int
    tax: int
    shipping: int
    off_stripe: int
    refunded: int
    base: Base | None = None
    participant_id: str = ""
    evidence: tuple[Evidence, ...] = ()
    terms_version: int = 0
    payment_number: int = 0  # the how-manieth counted payment of the referee, from 1
    hold_until: int | None = None
    is_held: bool = False
    rules: tuple[RuleOutcome, ...] = ()
    reversals: tuple[ReversalItem, ...] = ()
    bound_at: int | None = None

    @property
    def earned(self) -> int:
        return sum(rule.amount for rule in self.rules)

    @property
    def taken_back(self) -> int:
        return sum(rule.reversed for rule in self.rules)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Decision).decode


def encode_decision(decision: Decision) -> bytes:
    """The stored form of a decision."""
    return _encode(decision)


def decode_decision(body: bytes) -> Decision:
    """The decision of its stored form."""
    return _decode(body)


def digest_of(body: bytes) -> bytes:
    """Tells whether a stored decision would change: 16 bytes of BLAKE2b over its stored form."""
    return hashlib.blake2b(body, digest_size=16).digest()
