"""What can happen in a story, each with what it earns: a table that a merchant can check."""

from __future__ import annotations

import pytest

from refref.simulator.mode import API_VERSIONS, Mode
from refref.simulator.reading import read_story
from refref.simulator.running import play_story
from simulator.telling import HEAD, differences, told

MONTHLY = "  - {customer: buyer, subscribes: {price: plan-monthly, name: plan}}\n"
# 20 % of what is paid; the first step is on 15 January.
TABLE = {
    "a purchase of two with half off": (
        "  - {customer: buyer, buys: {price: thing-once, quantity: 2, coupon: half}}\n",
        "[{sale: buyer/1, amount: 10.00 USD}]",
    ),
    "several things, with shipping and tax": (
        "  - {customer: buyer, buys: {items: [{price: thing-once}, {price: thing-once, quantity: 3}], tax: vat,"
        " shipping: 5.00 USD}}\n",
        "[{sale: buyer/1, amount: 40.00 USD}]",
    ),
    "a declined card buys nothing": (
        "  - {customer: buyer, buys: {price: thing-once, card: declined}}\n",
        "[]",
    ),
    "renewals until it is cancelled": (
        MONTHLY + "  - {at: 2026-02-20, customer: buyer, cancels: {}}\n  - {at: 2026-05-01}\n",
        "[{sale: plan/1, amount: 6.00 USD}, {sale: plan/2, amount: 6.00 USD}]",
    ),
    "cancelled to the end of the period, and taken back": (
        MONTHLY + "  - {after: 1 week, customer: buyer, cancels: {when: period_end}}\n"
        "  - {after: 1 week, restarts: plan}\n  - {at: 2026-02-16}\n",
        "[{sale: plan/1, amount: 6.00 USD}, {sale: plan/2, amount: 6.00 USD}]",
    ),
    "taken up again after the end": (
        MONTHLY + "  - {after: 1 week, customer: buyer, cancels: {}}\n"
        "  - {after: 1 month, customer: buyer, restarts: true}\n",
        "[{sale: buyer/1, amount: 6.00 USD}, {sale: buyer/2, amount: 6.00 USD}]",
    ),
    "more seats, settled with the next invoice": (
        MONTHLY + "  - {customer: buyer, changes: {quantity: 2, settles: later}}\n  - {after: 1 month}\n",
        "[{sale: plan/1, amount: 6.00 USD}, {sale: plan/2, amount: 18.00 USD}]",  # 60.00 and 30.00 of January
    ),
    "a renewal that the card declines, and is paid later": (
        MONTHLY + "  - {customer: buyer, sets: {card: declined}}\n  - {after: 1 month}\n"
        "  - {after: 1 day, customer: buyer, sets: {card: visa}}\n  - {pays: plan/2}\n",
        "[{sale: plan/1, amount: 6.00 USD}, {sale: plan/2, amount: 6.00 USD}]",
    ),
    "an invoice, paid outside Stripe": (
        "  - {customer: buyer, invoices: {lines: [{amount: 80.00 USD, text: Workshop}], paid: outside}}\n",
        "[{sale: buyer/1, amount: 16.00 USD}]",
    ),
    "an invoice that nobody pays": (
        "  - {customer: buyer, invoices: {lines: [{price: thing-once}], paid: later, name: bill}}\n",
        "[]",
    ),
    "an invoice, made smaller by a credit note before it is paid": (
        "  - {customer: buyer, invoices: {lines: [{price: thing-once}], paid: later, name: bill}}\n"
        "  - {credits: {sale: bill, amount: 20.00 USD}}\n  - {pays: bill}\n",
        "[{sale: bill, amount: 6.00 USD}]",
    ),
    "one line of an invoice, given back as credit": (
        "  - {customer: buyer, invoices: {lines: [{price: thing-once}, {amount: 30.00 USD, text: Work}], name: bill}}\n"
        "  - {credits: {sale: bill, price: thing-once, gives: credit}}\n",
        "[{sale: bill, amount: 16.00 USD, taken_back: 10.00 USD}]",
    ),
    "a refund that the bank sends back": (
        "  - {customer: buyer, buys: thing-once}\n  - {refunds: {sale: buyer/1, fails: true}}\n",
        "[{sale: buyer/1, amount: 10.00 USD}]",
    ),
    "a bank debit, which is pending at first": (
        "  - {customer: buyer, buys: {price: thing-once, card: sepa}}\n",
        "[]",
    ),
    "somebody else's link at a later checkout": (
        "  - {customer: buyer, buys: thing-once}\n  - {customer: buyer, buys: {price: thing-once, link: other}}\n",
        "[{sale: buyer/1, amount: 10.00 USD}, {sale: buyer/2, amount: 10.00 USD}]",
    ),
}
WITH_ANOTHER = HEAD.replace(
    "  - {name: Sample Partner, code: partner}\n",
    "  - {name: Sample Partner, code: partner}\n  - {name: Sample Other, code: other}\n",
)


