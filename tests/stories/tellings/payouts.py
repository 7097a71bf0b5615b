"""Payouts by hand: what is paid, what goes back afterwards, what keeps its tier, what expires (scenarios 21 and 79)."""

from __future__ import annotations

import pytest

from refref.core.refusals import Refused
from refref.core.terms import Cap, RewardRule
from stories.deciding import decide, pay, undo
from stories.story import Reward, Story, gone, payable, pending, story
from stories.tellings.rules import by_referrals, refer


def paid(amount: int, back: int = 0) -> Reward:
    return Reward(amount, back, "paid")


def expect_balances(s: Story, refcode: str, **accounts: int) -> None:
    """What the ledger holds for a participant in USD, by account; what is not named is empty."""
    found = s.world.balances(s.merchant, s.names[refcode])
    assert found == {(account, "usd"): amount for account, amount in accounts.items()}


@story("21")
def refund_after_the_payout_is_set_off_in_the_next(s: Story) -> None:
    s.affiliate("ana")
    first = s.buy(s.price(10_000), "ana", email="one@customers.example")
    s.wait(days=1)
    s.buy(s.price(5_000), "ana", email="two@customers.example")
    s.wait(days=31)
    pay(s, "ana")
    expect_balances(s, "ana", paid=3_000)
    s.sb.refund(first)
    s.expect(ana=[gone(2_000), paid(1_000)])
    s.buy(s.price(20_000), "ana", email="three@customers.example")
    s.wait(days=31)
    s.catch_up()
    expect_balances(s, "ana", paid=3_000, payable=2_000)  # 4,000 of the new one less the 2,000 that went back
    pay(s, "ana")
    expect_balances(s, "ana", paid=5_000)
    s.end(ana=[gone(2_000), paid(1_000), paid(4_000)], refused=[])


@story("21-more-went-back-than-was-earned")
def nothing_is_paid_while_more_went_back_than_is_payable(s: Story) -> None:
    s.affiliate("ana")
    first = s.buy(s.price(10_000), "ana", email="one@customers.example")
    s.wait(days=31)
    pay(s, "ana", 2_000)
    s.sb.refund(first, amount=7_500)
    s.buy(s.price(5_000), "ana", email="two@customers.example")
    s.wait(days=31)
    with pytest.raises(Refused, match=r"is 5\.00 USD more"):
        pay(s, "ana")
    expect_balances(s, "ana", paid=2_000, payable=-500)
    s.end(ana=[paid(2_000, 1_500), payable(1_000)], refused=[])


@story("21-whole-rewards")
def whole_rewards_are_paid_the_oldest_first(s: Story) -> None:
    s.affiliate("ana")
    refer(s, "ana", 3)
    s.wait(days=31)
    for amount in (1, 3_000, 6_001, 0, -5):
        with pytest.raises(Refused, match="Whole rewards are paid"):
            pay(s, "ana", amount)
    with pytest.raises(Refused, match="Nothing is payable"):
        pay(s, "ana", currency="eur")
    pay(s, "ana", 4_000)
    s.end(ana=[paid(2_000), paid(2_000), payable(2_000)], refused=[])


@story("21-undone")
def payout_that_never_arrived_is_undone(s: Story) -> None:
    s.affiliate("ana")
    sessions = refer(s, "ana", 3)
    s.wait(days=31)
    first = pay(s, "ana", 2_000)
    s.sb.refund(sessions[0])
    second = pay(s, "ana")  # 4,000 less the 2,000 that went back
    expect_balances(s, "ana", paid=4_000)
    with pytest.raises(Refused, match="goes on from this one"):
        undo(s, first)
    undo(s, second)
    expect_balances(s, "ana", paid=2_000, payable=2_000)
    with pytest.raises(Refused, match="undone already"):
        undo(s, second)
    undo(s, first)
    expect_balances(s, "ana", payable=4_000)
    s.end(ana=[gone(2_000), payable(2_000), payable(2_000)], refused=[])


@story("21-failed-refund")
def refund_after_the_payout_fails(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000), "ana")
    s.wait(days=31)
    pay(s, "ana")
    refund = s.sb.refund(session, status="pending")["id"]
    s.sb.advance_by(days=1)
    s.sb.fail_refund(refund)
    s.end(ana=[paid(2_000)], refused=[])
    expect_balances(s, "ana", paid=2_000)


