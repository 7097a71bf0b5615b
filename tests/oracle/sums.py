"""Sums of the oracle in exact fractions: rounding, months, bases of lines, what went back, exchange. Knows no rule."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from math import floor

from oracle.worlds import Dispute, Line, Payment, Refund, World
from refref.core.terms import CurrencyTerms, Terms

_DECIMALS = {"jpy": 0, "kwd": 3, "isk": 2}
_STEPS = {"kwd": 10, "isk": 100}


def half_up(value: Fraction) -> int:
    """To the nearest whole number, halves away from zero."""
    return floor(value + Fraction(1, 2)) if value >= 0 else -floor(-value + Fraction(1, 2))


def months_later(at: int, months: int) -> int:
    """The same day and time, or the last day of a shorter month."""
    day = datetime.fromtimestamp(at, UTC)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return int(day.replace(year=year, month=month + 1, day=min(day.day, last)).timestamp())


def whole_months(start: int, at: int) -> int:
    """How many calendar months have gone by since `start`."""
    months = 0
    while months_later(start, months + 1) <= at:
        months += 1
    return months


def period_of(at: int, period: str) -> tuple[int, ...]:
    """What two instants of the same month, quarter or year (UTC) have in common."""
    day = datetime.fromtimestamp(at, UTC)
    match period:
        case "month":
            return day.year, day.month
        case "quarter":
            return day.year, (day.month - 1) // 3
        case "year":
            return (day.year,)
        case _:
            return ()


def counted_money(payment: Payment, terms: Terms) -> int:
    """What moved and counts."""
    return payment.moved if terms.counts_out_of_band else max(0, payment.moved - payment.off_stripe)


def base_of(payment: Payment, terms: Terms, lines: Sequence[Line] | None) -> int:
    """The base of some lines of a payment; None: of all of it (the only answer where its lines are not known)."""
    paid, total = counted_money(payment, terms), payment.total
    if paid <= 0 or total <= 0:
        return 0

    def net(line: Line) -> int:
        return line.net + (line.tax_inclusive + line.tax_exclusive if terms.includes_tax else 0)

    of_sale = sum(net(line) for line in payment.lines)
    # Shipping is of the sale, not of a line: it counts where no line is left out.
    if lines is None:
        of_lines = of_sale = of_sale + (payment.shipping if terms.includes_shipping else 0)
    else:
        of_lines = sum(net(line) for line in lines)
    return max(0, half_up(Fraction(min(of_lines, of_sale) * paid, total)))


def _refunds(payment: Payment) -> list[Refund]:
    return [refund for refund in payment.refunds if refund.status in ("succeeded", "pending")]


def _lost(payment: Payment) -> list[Dispute]:
    return [dispute for dispute in payment.disputes if dispute.outcome == "lost"]


def gone_of(payment: Payment, terms: Terms, lines: Sequence[Line] | None) -> Fraction:
    """The part of the base of these lines that went back: 0 to 1; 1 when all of the money went back."""
    paid, base = counted_money(payment, terms), base_of(payment, terms, lines)
    if is_whole(payment, terms):
        return Fraction(1)
    if paid <= 0 or base == 0:
        return Fraction(0)
    gone = sum((Fraction(dispute.amount, paid) for dispute in _lost(payment)), Fraction(0))
    for refund in _refunds(payment):
        if refund.line_ids:
            mine = [line for line in (payment.lines if lines is None else lines) if line.line_id in refund.line_ids]
            gone += Fraction(sum(line.net for line in mine) * paid, payment.total * base)
        else:
            gone += Fraction(refund.amount, paid)
    return min(Fraction(1), gone)


def is_whole(payment: Payment, terms: Terms) -> bool:
    """Whether all of the money that counted went back."""
    paid = counted_money(payment, terms)
    return 0 < paid <= sum(one.amount for one in _refunds(payment)) + sum(one.amount for one in _lost(payment))


def step(currency: str) -> int:
    return _STEPS.get(currency, 1)


def rate_of(world: World, terms: CurrencyTerms, source: str, target: str, at: int) -> Fraction | None:
    """Whole units of `target` for one of `source`; None: these terms convert nothing, or no rate is known."""
    if source == target:
        return Fraction(1)
    if terms.conversion == "daily":
        day = at // 86_400
        if (source, target, day) in world.rates:
            return Fraction(world.rates[source, target, day])
        if (target, source, day) in world.rates:
            return 1 / Fraction(world.rates[target, source, day])
        return None
    if terms.conversion == "table":
        prices = {terms.base: Fraction(1)} | {currency: Fraction(price) for currency, price in terms.table.items()}
        if source in prices and target in prices:
            return prices[source] / prices[target]
    return None


def exchange(amount: int, rate: Fraction, source: str, target: str) -> Fraction:
    """An amount in minor units of `target`, not rounded."""
    decimals = _DECIMALS.get(target, 2) - _DECIMALS.get(source, 2)
    return amount * rate * Fraction(10) ** decimals


def to_step(value: Fraction, currency: str) -> int:
    """Half up to what the currency has."""
    return half_up(value / step(currency)) * step(currency)


def divide(total: int, weights: Sequence[int]) -> list[int]:
    """By largest remainder: whole units first, the units left over to the largest remainders, ties to the earlier."""
    whole = sum(weights)
    if whole == 0:
        return [0 for _ in weights]
    exact = [Fraction(total * weight, whole) for weight in weights]
    parts = [floor(part) for part in exact]
    by_remainder = sorted(range(len(weights)), key=lambda n: (parts[n] - exact[n], n))
    for n in by_remainder[: total - sum(parts)]:
        parts[n] += 1
    return parts
