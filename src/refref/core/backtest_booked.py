"""Stored decisions read for a backtest: what they give, without what only explains it. Pure."""

from __future__ import annotations

import msgspec

from refref.core.backtest import Gain, Side


class _Rule(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The beginning of decisions.RuleOutcome, in its order."""

    rule_id: str
    outcome: str
    reason: msgspec.Raw
    kind: msgspec.Raw
    rate_bps: msgspec.Raw
    amount: msgspec.Raw
    reversed: msgspec.Raw
    currency: str
    base: msgspec.Raw
    fixed: msgspec.Raw
    reward: str = ""
    parts: tuple[tuple[str, int, int], ...] = ()


class _Decision(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The beginning of decisions.Decision, in its order."""

    payment_key: str
    program_id: msgspec.Raw
    ids: msgspec.Raw
    referee_id: str
    outcome: str
    reason: str
    occurred_at: int
    currency: str
    source: msgspec.Raw
    paid: msgspec.Raw
    total: msgspec.Raw
    tax: msgspec.Raw
    shipping: msgspec.Raw
    off_stripe: msgspec.Raw
    refunded: msgspec.Raw
    base: msgspec.Raw
    participant_id: msgspec.Raw
    evidence: msgspec.Raw
    terms_version: int
    payment_number: msgspec.Raw
    hold_until: msgspec.Raw
    is_held: msgspec.Raw
    rules: tuple[_Rule, ...]


class Booked(msgspec.Struct, frozen=True, gc=False):
    """A stored decision as a backtest looks at it."""

    payment_key: str
    referee_id: str
    occurred_at: int
    side: Side


_decode = msgspec.msgpack.Decoder(_Decision).decode


def read_booked(body: bytes) -> Booked:
    """What a stored decision gives."""
    told = _decode(body)
    gains = [
        Gain(rule.rule_id, beneficiary, rule.currency or told.currency, amount - taken, rule.reward)
        for rule in told.rules
        if rule.outcome == "rewarded"
        for beneficiary, amount, taken in rule.parts
    ]
    side = Side(told.outcome, told.reason, told.terms_version, tuple(gains))
    return Booked(told.payment_key, told.referee_id, told.occurred_at, side)
