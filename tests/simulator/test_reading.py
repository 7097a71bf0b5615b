"""Wrong files: every fault with its line, its field and the remedy, and as many at once as can be told."""

from __future__ import annotations

import pytest

from refref.core.placed_file import DocumentRefused, PlacedFault
from refref.simulator.reading import fault_lines, read_story
from simulator.telling import HEAD, told

BUY = "happens:\n  - {customer: buyer, buys: thing-once}\n"


def faults(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(DocumentRefused) as refused:
        read_story(text)
    return [(fault.line, fault.field, fault.sentence) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("before", "after", "line", "field", "sentence"),
    [
        ("title: A sample", "titel: A sample", 1, "titel", "do you mean title?"),
        ("title: A sample", "title: ''", 1, "title", "Give the story a title"),
        ("starts: 2026-01-15", "starts: 15.1.2026", 2, "starts", "write it such as 2026-01-15"),
        ("starts: 2026-01-15", "starts: 2026-02-30", 2, "starts", "is no date"),
        ("rate_bps: 2000", "rate_bp: 2000", 4, "terms.rules.0.rate_bp", "do you mean rate_bps?"),
        ("rate_bps: 2000", "rate_bps: 20000", 4, "terms.rules.0.rate_bps", "10000"),
        ("hold_days: 10", "hold_days: ten", 5, "terms.hold_days", "a whole number"),
        ("code: partner", "code: a partner", 7, "participants.0.code", "A code has"),
        ("50.00 USD", "50.0 USD", 10, "catalogue.products.0.prices.0.amount", "USD has 2 decimals"),
        ("50.00 USD", "50.00 UZD", 10, "catalogue.products.0.prices.0.amount", "“UZD” is no currency"),
        ("50.00 USD", "50", 10, "catalogue.products.0.prices.0.amount", "such as 12.00 USD"),
        ("50.00 USD", "-50.00 USD", 10, "catalogue.products.0.prices.0.amount", "not negative"),
        ("every: month", "every: moon", 11, "catalogue.products.1.prices.0.every", "such as 14 days or 1 month"),
        ("every: month", "every: month, trial: 1 month", 11, "catalogue.products.1.prices.0.trial", "in days"),
        ("off: 50 %", "off: half", 12, "catalogue.coupons.0.off", "such as 12.00 USD"),
        ("off: 50 %", "off: 12.5 %", 12, "catalogue.coupons.0.off", "whole per cents"),
        ("rate: 20 %", "rate: 20", 13, "catalogue.tax_rates.0.rate", "Write it as people do, such as 20 %"),
        ("by: partner", "by: partners", 15, "customers.0.referred.by", "do you mean partner?"),
        ("email: buyer@example.org", "email: buyer", 15, "customers.0.email", "such as buyer@example.com"),
        ("id: buyer", "id: partner", 15, "customers.0.id", "an id of its own"),
        ("buys: thing-once", "buys: things-once", 17, "happens.0.buys", "do you mean thing-once?"),
        ("buys: thing-once", "buys: plan-monthly", 17, "happens.0.buys", "use `subscribes`"),
        ("buys: thing-once", "subscribes: thing-once", 17, "happens.0.subscribes", "use `buys`"),
        ("buys: thing-once", "buys: {price: thing-once, quantity: 0}", 17, "happens.0.buys.quantity", "1 to"),
        ("buys: thing-once", "buys: {price: thing-once, tax: vta}", 17, "happens.0.buys.tax", "do you mean vat?"),
        ("buys: thing-once", "bys: thing-once", 17, "happens.0.bys", "do you mean buys?"),
        ("buys: thing-once", "buys: thing-once, refunds: buyer/1", 17, "happens.0.refunds", "has buys already"),
        ("customer: buyer, buys", "buys", 17, "happens.0.customer", "Say which customer"),
        ("customer: buyer, buys", "at: 2026-01-14, customer: buyer, buys", 17, "happens.0.at", "in order of time"),
        ("customer: buyer, buys", "after: 13 years, customer: buyer, buys", 17, "happens.0.after", "at most 12 years"),
        ("customer: buyer, buys: thing-once", "refunds: buyer 1", 17, "happens.0.refunds", "such as buyer/1"),
        ("customer: buyer, buys: thing-once", "refunds: byer/1", 17, "happens.0.refunds", "do you mean buyer?"),
        (
            "customer: buyer, buys: thing-once",
            "approves: buyer/singup",
            17,
            "happens.0.approves",
            "do you mean signup?",
        ),
    ],
)
def test_a_fault_says_where_and_what_to_do(before: str, after: str, line: int, field: str, sentence: str) -> None:
    text = HEAD + BUY
    assert before in text
    found = faults(text.replace(before, after, 1))
    assert found[0][:2] == (line, field), found  # others follow where a name is gone that something else uses
    assert sentence in found[0][2]


@pytest.mark.parametrize(
    ("expected", "field", "sentence"),
    [
        ("rewards: {patner: []}", "expect.rewards.patner", "do you mean partner?"),
        ("rewards: {partner: [10]}", "expect.rewards", "Give"),
        ("rewards: {partner: [10.00]}", "expect.rewards", "Give"),
        ("rewards: {partner: [{amount: 10.0 USD}]}", "expect.rewards.partner.0.amount", "USD has 2 decimals"),
        ("rewards: {partner: [{sale: buyr/1}]}", "expect.rewards.partner.0.sale", "do you mean buyer?"),
        ("rewards: {partner: [{rule: comission}]}", "expect.rewards.partner.0.rule", "do you mean commission?"),
        ("rewards: {partner: [{status: paid}]}", "expect.rewards", "Give one of"),
        ("refusals: [{sale: buyer/1, reason: cap_reach}]", "expect.refusals.0.reason", "do you mean cap_reached?"),
        ("balances: {partner: {pending: [ten]}}", "expect.balances.partner.pending.0", "such as 12.00 USD"),
        ("referred: {buyer: partners}", "expect.referred.buyer", "do you mean partner?"),
    ],
)
def test_wrong_expectations(expected: str, field: str, sentence: str) -> None:
    found = faults(f"{HEAD}{BUY}expect:\n  {expected}\n")
    assert len(found) == 1
    assert found[0][0] == 19
    assert found[0][1].startswith(field)
    assert sentence in found[0][2]


def test_several_faults_are_told_at_once_in_the_order_of_the_lines() -> None:
    text = (
        HEAD.replace("50.00 USD", "fifty")
        .replace("by: partner", "by: nobody")
        .replace("rate_bps: 2000", "rate_bp: 2000")
    )
    found = faults(text + BUY.replace("thing-once", "nothing"))
    assert [(line, field) for line, field, _ in found] == [
        (4, "terms.rules.0.rate_bp"),
        (10, "catalogue.products.0.prices.0.amount"),
        (15, "customers.0.referred.by"),
        (17, "happens.0.buys"),
    ]


def test_wrong_shapes_of_several_entries_are_told_at_once() -> None:
    steps = "happens:\n  - {bus: 1}\n  - {at: [2026]}\n  - {note: fine}\n  - {refunds: {amount: 1}}\n"
    assert [(line, field) for line, field, _ in faults(HEAD + steps)] == [
        (17, "happens.0.bus"),
        (18, "happens.1.at"),
        (20, "happens.3.refunds.amount"),
    ]


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "title: [", "a: &x 1\nb: *x\n", "title: x\ntitle: y\n", "{", "\t"])
def test_what_is_no_story_at_all(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ("  - {refunds: buyer/1}\n", "There is no sale “buyer/1”: nothing was sold to buyer by then."),
        ("  - {customer: buyer, buys: thing-once}\n  - {refunds: buyer/2}\n", "There is no sale “buyer/2” by then"),
        ("  - {customer: buyer, cancels: {}}\n", "buyer has no subscription by then."),
        ("  - {customer: buyer, buys: thing-once}\n  - {wins_dispute: buyer/1}\n", "buyer/1 is not disputed."),
        ("  - {customer: buyer, buys: thing-once}\n  - {approves: buyer/custom}\n", "Nothing was decided"),
        (
            "  - {customer: buyer, buys: thing-once}\n  - {refunds: {sale: buyer/1, amount: 60.00 USD}}\n",
            "Stripe refuses this: Refund amount (6000) is greater",
        ),
        (
            "  - {customer: buyer, buys: thing-once}\n  - {refunds: {sale: buyer/1, amount: 1.00 EUR}}\n",
            "buyer/1 is in USD, not in EUR.",
        ),
        (
            "  - {customer: buyer, buys: thing-once}\n  - {refunds: {sale: buyer/1, price: thing-once}}\n",
            "buyer/1 has no invoice",
        ),
    ],
)
def test_a_step_that_cannot_happen_is_told_with_its_line(steps: str, sentence: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        told(f"happens:\n{steps}")
    (fault,) = refused.value.faults
    assert fault.line == 16 + steps.count("\n")
    assert sentence in fault.sentence


def test_a_story_without_terms_says_so() -> None:
    head = HEAD.replace("terms:\n  rules: [{rule_id: commission, rate_bps: 2000}]\n  hold_days: 10\n", "")
    with pytest.raises(DocumentRefused) as refused:
        told(BUY, head)
    assert "Say which terms hold" in refused.value.faults[0].sentence
    named = head.replace("starts:", "program: prg_sample\nstarts:")
    with pytest.raises(DocumentRefused) as refused:
        told(BUY, named)
    assert (refused.value.faults[0].line, refused.value.faults[0].field) == (2, "program")


def test_a_story_that_never_ends_is_refused() -> None:
    head = HEAD.replace("every: month", "every: day")
    text = "happens:\n  - {customer: buyer, subscribes: plan-monthly}\n  - {after: 11 years}\n"
    with pytest.raises(DocumentRefused) as refused:
        told(text, head)
    assert "More than 5000 events" in refused.value.faults[0].sentence
    assert refused.value.faults[0].line == 18


def test_faults_as_lines_of_a_file() -> None:
    faults = (PlacedFault(3, "starts", "Give a date."), PlacedFault(9, "", "This is no YAML."))
    assert fault_lines(faults, "a.yaml") == ["a.yaml:3: starts: Give a date.", "a.yaml:9: This is no YAML."]
