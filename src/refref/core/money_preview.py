"""What a change would do to rewards, before it is done: per payment and beneficiary, before and after. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from refref.core.ledger import BookedReward

Key = tuple[int, str, str, str, str]  # instant, payment, program, beneficiary, currency


class MoneyChange(msgspec.Struct, frozen=True, kw_only=True):
    """What one beneficiary earns from one payment, in whole minor units after reversals."""

    payment_key: str
    occurred_at: int
    referee_id: str
    program_id: str
    beneficiary_id: str
    currency: str
    before_minor: int
    after_minor: int


class MoneyTotal(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of changes of one beneficiary in one currency; negative takes something back."""

    beneficiary_id: str
    currency: str
    difference_minor: int
    payment_count: int


class StillNothing(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that earns nothing all the same; `reason` as in core.decisions.REASONS."""

    payment_key: str
    occurred_at: int
    program_id: str
    reason: str


class MoneyPreview(msgspec.Struct, frozen=True, kw_only=True):
    """All that a change would do. `others_concerned`: tiers, caps or budgets let it reach other customers' payments,
    which are not computed here. `without_terms`: names of programs that earn nothing until they have terms."""

    changes: tuple[MoneyChange, ...]
    totals: tuple[MoneyTotal, ...]
    still_nothing: tuple[StillNothing, ...]
    others_concerned: bool
    without_terms: tuple[str, ...] = ()


def money_changes(booked: Iterable[BookedReward], written: Iterable[BookedReward]) -> tuple[MoneyChange, ...]:
    """What differs by payment between the rewards as booked and those that would be written."""
    before = {reward.reward_id: reward for reward in booked}
    after = before | {reward.reward_id: reward for reward in written}
    sums: dict[Key, list[int]] = {}
    referees: dict[Key, str] = {}
    for place, rewards in enumerate((before, after)):
        for reward in rewards.values():
            key = (
                reward.occurred_at,
                reward.payment_key,
                reward.program_id,
                reward.beneficiary_id,
                reward.currency,
            )
            sums.setdefault(key, [0, 0])[place] += reward.amount - reward.reversed
            referees[key] = reward.referee_id
    return tuple(
        MoneyChange(
            payment_key=key[1],
            occurred_at=key[0],
            referee_id=referees[key],
            program_id=key[2],
            beneficiary_id=key[3],
            currency=key[4],
            before_minor=old,
            after_minor=new,
        )
        for key, (old, new) in sorted(sums.items())
        if old != new
    )


def money_totals(changes: Iterable[MoneyChange]) -> tuple[MoneyTotal, ...]:
    """The changes per beneficiary and currency; currencies are never added."""
    sums: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        own = sums.setdefault((change.beneficiary_id, change.currency), [0, 0])
        own[0] += change.after_minor - change.before_minor
        own[1] += 1
    return tuple(
        MoneyTotal(beneficiary_id=who, currency=currency, difference_minor=amount, payment_count=count)
        for (who, currency), (amount, count) in sorted(sums.items())
    )
