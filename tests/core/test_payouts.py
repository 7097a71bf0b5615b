"""Payouts: which rewards an amount covers, what is set off, and that undoing is the exact opposite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.samples import DAY, T0, quick
from refref.core.ledger import BookedReward, Entry, status_after
from refref.core.payouts import payable_left, payout_steps, plan_payout, plan_undoing
from refref.core.refusals import Refused


def reward(
    number: int, amount: int, *, back: int = 0, paid: int = 0, status: str = "", kind: str = "commission", day: int = 0
) -> BookedReward:
    """A reward of 'ptc_a' on the day; payable unless said otherwise."""
    status = status or status_after("payable", amount, back, paid)
    return BookedReward(
        f"rwd_{number}", "prg_1", "r", "ptc_a", f"in_{number}", "cus_1", 1, "usd", amount, back, status,
        T0 + day * DAY, T0, 1, "ptc_a", kind, None, paid,
    )  # fmt: skip


THREE = [reward(1, 1_000, day=3), reward(2, 500, day=1), reward(3, 700, day=2)]
WITH_DEBT = [*THREE, reward(4, 900, back=900, paid=900)]

PAID = [
    # rewards, amount, what is paid of which
    (THREE, None, {"rwd_2": 500, "rwd_3": 700, "rwd_1": 1_000}),
    (THREE, 2_200, {"rwd_2": 500, "rwd_3": 700, "rwd_1": 1_000}),
    (THREE, 500, {"rwd_2": 500}),
    (THREE, 1_200, {"rwd_2": 500, "rwd_3": 700}),
    (WITH_DEBT, None, {"rwd_4": -900, "rwd_2": 500, "rwd_3": 700, "rwd_1": 1_000}),
    (WITH_DEBT, 300, {"rwd_4": -900, "rwd_2": 500, "rwd_3": 700}),
    ([reward(1, 1_000, back=300), reward(2, 5, status="pending"), reward(3, 6, status="held")], None, {"rwd_1": 700}),
    ([reward(1, 1_000, kind="credit"), reward(2, 0, kind="discount")], None, {"rwd_1": 1_000}),
    ([reward(1, 1_000, paid=400)], None, {"rwd_1": 600}),  # it grew after it was paid
]


@pytest.mark.parametrize(("rewards", "amount", "expected"), PAID)
def test_what_a_payout_covers(rewards: Sequence[BookedReward], amount: int | None, expected: dict[str, int]) -> None:
    plan = plan_payout(rewards, amount, "pyt_1")
    assert {item.reward_id: item.amount for item in plan.items} == expected
    assert plan.amount == sum(expected.values())


REFUSED = [
    (THREE, 499, "payout_amount", "give 5.00 USD, or all of it: 22.00 USD."),
    (THREE, 600, "payout_amount", "give 5.00 USD or 12.00 USD, or all of it: 22.00 USD."),
    (THREE, 9_999, "payout_amount", "give 12.00 USD, or all of it: 22.00 USD."),
    ([reward(1, 1_000)], 999, "payout_amount", "give all of it: 10.00 USD."),
    ([], None, "nothing_payable", "Nothing is payable"),
    ([reward(1, 900, back=900, paid=900), reward(2, 400)], None, "nothing_payable", "is 5.00 USD more"),
    ([reward(1, 900, back=900, paid=900), reward(2, 900)], None, "nothing_payable", "Nothing is payable"),
]


@pytest.mark.parametrize(("rewards", "amount", "code", "words"), REFUSED)
def test_what_is_refused_says_what_can_be_paid(
    rewards: Sequence[BookedReward], amount: int | None, code: str, words: str
) -> None:
    with pytest.raises(Refused, match=words.replace(".", r"\.")) as refused:
        plan_payout(rewards, amount, "pyt_1")
    assert refused.value.code == code


def test_a_paid_reward_has_its_status() -> None:
    statuses = {after.reward_id: after.status for after in plan_payout(WITH_DEBT, 300, "pyt_1").changed}
    assert statuses == {"rwd_4": "reversed", "rwd_2": "paid", "rwd_3": "paid"}


def sums(entries: Sequence[Entry]) -> Counter[str]:
    found: Counter[str] = Counter()
    for entry in entries:
        found[entry.source[0]] -= entry.amount
        found[entry.destination[0]] += entry.amount
    return found


amounts = st.tuples(st.integers(1, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 9))


@quick
@given(st.lists(amounts, min_size=1, max_size=6))
def test_every_step_can_be_paid_and_undone(rows: list[tuple[int, int, int, int]]) -> None:
    rewards = [
        reward(number, amount, back=min(back, amount), paid=min(paid, amount), day=day)
        for number, (amount, back, paid, day) in enumerate(rows)
    ]
    payable = sum(payable_left(one) for one in rewards)
    steps = payout_steps(rewards)
    assert bool(steps) == (payable > 0)
    for step in steps:
        plan = plan_payout(rewards, step.amount, "pyt_1")
        assert plan.amount == step.amount == sums(plan.entries)["paid"] == -sums(plan.entries)["payable"]
        assert sum(payable_left(one) for one in plan.changed) == 0
        undone = plan_undoing(plan.items, plan.changed, "pyt_1", "why")
        assert {one.reward_id: (one.paid, one.status) for one in undone.changed} == {
            one.reward_id: (one.paid, status_after("payable", one.amount, one.reversed, one.paid))
            for one in rewards
            if one.reward_id in {item.reward_id for item in plan.items}
        }
    if steps:
        assert steps[-1].amount == payable
