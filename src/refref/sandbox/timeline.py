"""Instants in unix seconds (UTC) and billing periods."""

import calendar
from datetime import UTC, datetime, timedelta

DAY = 86_400


def instant(value: int | str | datetime) -> int:
    """Unix seconds of an instant given as seconds, ISO text or an aware datetime."""
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return int(moment.timestamp())


def months_after(start: int, months: int) -> int:
    """The same day of the month, `months` later; the last day of a shorter month (31 January + 1 = 28 February)."""
    moment = datetime.fromtimestamp(start, UTC)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


def period_end(anchor: int, start: int, interval: str, count: int) -> int:
    """End of the period that starts at `start`, on the day of the month of `anchor`."""
    if interval in ("day", "week"):
        days = count * (7 if interval == "week" else 1)
        return int((datetime.fromtimestamp(start, UTC) + timedelta(days=days)).timestamp())
    step = count * (12 if interval == "year" else 1)
    passed = 0
    while months_after(anchor, passed) <= start:
        passed += step
    return months_after(anchor, passed)
