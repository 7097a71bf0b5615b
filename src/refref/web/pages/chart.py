"""Geometry of the trend chart: one bar per day, drawn by the template as SVG rectangles in a 100-high box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from refref.db.reports import DayTotals
from refref.web.money_format import grouped_text

HEIGHT = 100
_DAY_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """One day. Heights in hundredths of the plot, as text with up to two decimals."""

    day: date
    x: int
    referred_minor: int
    earned_minor: int
    referred_height: str
    earned_height: str
    referred_top: str
    earned_top: str


@dataclass(frozen=True, slots=True)
class Chart:
    currency: str
    width: int
    day_width: int
    bars: tuple[Bar, ...]
    scale: tuple[str, ...]  # labels from the top down


def trend_chart(days: Sequence[DayTotals], currency: str, first: date, last: date) -> Chart:
    """The chart of one currency from `first` to `last`, both included; days without payments have no height."""
    by_day = {row.day: row for row in days if row.currency == currency}
    top = _round_up(max((row.referred_minor for row in by_day.values()), default=0))
    bars = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        row = by_day.get(day) or DayTotals(day, currency, 0, 0)
        referred, earned = _hundredths(row.referred_minor, top), _hundredths(row.earned_minor, top)
        bars.append(
            Bar(
                day,
                number * _DAY_WIDTH,
                row.referred_minor,
                row.earned_minor,
                _decimal(referred),
                _decimal(earned),
                _decimal(HEIGHT * 100 - referred),
                _decimal(HEIGHT * 100 - earned),
            )
        )
    scale = tuple(grouped_text(value, currency) for value in (top, top // 2, 0)) if top else ()
    return Chart(currency, len(bars) * _DAY_WIDTH, _DAY_WIDTH, tuple(bars), scale)


def _round_up(amount: int) -> int:
    """The next round number (two leading digits, even), so that the scale reads well."""
    if amount <= 0:
        return 0
    step: int = max(2, 10 ** max(0, len(str(amount)) - 2) * 2)
    return -(-amount // step) * step


def _hundredths(amount: int, top: int) -> int:
    return min(HEIGHT * 100, amount * HEIGHT * 100 // top) if top else 0


def _decimal(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"
