"""Several currencies: fixed amounts, the day's rate, a table, a merchant's own and Stripe's own (scenarios 30, 83)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from refref.core.facts import BalanceTransactionState, decode_fact
from refref.core.terms import CurrencyTerms, RewardRule
from refref.flows.rates import import_rates
from stories.story import Story, back, pending, story


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


FIXED = RewardRule(rule_id="fixed", kind="fixed", amounts={"usd": 1_000, "eur": 900, "jpy": 1_500})
DAILY = CurrencyTerms(base="usd", conversion="daily")
# The European Central Bank on 15 January 2026: 1 EUR = 1.1624 USD = 0.8674 GBP = 146.2 ISK.


def _sell(s: Story, refcode: str, *sales: tuple[int, str]) -> list[str]:
    """One-off sales, an hour apart."""
    sessions = []
    for amount, currency in sales:
        sessions.append(s.buy(s.price(amount, currency), refcode))
        s.wait(hours=1)
    return sessions


def _take_in(s: Story, source: str, text: str) -> None:
    """The merchant takes a file of rates in."""

    async def work() -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            await import_rates(
                tx,
                s.merchant.organization_id,
                source=source,
                file_name="rates.csv",
                content=text.encode(),
                actor="system",
                now=datetime.now(UTC),
            )

    s.deliver()
    s.world.run(work())


@story("83")
def fixed_amounts_per_currency_and_one_that_is_missing(s: Story) -> None:
    s.program(rules=(FIXED,))
    s.program("daily", rules=(FIXED,), currency=DAILY)
    s.affiliate("ana")
    s.affiliate("bea", program="daily")
    sales = ((5_000, "usd"), (5_000, "eur"), (5_000, "jpy"), (5_000, "gbp"))
    _sell(s, "ana", *sales)
    _sell(s, "bea", *sales)
    fixed = [pending(1_000), pending(900, "eur"), pending(1_500, "jpy")]
    # 10.00 USD x 0.8674 / 1.1624 = 7.4621 GBP
    s.end(ana=fixed, bea=[*fixed, pending(746, "gbp")], refused=["no_amount_for_currency"])


@story("83-table")
def a_fixed_table_says_what_a_currency_costs(s: Story) -> None:
    s.program(rules=(FIXED,), currency=CurrencyTerms(base="usd", conversion="table", table={"gbp": "1.25"}))
    s.affiliate("ana")
    _sell(s, "ana", (5_000, "gbp"), (5_000, "chf"))
    s.end(ana=[pending(800, "gbp")], refused=["no_rate"])


@story("83-special-currencies")
def amounts_that_the_currency_has(s: Story) -> None:
    s.program(rules=(FIXED,), currency=DAILY)
    s.affiliate("ana")
    _take_in(s, "csv", "date,from,to,rate\n2026-01-15,kwd,usd,3.25\n")
    _sell(s, "ana", (1_000_000, "isk"), (50_000, "kwd"))
    # 10.00 USD are 1257.74 ISK, a króna has no hundredths; and 3.0769 KWD, whose last digit is 0.
    s.end(ana=[pending(125_800, "isk"), pending(3_080, "kwd")], refused=[])


@story("30-paid-in-base")
def rewards_in_the_base_currency(s: Story) -> None:
    s.program(currency=CurrencyTerms(base="usd", conversion="daily", pays_in="base"))
    s.affiliate("ana")
    first, _ = _sell(s, "ana", (10_000, "eur"), (10_000, "usd"))
    s.expect(ana=[pending(2_325), pending(2_000)])  # 20.00 EUR x 1.1624 = 23.248
    s.sb.refund(first, amount=5_000)
    s.end(ana=[back(2_325, 1_163), pending(2_000)], refused=[])


@story("30-paid-in-base-by-stripe", has_api=True)
def stripe_s_own_rate_comes_before_the_day_s(s: Story) -> None:
    s.sb.settle_in("usd", {"eur": "1.1172"})
    s.program(currency=CurrencyTerms(base="usd", conversion="daily", pays_in="base"))
    s.affiliate("ana")
    s.buy(s.price(10_000, "eur"), "ana")
    s.end(ana=[pending(2_234)], refused=[])  # 20.00 EUR x 1.1172 = 22.344


@story("30-own-rates")
def a_rate_is_superseded_by_an_upload_and_by_nothing_else(s: Story) -> None:
    s.program(currency=CurrencyTerms(base="usd", conversion="daily", pays_in="base"))
    s.affiliate("ana")
    _sell(s, "ana", (50_000, "kwd"))
    s.expect(ana=[], refused=["no_rate"])
    _take_in(s, "csv", "date,from,to,rate\n2026-01-15,kwd,usd,3.25\n")
    s.expect(ana=[pending(3_250)], refused=[])  # 10.000 KWD
    _take_in(s, "csv", "date,from,to,rate\n2026-01-16,kwd,usd,9.99\n")
    s.expect(ana=[pending(3_250)], refused=[])  # of a later day
    _take_in(s, "csv", "date,from,to,rate\n2026-01-15,kwd,usd,3.3\n")
    s.end(ana=[pending(3_300)], refused=[])


@story("30-not-yet-known")
def a_payment_waits_for_the_rate_of_its_day(s: Story) -> None:
    s.program(currency=CurrencyTerms(base="usd", conversion="daily", pays_in="base"))
    s.affiliate("ana")
    s.wait(months=240)  # beyond any history that is installed
    day = datetime.fromtimestamp(s.sb.now, UTC).date()
    s.buy(s.price(10_000, "eur"), "ana")
    s.expect(ana=[])
    _take_in(s, "ecb", f"Date,USD,GBP,\n{day},1.5,0.8,\n")
    s.expect(ana=[pending(3_000)], refused=[])
    _take_in(s, "ecb", f"Date,USD,GBP,\n{day + timedelta(days=1)},9,9,\n{day},1.5,0.8,\n")
    s.end(ana=[pending(3_000)], refused=[])
