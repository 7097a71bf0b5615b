"""Calendar periods over instants in whole seconds since 1970, UTC. Intervals are half-open."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from functools import lru_cache

DAY_S = 86_400


def add_months(instant: int, months: int) -> int:
    """The same day and time `months` later; in a shorter month its last day (31 January + 1 month = 28 February)."""
    start = datetime.fromtimestamp(instant, UTC)
    index = start.year * 12 + start.month - 1 + months
    year, month = index // 12, index % 12 + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return int(start.replace(year=year, month=month, day=day).timestamp())


def has_passed(start: int, months: int, instant: int) -> bool:
    """Whether `months` have passed from `start` to `instant`."""
    days = (instant - start) // DAY_S
    if days < 28 * months:
        return False
    return days > 31 * months or instant >= add_months(start, months)


def add_days(instant: int, days: int) -> int:
    """`days` times 24 hours later."""
    return instant + days * DAY_S


def months_between(start: int, instant: int) -> int:
    """How many whole calendar months have passed from `start` to `instant`; 0 if less than one."""
    if instant <= start:
        return 0
    first, day, _ = _month_of_day(start // DAY_S)
    last, last_day, length = _month_of_day(instant // DAY_S)
    months = last - first
    due = min(day, length)  # on this day of the last month another month is whole
    if last_day > due or months <= 0:
        return months
    return months if last_day == due and start % DAY_S <= instant % DAY_S else months - 1


@lru_cache(maxsize=65_536)
def _month_of_day(day: int) -> tuple[int, int, int]:
    """Of a day since 1970: its month counted from year 0, which day of it, and how many that month has."""
    then = datetime.fromtimestamp(day * DAY_S, UTC)
    return then.year * 12 + then.month - 1, then.day, calendar.monthrange(then.year, then.month)[1]


def period_start(period: str, instant: int) -> int:
    """The first second of the calendar month, quarter or year (UTC) that holds `instant`; 0 for `ever`."""
    return 0 if period == "ever" else _period_start_of_day(period, instant // DAY_S)


@lru_cache(maxsize=65_536)
def _period_start_of_day(period: str, day: int) -> int:
    then = datetime.fromtimestamp(day * DAY_S, UTC)
    month = {"month": then.month, "quarter": then.month - (then.month - 1) % 3, "year": 1}[period]
    return int(datetime(then.year, month, 1, tzinfo=UTC).timestamp())


def period_end(period: str, instant: int) -> int | None:
    """The second after the period that holds `instant`; None for `ever`."""
    if period == "ever":
        return None
    return add_months(period_start(period, instant), {"month": 1, "quarter": 3, "year": 12}[period])
