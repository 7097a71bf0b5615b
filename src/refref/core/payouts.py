"""Payouts: which rewards a payment covers, and the entries that say so. Whole rewards, the oldest first; what went back
of rewards paid before is set off. Pure; moves no money.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from refref.core.ledger import PAID, PAYABLE, BookedReward, Entry, Posting, lies_in, status_after
from refref.core.money import format_amount
from refref.core.refusals import Refused

_PAYS = ("commission", "credit")


class PayoutItem(msgspec.Struct, frozen=True, gc=False):
    """What a payout pays of one reward; negative: what had gone back of it after it was paid. Minor units."""

    reward_id: str
    entry_id: str
    amount: int


class PayoutPlan(msgspec.Struct, frozen=True, gc=False):
    """What a payout (or undoing one) comes to: its items, the entries to post and the rewards after them."""

    amount: int
    items: tuple[PayoutItem, ...]
    entries: tuple[Entry, ...]
    changed: tuple[BookedReward, ...]


def payable_left(reward: BookedReward) -> int:
    """What the next payout owes of a reward, in minor units; negative where it was paid and went back since."""
    if reward.kind not in _PAYS or lies_in(reward) != PAYABLE:
        return 0
    return reward.amount - reward.reversed - reward.paid


class Step(msgspec.Struct, frozen=True, gc=False):
    """An amount that a payout can have: it pays the oldest `count` rewards."""

    count: int
    amount: int


def payout_steps(rewards: Sequence[BookedReward]) -> list[Step]:
    """The amounts that can be paid of one beneficiary's rewards of one currency; the last is all that is payable."""
    steps: list[Step] = []
    so_far = count = 0
    for reward in _due(rewards):
        left = payable_left(reward)
        so_far += left
        count += left > 0
        if left > 0 and so_far > 0:
            steps.append(Step(count, so_far))
    return steps


def plan_payout(rewards: Sequence[BookedReward], amount: int | None, payout_id: str) -> PayoutPlan:
    """Which of one beneficiary's rewards of one currency a payment of `amount` covers; None: all that is payable.

    Raises Refused: nothing_payable, and payout_amount where whole rewards, the oldest first, do not come to `amount`.
    """
    due = _due(rewards)
    steps = payout_steps(due)
    if not steps:
        owed = -sum(payable_left(reward) for reward in due)
        more = f" What went back of paid rewards is {format_amount(owed, due[0].currency)} more." if owed else ""
        raise Refused("nothing_payable", f"Nothing is payable to this participant in this currency.{more}", "currency")
    chosen = steps[-1] if amount is None else next((step for step in steps if step.amount == amount), None)
    if chosen is None:
        raise _no_such_step(steps, amount or 0, due[0].currency)
    debts = sum(payable_left(reward) < 0 for reward in due)
    parts = [(reward, payable_left(reward)) for reward in due[: debts + chosen.count]]
    return _plan(parts, f"paid out by hand, {payout_id}")


def _no_such_step(steps: Sequence[Step], amount: int, currency: str) -> Refused:
    less = [step for step in steps[:-1] if step.amount < amount][-1:]
    more = [step for step in steps[:-1] if step.amount > amount][:1]
    near = [format_amount(step.amount, currency) for step in (*less, *more)]
    choice = f"{' or '.join(near)}, or all of it: " if near else "all of it: "
    return Refused(
        "payout_amount",
        f"Whole rewards are paid, the oldest first: give {choice}{format_amount(steps[-1].amount, currency)}.",
        "amount_minor",
    )


def plan_undoing(
    items: Sequence[PayoutItem], rewards: Sequence[BookedReward], payout_id: str, reason: str
) -> PayoutPlan:
    """The opposite of a payout. `rewards` are those of its items."""
    known = {reward.reward_id: reward for reward in rewards}
    return _plan([(known[item.reward_id], -item.amount) for item in items], f"{payout_id} undone: {reason}")


def _due(rewards: Sequence[BookedReward]) -> list[BookedReward]:
    """What is owed, debts first and then the oldest first."""
    return sorted([reward for reward in rewards if payable_left(reward)], key=_in_order)


def _in_order(reward: BookedReward) -> tuple[bool, int, str, str]:
    return payable_left(reward) > 0, reward.occurred_at, reward.payment_key, reward.reward_id


def _plan(parts: Sequence[tuple[BookedReward, int]], reason: str) -> PayoutPlan:
    entries: list[Entry] = []
    items: list[PayoutItem] = []
    changed: list[BookedReward] = []
    for reward, amount in parts:
        posting = Posting(reward, entries)
        payable, paid = (PAYABLE, reward.beneficiary_id), (PAID, reward.beneficiary_id)
        if amount > 0:
            posting.post("pay", amount, payable, paid, reason)
        else:
            posting.post("unpay", -amount, paid, payable, reason)
        items.append(PayoutItem(reward.reward_id, entries[-1].entry_id, amount))
        after = reward.paid + amount
        status = status_after(PAYABLE, reward.amount, reward.reversed, after)
        changed.append(msgspec.structs.replace(reward, paid=after, status=status, entry_count=posting.count, holds=()))
    return PayoutPlan(sum(item.amount for item in items), tuple(items), tuple(entries), tuple(changed))
