"""Estimates: balances of several currencies as one sum in a display currency. Never booked, always marked as such."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import msgspec

from refref.core.rates import Rate, RateBook, convert, decimal_text


class Estimate(msgspec.Struct, frozen=True):
    """About how much the balances come to. `rates`: those used, by currency; `left_out`: currencies without one."""

    amount_minor: int
    currency: str
    rates: tuple[Rate, ...]
    left_out: tuple[str, ...]


def estimate_total(balances: Mapping[str, int], currency: str, book: RateBook, day: date) -> Estimate:
    """The balances (minor units by currency) in one currency, at the newest rates that are known on a day."""
    total = 0
    rates: list[Rate] = []
    left_out: list[str] = []
    for source, amount_minor in sorted(balances.items()):
        if source == currency:
            total += amount_minor
        elif amount_minor:
            rate = book.latest(source, currency, day)
            if isinstance(rate, Rate):
                total += convert(amount_minor, rate)
                rates.append(rate)
            else:
                left_out.append(source)
    return Estimate(total, currency, tuple(rates), tuple(left_out))


_ORIGINS = {"ecb": "European Central Bank", "csv": "your own rate", "stripe": "Stripe's rate", "table": "fixed table"}


def present_rate(rate: Rate) -> str:
    """A rate in words: `1 GBP = 1.33989 USD, European Central Bank via EUR, 30 Oct 2026`."""
    origin = _ORIGINS.get(rate.origin, "the same currency")
    via = f" via {rate.via.upper()}" if rate.via else ""
    on = f", {rate.on.day} {rate.on:%b %Y}" if rate.on and rate.origin != "same" else ""
    return f"1 {rate.source.upper()} = {decimal_text(rate)} {rate.target.upper()}, {origin}{via}{on}"
