"""Exchange rates: which holds for a pair on a day, and exact conversion with it. docs/currencies.md tells the rules.

Rates are exact: a decimal, or a quotient of two where the way leads over a third currency; never a float. A book is
immutable; the same book gives the same answer for ever, and rates of later days change none that was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from math import gcd
from typing import Literal, Protocol

import msgspec

from refref.core.ecb import EURO, EcbHistory
from refref.core.facts import BalanceTransactionState, ChargeState, Fact
from refref.core.money import round_half_up, round_to_step, wire_exponent

LOOK_BACK_DAYS = 7  # the longest gap between two days of the bank's is five: Easter, or Christmas beside a weekend
Origin = Literal["ecb", "csv", "stripe", "table", "same"]  # same: nothing to exchange
_REMEMBERED = 200_000  # pairs times days: fifty pairs for ten years
DECIMAL = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)


class Rate(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one whole unit of `source` costs in whole units of `target`, and where that is from.

    `rate` is exact: `1.1172`, or a quotient `0.8338/1.1172` where it was crossed or turned around. `on`: the day of
    the rate, None in a table; `via`: the currency between; `upload_no`: the upload that gave it, 0 for the bundled
    history.
    """

    source: str
    target: str
    rate: str
    on: date | None
    origin: Origin
    via: str = ""
    upload_no: int = 0


