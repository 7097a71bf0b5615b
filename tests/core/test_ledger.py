"""The plan of entries: balances become what is derived, never below zero on the way; nothing is posted twice."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.samples import T0, quick
from refref.core.derive import DerivedReward
from refref.core.ledger import BookedReward, Plan, kept_reward, plan_rewards

Target = tuple[str, str, int, int, str]  # payment, participant, amount, reversed, location


def derived(payment: str, participant: str, amount: int, reversed_amount: int, location: str) -> DerivedReward:
    ids = (payment, "pi_of_in_1") if payment == "in_1" else (payment,)
    return DerivedReward(
        "prg_1", "commission", participant, payment, ids, "cus_1", 1, "usd", amount, min(amount, reversed_amount),
        location, T0, T0 + 1, participant,
    )  # fmt: skip


class Books:
    """What the database does with plans: keeps rewards and balances."""

    def __init__(self) -> None:
        self.rewards: dict[str, BookedReward] = {}
        self.balances: Counter[tuple[str, str]] = Counter()
        self.entry_ids: set[str] = set()
        numbers = itertools.count(1)
        self._new_id: Callable[[], str] = lambda: f"rwd_{next(numbers):04d}"

    def settle(self, targets: Sequence[DerivedReward]) -> Plan:
        plan = plan_rewards(list(self.rewards.values()), targets, self._new_id)
        for entry in plan.entries:
            assert entry.amount > 0
            assert entry.entry_id not in self.entry_ids
            self.entry_ids.add(entry.entry_id)
            self.balances[entry.source] -= entry.amount
            self.balances[entry.destination] += entry.amount
            if entry.source[0] in ("pending", "held"):
                assert self.balances[entry.source] >= 0, entry
        for reward in (*plan.added, *plan.changed):
            self.rewards[reward.reward_id] = reward
        return plan

    def check(self, targets: Sequence[DerivedReward]) -> None:
        expected: Counter[tuple[str, str]] = Counter()
        for target in targets:
            net = target.amount - target.reversed
            expected[target.location, target.participant_id] += net
            expected["expense", target.program_id] -= net
        assert +self.balances == +expected
        assert -self.balances == -expected
        assert sum(self.balances.values()) == 0


target = st.builds(
    derived,
    st.sampled_from(["in_1", "in_2", "pi_of_in_1"]), st.sampled_from(["ptc_a", "ptc_b"]), st.integers(1, 50),
    st.integers(0, 60), st.sampled_from(["pending", "payable", "held"]),
)  # fmt: skip
# One sale has one key at a time.
sets_of_targets = st.lists(target, max_size=3, unique_by=lambda t: t.payment_key.removeprefix("pi_of_"))


@quick
@given(st.lists(sets_of_targets, min_size=1, max_size=7))
def test_any_sequence_of_targets_brings_the_balances_to_the_last(steps: list[list[DerivedReward]]) -> None:
    books = Books()
    for targets in steps:
        books.settle(targets)
        books.check(targets)
        again = books.settle(targets)
        assert (again.added, again.changed, again.entries) == ((), (), ())


def kinds(*steps: list[DerivedReward]) -> list[str]:
    books = Books()
    return [entry.kind for targets in steps for entry in books.settle(targets).entries]


def one(amount: int, reversed_amount: int = 0, location: str = "pending", payment: str = "in_1") -> list[DerivedReward]:
    return [derived(payment, "ptc_a", amount, reversed_amount, location)]


def test_entries_say_what_happened() -> None:
    assert kinds(one(10)) == ["earn"]
    assert kinds(one(10), one(10, 0, "payable")) == ["earn", "mature"]
    assert kinds(one(10), one(10, 4), one(10, 10)) == ["earn", "reverse", "reverse"]
    assert kinds(one(10), one(10, 10), one(10)) == ["earn", "reverse", "restore"]
    assert kinds(one(10), one(10, 0, "held"), one(10, 0, "payable")) == ["earn", "hold", "release"]
    assert kinds(one(10), one(12), one(9)) == ["earn", "adjust", "adjust"]
    assert kinds(one(10), []) == ["earn", "reverse"]
    assert kinds(one(10), one(10, 10), one(10, 10, "payable")) == ["earn", "reverse"]
    assert kinds(one(10), [], one(10)) == ["earn", "reverse", "restore"]


def test_a_payment_that_finds_its_invoice_keeps_its_reward() -> None:
    books = Books()
    books.settle(one(10, payment="pi_of_in_1"))
    plan = books.settle(one(10))
    assert plan.entries == ()
    assert [reward.payment_key for reward in books.rewards.values()] == ["in_1"]


@pytest.mark.parametrize(
    ("status", "paid", "now", "expected"),
    [
        ("pending", 0, T0 + 9, "pending"),
        ("pending", 0, T0 + 10, "payable"),  # the hold is over
        ("payable", 0, T0 + 19, "payable"),
        ("payable", 0, T0 + 20, "expired"),
        ("payable", 5, T0 + 20, "payable"),  # what was paid out does not expire
        ("held", 0, T0 + 19, "held"),
        ("held", 0, T0 + 20, "expired"),
        ("expired", 0, T0, "expired"),
    ],
)
def test_what_is_not_judged_again_is_only_moved_by_the_clock(status: str, paid: int, now: int, expected: str) -> None:
    booked = BookedReward(
        "rwd_1", "prg_1", "commission", "ptc_ana", "in_1", "cus_1", 1, "usd", 200, 0, status, T0, T0 + 10, 1, "ptc_ana",
        expires_at=T0 + 20, paid=paid,
    )  # fmt: skip
    assert kept_reward(booked, now).location == expected
