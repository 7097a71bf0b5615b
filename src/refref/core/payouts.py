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


def plan_payout(rewards: Sequence[BookedReward], amount: int | None, payout_id: str) -> PayoutPlan:
    """Which of one beneficiary's rewards of one currency a payment of `amount` covers; None: all that is payable.

    Raises Refused: nothing_payable, and payout_amount where whole rewards, the oldest first, do not come to `amount`.
    """
    due = sorted([r for r in rewards if payable_left(r)], key=_in_order)
    total = sum(payable_left(reward) for reward in due)
    if total <= 0:
        owed = f" What went back of paid rewards is {format_amount(-total, due[0].currency)} more." if total else ""
        raise Refused("nothing_payable", f"Nothing is payable to this participant in this currency.{owed}", "currency")
    chosen = due if amount is None or amount == total else _up_to(due, amount, total)
    return _plan([(reward, payable_left(reward)) for reward in chosen], f"paid out by hand, {payout_id}")


def _up_to(due: Sequence[BookedReward], amount: int, total: int) -> list[BookedReward]:
    possible: list[int] = []
    so_far = 0
    for place, reward in enumerate(due):
        so_far += payable_left(reward)
        if so_far == amount and amount > 0:
            return list(due[: place + 1])
        if so_far > 0:
            possible.append(so_far)
    currency = due[0].currency
    less = [step for step in possible if step < amount][-1:]
    more = [step for step in possible if amount < step < total][:1]
    steps = [format_amount(step, currency) for step in (*less, *more) if step != total]
    choice = f"{' or '.join(steps)}, or all of it: " if steps else "all of it: "
    raise Refused(
        "payout_amount",
        f"Whole rewards are paid, the oldest first: give {choice}{format_amount(total, currency)}.",
        "amount_minor",
    )


def plan_undoing(
    items: Sequence[PayoutItem], rewards: Sequence[BookedReward], payout_id: str, reason: str
) -> PayoutPlan:
    """The opposite of a payout. `rewards` are those of its items."""
    known = {reward.reward_id: reward for reward in rewards}
    return _plan([(known[item.reward_id], -item.amount) for item in items], f"{payout_id} undone: {reason}")


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