@story("21-disputed")
def dispute_after_the_payout(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000), "ana", email="one@customers.example")
    s.buy(s.price(15_000), "ana", email="two@customers.example")
    s.wait(days=31)
    pay(s, "ana")
    dispute = s.sb.dispute(session)["id"]
    s.sb.advance_by(days=1)
    s.sb.close_dispute(dispute, "lost")
    s.catch_up()
    expect_balances(s, "ana", paid=5_000, payable=-2_000)
    s.end(ana=[gone(2_000), paid(3_000)], refused=[])


@story("21-rejected")
def reward_is_rejected_after_the_payout(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(10_000), "ana")
    s.wait(days=31)
    pay(s, "ana")
    decide(s, "ana", "rejected")
    expect_balances(s, "ana", paid=2_000, payable=-2_000)
    decide(s, "ana", "approved")
    s.end(ana=[paid(2_000)], refused=[])


@story("79-paid")
def what_is_paid_keeps_its_tier(s: Story) -> None:
    s.program(rules=(by_referrals(),))
    s.affiliate("ana")
    sessions = refer(s, "ana", 5)
    s.wait(days=31)
    s.expect(ana=[payable(1_000), payable(1_000), payable(1_500), payable(1_500), payable(2_000)])
    pay(s, "ana", 3_500)
    s.sb.refund(sessions[0])
    # The third was the third referral when it was paid and is the second now: it keeps 15 %. The fifth falls to 15 %.
    s.is_backtested = False
    s.end(ana=[gone(1_000), paid(1_000), paid(1_500), payable(1_500), payable(1_500)], refused=[])


@story("79-paid-retroactive")
def what_is_paid_is_not_lifted_to_a_later_tier(s: Story) -> None:
    s.program(rules=(by_referrals(applies="retroactive"),), hold_days=0)
    s.affiliate("ana")
    refer(s, "ana", 1)
    pay(s, "ana")
    refer(s, "ana", 2)
    s.is_backtested = False
    s.end(ana=[paid(1_000), payable(1_500), payable(1_500)], refused=[])


@story("79-paid-undone")
def what_is_no_longer_paid_follows_the_tiers_again(s: Story) -> None:
    s.program(rules=(by_referrals(applies="retroactive"),), hold_days=0)
    s.affiliate("ana")
    refer(s, "ana", 1)
    payout = pay(s, "ana")
    refer(s, "ana", 2)
    undo(s, payout)
    s.end(ana=[payable(1_500)] * 3, refused=[])


@story("82-paid")
def what_is_paid_leaves_the_room_of_a_cap_to_others(s: Story) -> None:
    s.program(
        rules=(RewardRule(rule_id="half", rate_bps=5_000),), caps=(Cap(on="program", amounts={"usd": 10_000}),),
        hold_days=0,
    )  # fmt: skip
    s.affiliate("ana")
    s.affiliate("bea")
    first = refer(s, "ana", 1, 16_000)[0]
    refer(s, "bea", 1, 16_000)
    pay(s, "bea")
    s.sb.refund(first)
    refer(s, "ana", 1, 16_000)
    s.is_backtested = False
    s.end(ana=[gone(8_000), payable(8_000)], bea=[paid(2_000)], refused=[])


@story("59-expires")
def reward_that_is_not_paid_out_in_time_expires(s: Story) -> None:
    s.program(rules=(RewardRule(rule_id="r", rate_bps=1_000, hold_days=10, expires_days=60),))
    s.affiliate("ana")
    refer(s, "ana", 1)
    s.wait(days=20)
    refer(s, "ana", 1)
    s.wait(days=15)
    pay(s, "ana", 1_000)
    s.wait(days=15)
    s.expect(ana=[paid(1_000), payable(1_000)])
    s.wait(days=40)
    s.catch_up()
    expect_balances(s, "ana", paid=1_000)
    refer(s, "ana", 1)
    s.end(ana=[paid(1_000), Reward(1_000, 1_000, "expired"), pending(1_000)], refused=[])
