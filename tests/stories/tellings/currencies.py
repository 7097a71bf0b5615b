"""Stripe's own exchange rate: read where a program converts, kept as a fact, the same in any order (scenario 30)."""

from __future__ import annotations

from refref.core.facts import BalanceTransactionState, decode_fact
from refref.core.terms import CurrencyTerms
from stories.story import Story, pending, story


def _stripe_rates(s: Story) -> list[str]:
    """The exchange rates among the merchant's facts, in order."""
    rows = s.world.fetch(s.merchant, "select body from fact where kind = 'balance_transaction'")
    states = [decode_fact(row[0]).state for row in rows]
    return sorted(state.exchange_rate for state in states if isinstance(state, BalanceTransactionState))


@story("30-stripe-rate", has_api=True)
def stripe_s_own_rate_is_asked_for_and_kept(s: Story) -> None:
    s.sb.settle_in("usd", {"eur": "1.1172", "gbp": "1.3"})
    s.program(currency=CurrencyTerms(base="usd", conversion="daily"))
    s.affiliate("ana")
    s.buy(s.price(10_000, "eur"), "ana")
    s.wait(hours=1)
    s.buy(s.price(5_000, "usd"), "ana")
    s.buy(s.price(3_000, "gbp"))  # nobody referred it: its rate can matter to nobody
    s.end(ana=[pending(2_000, "eur"), pending(1_000)])
    assert _stripe_rates(s) == ["1.1172"]


@story("30-no-rate-needed", has_api=True)
def a_program_that_never_converts_asks_for_no_rate(s: Story) -> None:
    s.sb.settle_in("usd", {"eur": "1.1172"})
    s.affiliate("ana")
    s.buy(s.price(10_000, "eur"), "ana")
    s.end(ana=[pending(2_000, "eur")])
    assert _stripe_rates(s) == []
