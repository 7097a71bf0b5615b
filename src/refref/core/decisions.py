"""Decisions: the stored, complete explanation of why a payment earned what it did, or why it earned nothing.

A decision does not depend on the clock (the status of its rewards does), only on facts, terms and participants.
"""

from __future__ import annotations

import hashlib

import msgspec

from refref.core.attribution import Evidence
from refref.core.base import Base
from refref.core.reversals import ReversalItem

# Every reason, with the sentence a merchant reads. docs/how-it-counts.md is checked against this table.
REASONS: dict[str, str] = {
    "not_attributed": "No referral identifier that counts was found on this sale or its customer.",
    "unknown_code": "A referral identifier was found, but no participant who can earn has that code.",
    "inactive_code": "The participant's code was no longer active when it was used.",
    "self_referral": "The participant and the customer seem to be the same person (same e-mail address or card).",
    "fraud_denied": "A check against fraud found something, and the terms say that such a referral earns nothing.",
    "before_referral": "The payment was made before the customer was referred.",
    "outside_window": "The first payment came after the attribution window had ended.",
    "existing_customer": "The customer had paid before being referred, and the program rewards new customers only.",
    "excluded_coupon": "A coupon or promotion code on this sale is one that the terms exclude.",
    "excluded_email_domain": "The customer's e-mail domain is one that the terms exclude.",
    "duration_over": "The customer's earning period for this program has ended.",
    "no_rule_applies": "No reward rule of the terms applies to this payment.",
    "rule_not_running": "The rule's dates do not include this day.",
    "other_campaign": "The referral did not come from the rule's campaign.",
    "not_eligible_lines": "No line of this sale is of a product that the rule or its qualifying event rewards.",
    "country": "The customer's country is not one of the qualifying event's, or is not known.",
    "currency": "The sale's currency is not one of the qualifying event's.",
    "below_minimum": "The sale is below the qualifying event's minimum.",
    "too_few_payments": "The customer has not paid often enough yet for the first reward.",
    "condition_false": "The rule's or its qualifying event's condition does not hold.",
    "lower_precedence": "Another rule of the same group, which comes first, took these lines.",
    "no_tier_for_plan": "The rule has a value for certain plans, and this sale's plan is none of them.",
    "nothing_paid": "No money moved for eligible lines, so there is nothing to earn on.",
    "rounds_to_zero": "The reward is less than half of the smallest unit of the currency.",
    "no_amount_for_currency": "The terms give no fixed amount for this currency, and they do not convert.",
    "no_rate": "The terms convert this currency, and no source has a rate for that day.",
    "rate_not_yet_known": "The terms convert this currency, and the rate of that day is not known yet.",
    "no_cap_for_currency": "The terms cap this reward, have no cap in its currency, and do not convert.",
    "cap_reached": "A cap of the terms had been reached.",
    "amount_missing": "The custom event does not carry a whole amount and a currency where the terms look for them.",
    "bare_charge": "A charge without checkout or invoice does not count under these terms.",
    "payment_pending": "The payment method has not confirmed the payment yet.",
    "payment_failed": "The payment did not succeed.",
    "lines_missing": "The terms reward certain products and the lines of this sale are not known yet.",
    "before_terms": "The program had no terms in force on that day.",
    "program_not_running": "The program's dates do not include this day.",
    "program_paused": "The program was paused when the customer was referred.",
    "program_ended": "The program had been archived by that day.",
    "went_back": "All of the money went back, so nothing is granted.",
    "rejected": "A person rejected it.",
}
# Why a reward waits for a person.
HOLDS: dict[str, str] = {
    "awaiting_approval": "The terms ask for a person's approval.",
    "fraud_hold": "A check against fraud found something; a person decides.",
    "dispute": "A dispute is open; it is decided with the dispute.",
}
# What a check against fraud found.
FLAGS: dict[str, str] = {
    "self_email": "The customer's e-mail address is the participant's.",
    "self_card": "The customer paid with a card that the participant has paid with.",
    "self_domain": "The e-mail addresses of customer and participant are of one domain.",
    "self_ip": "The customer came from the participant's network.",
    "disposable_email": "The customer's e-mail address is of a service of throw-away addresses.",
    "refund_rate": "The money of many customers whom the participant referred before went back.",
    "velocity": "The participant referred unusually many customers within 24 hours.",
    "coupon_site": "The customers of this participant come by a promotion code without following a link.",
}
# Reasons for which a decision waits instead of refusing: what is missing will come by itself or by an upload.
WAITING: frozenset[str] = frozenset(("payment_pending", "lines_missing", "rate_not_yet_known"))

Note = tuple[str | int, ...]  # a step of the arithmetic: its code and what it saw; core.words puts it in words


class RuleOutcome(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one rule made of one conversion. `amount` before reversals; `reason` is set unless rewarded.

    `currency` of the amounts. `base` is the rule's own (its lines); `parts`: beneficiary, amount, reversed, of each who
    got something; `holds`: why it waits for a person; `notes`: what chose the value, cut or converted it.
    """

    rule_id: str
    outcome: str  # rewarded, refused
    reason: str = ""
    kind: str = ""
    rate_bps: int = 0
    amount: int = 0
    reversed: int = 0
    currency: str = ""
    base: int = 0
    fixed: int = 0
    reward: str = ""
    parts: tuple[tuple[str, int, int], ...] = ()
    holds: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    hold_until: int = 0


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
    kinds: tuple[str, ...] = ()  # of the conversion; payments are of several
    flags: tuple[str, ...] = ()  # checks against fraud that found something
    campaign: str = ""
    because: str = ""  # what exactly decided, where the reason alone does not say

    @property
    def earned(self) -> int:
        """What was earned in the payment's own currency; rewards in others stand with their rules."""
        return sum(rule.amount for rule in self.rules if rule.currency in ("", self.currency))

    @property
    def taken_back(self) -> int:
        """What was taken back of `earned`."""
        return sum(rule.reversed for rule in self.rules if rule.currency in ("", self.currency))


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
