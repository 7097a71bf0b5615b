"""What people write in a story, read: amounts, rates, dates and spans of time. Each refuses with the remedy."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from refref.core.currency_codes import CURRENCIES
from refref.core.money import wire_exponent
from refref.core.periods import DAY_S, add_months

NOON_S = 12 * 3600
_AMOUNT = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,3}))? ([A-Za-z]{3})", re.ASCII)
_RATE = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))? ?%", re.ASCII)
_SPAN = re.compile(r"(?:(\d{1,4}) )?(hour|day|week|month|year)s?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
LATEST_YEAR = 2100


class Unreadable(ValueError):
    """A text that is not what it should be; its sentence has the remedy."""


class Money(NamedTuple):
    """Whole minor units of a currency in three lower-case letters."""

    amount_minor: int
    currency: str


class Span(NamedTuple):
    """So many hours, days, weeks, months or years."""

    number: int
    unit: str

    def after(self, instant: int) -> int:
        """The instant so long after another; months and years are of the calendar."""
        if self.unit == "hour":
            return instant + self.number * 3600
        if self.unit in ("day", "week"):
            return instant + self.number * DAY_S * (7 if self.unit == "week" else 1)
        return add_months(instant, self.number * (12 if self.unit == "year" else 1))


class Day(NamedTuple):
    """An instant, or the beginning of a date; `is_exact` tells which."""

    instant: int
    is_exact: bool


def money(text: str) -> Money:
    """`12.00 USD`, `500 JPY`, `1.500 KWD`. Raises Unreadable."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise Unreadable(f"“{text}” is no amount: write it such as 12.00 USD.")
    sign, whole, decimals, currency = found[1], found[2], found[3] or "", found[4].lower()
    if currency not in CURRENCIES:
        raise Unreadable(f"“{found[4]}” is no currency that Stripe charges in: write it such as 12.00 USD.")
    places = wire_exponent(currency)
    if decimals and len(decimals) != places:
        example = f"12.{'0' * places}" if places else "12"
        raise Unreadable(f"{currency.upper()} has {places} decimals: write it such as {example} {currency.upper()}.")
    amount = int(whole) * 10**places + int(decimals or 0)
    return Money(-amount if sign else amount, currency)


def rate_bps(text: str) -> int:
    """`10 %`, `12.5 %` in basis points, up to 100 %. Raises Unreadable."""
    found = _RATE.fullmatch(text.strip())
    bps = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else 0
    if not 0 < bps <= 10_000:
        raise Unreadable(f"“{text}” is no rate: write it such as 10 %.")
    return bps


def span(text: str) -> Span:
    """`1 month`, `14 days`, `month`. Raises Unreadable."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise Unreadable(f"“{text}” is no span of time: write it such as 14 days or 1 month.")
    return Span(int(found[1] or 1), found[2])


def day(text: str) -> Day:
    """`2026-01-15`, or an instant such as `2026-01-15T09:30:00Z`. Raises Unreadable."""
    try:
        is_date = _DATE.fullmatch(text.strip()) is not None
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if is_date else moment
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 2000 <= moment.year <= LATEST_YEAR:
        raise Unreadable(f"“{text}” is no date: write it such as 2026-01-15, or with a time 2026-01-15T09:30:00Z.")
    return Day(int(moment.timestamp()), not is_date)


DAYS = {"day": 1, "week": 7}  # of a trial