@pytest.mark.parametrize("name", TABLE)
def test_what_happens_and_what_it_earns(name: str) -> None:
    steps, rewards = TABLE[name]
    text = f"{WITH_ANOTHER}happens:\n{steps}expect:\n  rewards: {{partner: {rewards}, other: []}}\n"
    for mode in (Mode(), Mode(API_VERSIONS[0], is_shuffled=True, copies=2)):
        assert differences(play_story(read_story(text), mode=mode)) == {}


def test_a_link_brings_a_customer_and_a_campaign() -> None:
    head = WITH_ANOTHER.replace(", referred: {by: partner}", "").replace(
        "rate_bps: 2000", "rate_bps: 2000, campaign: spring"
    )
    steps = "happens:\n  - {customer: buyer, buys: {price: thing-once, link: other, campaign: %s}}\n"
    expected = "expect:\n  referred: {buyer: other}\n  rewards: {partner: [], other: %s}\n"
    assert not differences(told(steps % "spring" + expected % "[10.00 USD]", head))
    refused = expected % "[]" + "  refusals: [{sale: buyer/1, reason: other_campaign}]\n"
    assert not differences(told(steps % "autumn" + refused, head))


def test_the_timeline_tells_what_happened_day_by_day() -> None:
    played = told(f"happens:\n{MONTHLY}  - {{after: 40 days, note: All is well.}}\n")
    told_lines = [" ".join(moment.happened) for moment in played.moments]
    assert told_lines == [
        "Sample Buyer subscribes to plan-monthly. Sample Buyer paid 30.00 USD: buyer/1.",
        "",  # the hold period of the first reward is over
        "Sample Buyer paid 30.00 USD: buyer/2.",
        "All is well.",
    ]
    assert [moment.booked for moment in played.moments[1:2]] == [
        ("6.00 USD of Sample Partner becomes payable: the hold period is over.",)
    ]
    assert "invoice.paid" in played.moments[0].events
    assert [one.sale for moment in played.moments for one in moment.outcomes] == ["buyer/1", "buyer/2"]


def test_a_step_comes_after_what_falls_due_on_its_day() -> None:
    steps = (
        "happens:\n  - {note: A first step.}\n" + MONTHLY + "  - {at: 2026-02-15, refunds: plan/2}\n"
        "expect:\n  rewards: {partner: [6.00 USD, {amount: 6.00 USD, status: reversed}]}\n"
    )
    assert not differences(told(steps))


def test_hours_and_exact_times() -> None:
    steps = (
        "happens:\n  - {at: '2026-01-15T08:30:00Z', customer: buyer, buys: thing-once}\n"
        "  - {after: 240 hours, expect: {rewards: {partner: [{status: payable}]}}}\n"
    )
    played = told(steps)
    assert not differences(played)
    assert [moment.at - played.moments[0].at for moment in played.moments] == [0, 240 * 3600, 240 * 3600]


def test_customers_who_share_a_card_with_a_participant_are_found() -> None:
    head = HEAD.replace("code: partner}", "code: partner, email: partner@example.com}").replace(
        "customers:\n", "customers:\n  - {id: own, email: partner@example.com, card: shared}\n"
    )
    steps = "happens:\n  - {customer: own, buys: thing-once}\n  - {customer: buyer, buys: thing-once}\n"
    expected = "expect:\n  refusals: [{sale: buyer/1, reason: self_referral}]\n"
    assert not differences(told(steps + expected, head.replace("id: buyer,", "id: buyer, card: shared,")))
    assert not differences(told(steps + "expect:\n  rewards: {partner: [{sale: buyer/1, amount: 10.00 USD}]}\n", head))
