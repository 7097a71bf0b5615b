"""What conditions look at: the quantity sold and the metadata of a sale, as a reward that is given or not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from core.samples import DAY, T0, config, customer, invoice, line
from refref.core.derive import derive
from refref.core.facts import Fact, InvoiceState, Kind, Line, PaymentIntentState, SubscriptionState
from refref.core.terms import RewardRule, Terms

NOW = T0 + 400 * DAY


def earned(condition: str, *facts: Fact) -> list[int]:
    terms = Terms(rules=(RewardRule(rule_id="ten", rate_bps=1_000, condition=condition),))
    return [reward.amount for reward in derive([customer(), *facts], config(terms), NOW).rewards]


@pytest.mark.parametrize(
    ("lines", "quantity"),
    [
        ([line(1, 900)], 1),  # a line that names none is one
        ([replace(line(1, 900), quantity=3)], 3),
        ([replace(line(1, 900), quantity=3), replace(line(2, 500), quantity=2)], 5),
        # What is credited (the time not used of the old plan), and what is free, was not sold.
        ([replace(line(1, -400), quantity=3), replace(line(2, 900), quantity=5)], 5),
        ([replace(line(1, 0), quantity=3), replace(line(2, 900), quantity=5)], 5),
    ],
)
def test_the_quantity_sold_is_that_of_charged_lines(lines: list[Line], quantity: int) -> None:
    paid = invoice(1, lines)
    assert len(earned(f"sale.quantity == {quantity}", paid)) == 1


def test_the_metadata_of_a_sale_is_that_of_its_payment_invoice_and_subscription_the_later_first() -> None:
    paid = invoice(1, [line(1, 1_000)], subscription="sub_1")
    assert isinstance(paid.state, InvoiceState)
    paid = replace(paid, state=replace(paid.state, metadata=(("a", "invoice"), ("b", "invoice"))))
    intent = PaymentIntentState("succeeded", "usd", 1_000, metadata=(("a", "payment"), ("p", "payment")))
    running = SubscriptionState("active", "usd", metadata=(("b", "subscription"), ("s", "subscription")))
    facts = [
        paid,
        Fact("pi_1", Kind.PAYMENT_INTENT, 1, T0, 0, intent, ("cus_1",)),
        Fact("sub_1", Kind.SUBSCRIPTION, 1, T0, 0, running, ("cus_1",)),
    ]
    for key, value in {"a": "invoice", "b": "subscription", "p": "payment", "s": "subscription"}.items():
        assert earned(f'sale.metadata["{key}"] == "{value}"', *facts) == [100]
        assert earned(f'sale.metadata["{key}"] == "other"', *facts) == []
