"""Geometry of the trend chart: one bar per day or week, drawn by the template as SVG rectangles in a 100-high box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from refref.db.reports import DayTotals
from refref.web.money_format import grouped_text

HEIGHT = 100
_WIDTH = 10
_LONG = 120  # days


@dataclass(frozen=True, slots=True)
class Bar:
    """One day, or the week that begins with it. Heights in hundredths of the plot, as text with up to two decimals."""

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
    bar_width: int
    bar_days: int  # 1 or 7
    bars: tuple[Bar, ...]
    scale: tuple[str, ...]  # labels from the top down


def trend_chart(days: Sequence[DayTotals], currency: str, first: date, last: date) -> Chart:
    """The chart of one currency from `first` to `last`, both included; a bar is a day, or a week in a long period."""
    bar_days = 7 if (last - first).days >= _LONG else 1
    sums = [[0, 0] for _ in range((last - first).days // bar_days + 1)]
    for row in days:
        if row.currency == currency and first <= row.day <= last:
            bar = sums[(row.day - first).days // bar_days]
            bar[0] += row.referred_minor
            bar[1] += row.earned_minor
    top = _round_up(max(referred for referred, _ in sums))
    bars = tuple(
        _bar(first + timedelta(days=number * bar_days), number, referred, earned, top)
        for number, (referred, earned) in enumerate(sums)
    )
    scale = tuple(grouped_text(value, currency) for value in (top, top // 2, 0)) if top else ()
    return Chart(currency, len(bars) * _WIDTH, _WIDTH, bar_days, bars, scale)


def _bar(day: date, number: int, referred_minor: int, earned_minor: int, top: int) -> Bar:
    referred, earned = _hundredths(referred_minor, top), _hundredths(earned_minor, top)
    return Bar(
        day,
        number * _WIDTH,
        referred_minor,
        earned_minor,
        _decimal(referred),
        _decimal(earned),
        _decimal(HEIGHT * 100 - referred),
        _decimal(HEIGHT * 100 - earned),
    )


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
