"""Calendar periods over instants in whole seconds since 1970, UTC. Intervals are half-open."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime

DAY_S = 86_400


def add_months(instant: int, months: int) -> int:
    """The same day and time `months` later; in a shorter month its last day (31 January + 1 month = 28 February)."""
    start = datetime.fromtimestamp(instant, UTC)
    index = start.year * 12 + start.month - 1 + months
    year, month = index // 12, index % 12 + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return int(start.replace(year=year, month=month, day=day).timestamp())


def add_days(instant: int, days: int) -> int:
    """`days` times 24 hours later."""
    return instant + days * DAY_S