class Missing(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Why there is no rate. `rate_not_yet_known`: a newer history will have it, so what needs it waits; `no_rate`: no
    source has one, and only a merchant's own rate will help."""

    source: str
    target: str
    day: date
    reason: Literal["no_rate", "rate_not_yet_known"]
    sentence: str


class Rates(Protocol):
    """Anything that knows rates: the book of the day's rates, or a program's own table."""

    def rate(self, source: str, target: str, day: date) -> Rate | Missing: ...


Given = tuple[str, int]  # a merchant's rate with the number of the upload that gave it


@dataclass(frozen=True, slots=True)
class RateBook:
    """The rates of one organization: the bank's history, and the merchant's own as pair -> day (ordinal) -> rate."""

    ecb: EcbHistory
    given: Mapping[tuple[str, str], Mapping[int, Given]] = field(default_factory=dict)
    _found: dict[tuple[str, str, date], Rate | Missing] = field(default_factory=dict, compare=False, repr=False)

    def rate(self, source: str, target: str, day: date) -> Rate | Missing:
        """The rate of a day: of the latest day, up to LOOK_BACK_DAYS before, that has one; the merchant's own first.

        While the bank's rates of the days up to `day` are not known, none of an earlier day is taken in their place:
        it would change when they come. Currencies are three lower-case letters.
        """
        key = (source, target, day)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[key] = self._look(source, target, day)
        return found

    def latest(self, source: str, target: str, day: date) -> Rate | Missing:
        """The newest rate that is known on a day, however old: for estimates alone."""
        days = {min(day, self.ecb.last_day)}
        for pair in ((source, target), (target, source)):
            days.update(date.fromordinal(own) for own in self.given.get(pair, ()) if own <= day.toordinal())
        newest_first = sorted(days, reverse=True)
        found = (self._search(source, target, newest, LOOK_BACK_DAYS) for newest in newest_first)
        return next((rate for rate in found if rate is not None), None) or self._no_rate(source, target, day)

    def _look(self, source: str, target: str, day: date) -> Rate | Missing:
        if source == target:
            return Rate(source, target, "1", day, "same")
        found = self._search(source, target, day, 0)
        if found is not None:
            return found
        has_bank = self.ecb.has_currency(source) and self.ecb.has_currency(target)
        if has_bank and not self.ecb.is_known(day.toordinal()):
            sentence = (
                f"The rates are known up to {self.ecb.last_day}; that of {day} is not there yet. Upload a newer "
                "history of the European Central Bank, or a rate of your own."
            )
            return Missing(source, target, day, "rate_not_yet_known", sentence)
        return self._search(source, target, day, LOOK_BACK_DAYS) or self._no_rate(source, target, day)

    def _search(self, source: str, target: str, day: date, days_back: int) -> Rate | None:
        first = day.toordinal()
        for ordinal in range(first, first - days_back - 1, -1):
            found = self._own(source, target, ordinal) or self._bank(source, target, ordinal)
            if found is not None:
                return found
        return None

    def _own(self, source: str, target: str, day: int) -> Rate | None:
        straight = self.given.get((source, target), {}).get(day)
        if straight is not None:
            return Rate(source, target, straight[0], date.fromordinal(day), "csv", "", straight[1])
        turned = self.given.get((target, source), {}).get(day)
        if turned is not None:
            return Rate(source, target, f"1/{turned[0]}", date.fromordinal(day), "csv", "", turned[1])
        return None

    def _bank(self, source: str, target: str, day: int) -> Rate | None:
        bought, sold = self.ecb.price(target, day), self.ecb.price(source, day)
        if bought is None or sold is None:
            return None
        text = bought[0] if source == EURO else f"{bought[0]}/{sold[0]}"
        via = "" if EURO in (source, target) else EURO
        return Rate(source, target, text, date.fromordinal(day), "ecb", via, max(bought[1], sold[1]))

    def _no_rate(self, source: str, target: str, day: date) -> Missing:
        sentence = (
            f"No source has a rate from {source.upper()} to {target.upper()} on {day} or in the {LOOK_BACK_DAYS} days "
            "before. Upload a rate of your own for that day."
        )
        return Missing(source, target, day, "no_rate", sentence)


@dataclass(frozen=True, slots=True)
class TableRates:
    """A fixed table: `prices[x]` is what one whole unit of x costs in `base` (exact decimals)."""

    base: str
    prices: Mapping[str, str]

    def rate(self, source: str, target: str, day: date) -> Rate | Missing:
        """The rate of the table, the same on every day; two currencies beside the base are crossed over it."""
        sold = "1" if source == self.base else self.prices.get(source)
        bought = "1" if target == self.base else self.prices.get(target)
        if sold is None or bought is None:
            lacking = source if sold is None else target
            sentence = f"The table of the terms has no rate for {lacking.upper()}."
            return Missing(source, target, day, "no_rate", sentence)
        via = "" if self.base in (source, target) else self.base
        return Rate(source, target, sold if target == self.base else f"{sold}/{bought}", None, "table", via)


def stripe_rate(facts: Iterable[Fact], sale_currency: str, source: str, target: str) -> Rate | None:
    """The rate at which Stripe itself exchanged a sale's money, where its balance transaction is among the sale's facts
    and the pair is the same, or turned around; of several transactions the first."""
    known = {fact.stripe_id: fact for fact in facts}
    found: list[tuple[int, str, BalanceTransactionState, int | None]] = []
    for fact in known.values():
        state = fact.state
        if isinstance(state, BalanceTransactionState) and state.exchange_rate:
            charges = [known[link].state for link in fact.links if link in known]
            charged = next((charge.amount for charge in charges if isinstance(charge, ChargeState)), None)
            found.append((state.created_at, fact.stripe_id, state, charged))
    for created_at, _, state, charged in sorted(found, key=lambda one: one[:2]):
        if {source, target} == {sale_currency, state.currency}:
            rate = _of_whole_units(state, sale_currency, charged)
            text = rate if source == sale_currency else f"1/{rate}"
            return Rate(source, target, text, day_of(created_at), "stripe")
    return None


def _of_whole_units(transaction: BalanceTransactionState, sale_currency: str, charged: int | None) -> str:
    """Stripe's rate as one of whole units.

    Its reference says that `amount` times the rate is `amount`: a rate of minor units. Where the two currencies have
    unlike decimals the amounts themselves tell whether it is one, for the two readings are a factor of ten apart.
    """
    shift = wire_exponent(sale_currency) - wire_exponent(transaction.currency)
    written = transaction.exchange_rate
    if shift == 0:
        return written
    if charged and transaction.amount:
        numerator, denominator = ratio(written)
        as_minor = abs(round_half_up(charged * numerator, denominator) - transaction.amount)
        as_whole = abs(
            round_half_up(charged * numerator * 10 ** max(-shift, 0), denominator * 10 ** max(shift, 0))
            - transaction.amount
        )
        if as_whole < as_minor:
            return written
    return format(Decimal(written).scaleb(shift), "f")


def convert(amount_minor: int, rate: Rate) -> int:
    """An amount of `rate.source` in minor units of `rate.target`, rounded once, half up, to what that currency has."""
    numerator, denominator = ratio(rate.rate)
    shift = wire_exponent(rate.target) - wire_exponent(rate.source)
    if shift >= 0:
        numerator *= 10**shift
    else:
        denominator *= 10**-shift
    return round_to_step(amount_minor * numerator, denominator, rate.target)


def day_of(instant_s: int) -> date:
    """The UTC day of an instant in seconds."""
    return datetime.fromtimestamp(instant_s, UTC).date()


@lru_cache(maxsize=4096)
def ratio(text: str) -> tuple[int, int]:
    """An exact rate as (numerator, denominator), both positive. Raises ValueError for anything else."""
    above, _, below = text.partition("/")
    numerator, denominator = _whole(above)
    if below:
        under, over = _whole(below)
        numerator, denominator = numerator * over, denominator * under
    if numerator <= 0 or denominator <= 0:
        raise ValueError(f"{text!r} is not a positive rate")
    shared = gcd(numerator, denominator)
    return numerator // shared, denominator // shared


def decimal_text(rate: Rate | str, digits: int = 6) -> str:
    """A rate for people: a decimal with so many significant digits, half up; an exact one that is shorter as it is."""
    text = rate if isinstance(rate, str) else rate.rate
    numerator, denominator = ratio(text)
    places = 0
    while numerator * 10**places < denominator * 10 ** (digits - 1):
        places += 1
    scaled = (2 * numerator * 10**places + denominator) // (2 * denominator)
    whole = str(scaled).rjust(places + 1, "0")
    return f"{whole[:-places]}.{whole[-places:]}".rstrip("0").rstrip(".") if places else whole


def _whole(text: str) -> tuple[int, int]:
    whole, _, decimals = text.partition(".")
    return int(whole + decimals), 10 ** len(decimals)
