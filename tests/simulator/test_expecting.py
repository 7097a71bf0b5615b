"""A wrong expectation is reported with the difference and every step to what was really earned."""

from __future__ import annotations

import pytest

from simulator.telling import HEAD, differences, told

BUY = "happens:\n  - {customer: buyer, buys: {price: thing-once, quantity: 2, tax: vat}}\n"
CAPPED = HEAD.replace(
    "  hold_days: 10\n", "  hold_days: 10\n  caps: [{on: participant, period: month, amounts: {usd: 1500}}]\n"
)
TIERED = HEAD.replace(
    "{rule_id: commission, rate_bps: 2000}",
    "{rule_id: commission, tiers: {by: referrals, period: month,"
    " steps: [{rate_bps: 1000}, {at_least: 2, rate_bps: 3000}]}}",
)


def difference(tail: str, head: str = HEAD) -> list[str]:
    """The one difference of a story."""
    found = differences(told(tail, head))
    assert len(found) == 1, found
    return list(next(iter(found.values())))


def test_an_amount_that_is_too_high_with_what_was_left_out_of_the_base() -> None:
    lines = difference(BUY + "expect:\n  rewards: {partner: [{sale: buyer/1, amount: 24.00 USD}]}\n")
    assert lines == [
        "Expected 24.00 USD, earned 20.00 USD.",
        "Because, for buyer/1:",
        "“partner” (metadata of the customer) stands for Sample Partner. This decided who referred the customer.",
        "Total of the sale: 120.00 USD; Tax, left out: -20.00 USD. What counts: 100.00 USD.",
        "It is the customer's counted payment number 1.",
        "Rule “commission”: 100.00 USD × 20 % = 20.00 USD",
    ]


def test_a_cap_says_how_much_it_cut_and_a_tier_which_step_holds() -> None:
    expected = "expect:\n  rewards: {partner: [{sale: buyer/1, amount: 20.00 USD}]}\n"
    lines = difference(BUY + expected, CAPPED)
    assert lines[0] == "Expected 20.00 USD, earned 15.00 USD."
    cut = "Cut from 20.00 USD to 15.00 USD: what one participant may earn is at most 15.00 USD this calendar month."
    assert lines[-2:] == ["Rule “commission”: 100.00 USD × 20 % = 20.00 USD", cut]
    lines = difference(BUY + expected, TIERED)
    assert lines[0] == "Expected 20.00 USD, earned 10.00 USD."
    assert "1 paid referral this calendar month: the tier from 0. Counted up to and with this one." in lines


def test_a_status_says_when_it_changes() -> None:
    lines = difference(BUY + "expect:\n  rewards: {partner: [{sale: buyer/1, amount: 20.00 USD, status: payable}]}\n")
    assert lines[0] == "Expected payable, but: Pending until 25 Jan 2026, when the hold period ends."


def test_what_was_taken_back_counts_even_where_it_is_not_named() -> None:
    steps = BUY + "  - {after: 1 day, refunds: {sale: buyer/1, amount: 60.00 USD}}\n"
    lines = difference(steps + "expect:\n  rewards: {partner: [{sale: buyer/1, amount: 20.00 USD}]}\n")
    assert lines[0] == "Expected that nothing was taken back; it was 10.00 USD."
    assert lines[-1] == "60.00 USD: Refunded to the customer."
    assert not differences(
        told(steps + "expect:\n  rewards: {partner: [{amount: 20.00 USD, taken_back: 10.00 USD}]}\n")
    )


def test_a_reward_that_is_not_there_says_why_it_was_refused() -> None:
    head = HEAD.replace("  hold_days: 10\n", "  hold_days: 10\n  products: [plan]\n")
    lines = difference(BUY + "expect:\n  rewards: {partner: [{sale: buyer/1, amount: 20.00 USD}]}\n", head)
    assert lines[0] == "Expected 20.00 USD, but Sample Partner earned nothing for buyer/1."
    assert "No money moved for eligible lines, so there is nothing to earn on." in lines
    assert "Not of a product that the terms reward: thing." in lines


def test_a_sale_that_was_never_made() -> None:
    lines = difference(BUY + "expect:\n  rewards: {partner: [20.00 USD, {sale: buyer/2, amount: 20.00 USD}]}\n")
    assert lines[0] == "Expected 20.00 USD, but Sample Partner earned nothing for buyer/2."
    assert lines[1] == "There is no sale “buyer/2” by then; there is buyer/1."


@pytest.mark.parametrize("given", ["[]", "[{sale: buyer/1, amount: 20.00 USD}]"])
def test_rewards_that_nobody_expected_are_told_with_their_explanation(given: str) -> None:
    steps = BUY if given == "[]" else BUY + "  - {after: 1 day, customer: buyer, buys: thing-once}\n"
    lines = difference(steps + f"expect:\n  rewards: {{partner: {given}}}\n")
    surplus = "20.00 USD for buyer/1" if given == "[]" else "10.00 USD for buyer/2"
    assert lines[0] == f"There is also {surplus} (pending), by the rule commission."
    assert lines[-1].startswith("Rule “commission”:")


def test_refusals() -> None:
    head = HEAD.replace("  hold_days: 10\n", "  hold_days: 10\n  ends_at: 2026-01-01T00:00:00Z\n")
    right = "expect:\n  refusals: [{sale: buyer/1, reason: program_not_running}]\n"
    assert not differences(told(BUY + right, head))
    lines = difference(BUY + right.replace("program_not_running", "duration_over"), head)
    assert lines[0] == ("The reason is another (program_not_running): The program's dates do not include this day.")
    lines = difference(BUY + right)
    assert lines[0] == "It earned something: Sample Partner earned 20.00 USD."
    lines = difference(BUY + right.replace("buyer/1", "buyer/7"))
    assert lines == ["There is no sale “buyer/7” by then; there is buyer/1."]


def test_balances_list_the_entries_behind_them() -> None:
    later = BUY + "  - {after: 11 days}\n"
    assert not differences(told(later + "expect:\n  balances: {partner: {payable: [20.00 USD]}}\n"))
    found = differences(told(later + "expect:\n  balances: {partner: {pending: [20.00 USD]}}\n"))
    assert found == {
        "Sample Partner has 20.00 USD pending": (
            "Expected 20.00 USD, there is nothing.",
            "Sample Partner earns 20.00 USD, pending.",
            "20.00 USD of Sample Partner becomes payable: the hold period is over.",
        ),
        "Sample Partner has nothing payable": (
            "Expected nothing, there is 20.00 USD.",
            "20.00 USD of Sample Partner becomes payable: the hold period is over.",
        ),
    }


def test_who_referred() -> None:
    lines = difference(BUY + "expect:\n  referred: {buyer: ''}\n")
    assert lines == [
        "Sample Buyer was referred by Sample Partner.",
        "“partner” (metadata of the customer) stands for Sample Partner. This decided who referred the customer.",
    ]
