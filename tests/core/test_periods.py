"""Calendar periods: whole months between two instants, at the ends of months, too."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refref.core.periods import add_months, has_passed, months_between, period_end, period_start


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("start", "instant", "months"),
    [
        ("2026-01-15 10:00", "2026-01-15 10:00", 0),
        ("2026-01-15 10:00", "2026-02-15 09:59", 0),
        ("2026-01-15 10:00", "2026-02-15 10:00", 1),
        ("2026-01-15 10:00", "2027-01-15 10:00", 12),
        ("2026-01-31 10:00", "2026-02-28 09:59", 0),
        ("2026-01-31 10:00", "2026-02-28 10:00", 1),  # the last day stands for the 31st
        ("2024-01-31 10:00", "2024-02-28 10:00", 0),  # of a leap year it is the 29th
        ("2024-01-31 10:00", "2024-02-29 10:00", 1),
        ("2026-01-31 10:00", "2026-03-30 23:00", 1),
        ("2026-01-31 10:00", "2026-03-31 10:00", 2),
        ("2026-12-31 00:00", "2027-01-01 00:00", 0),
        ("2026-05-01 00:00", "2026-04-01 00:00", 0),  # before: none
    ],
)
def test_months_between(start: str, instant: str, months: int) -> None:
    assert months_between(at(start), at(instant)) == months


@settings(max_examples=300)
@given(st.integers(0, 2**31), st.integers(1, 200 * 86_400))
def test_whole_months_are_those_after_which_the_same_day_has_come(start: int, later: int) -> None:
    months = months_between(start, start + later)
    assert add_months(start, months) <= start + later < add_months(start, months + 1)


@pytest.mark.parametrize(
    ("start", "months", "instant", "expected"),
    [
        ("2026-02-01 10:00", 1, "2026-03-01 09:59", False),
        ("2026-02-01 10:00", 1, "2026-03-01 10:00", True),  # 28 days are a month
        ("2026-01-31 10:00", 1, "2026-02-28 10:00", True),
        ("2026-07-01 10:00", 1, "2026-08-01 09:59", False),  # 31 days less a minute are not
        ("2026-07-01 10:00", 1, "2026-08-01 10:00", True),
        ("2026-01-15 10:00", 12, "2027-01-15 09:59", False),
        ("2026-01-15 10:00", 12, "2027-01-15 10:00", True),
    ],
)
def test_months_have_passed_at_the_same_day_and_time(start: str, months: int, instant: str, expected: bool) -> None:
    assert has_passed(at(start), months, at(instant)) is expected


@pytest.mark.parametrize(
    ("period", "instant", "start", "end"),
    [
        ("month", "2026-02-28 23:59", "2026-02-01", "2026-03-01"),
        ("month", "2026-12-01 00:00", "2026-12-01", "2027-01-01"),
        ("quarter", "2026-03-31 23:59", "2026-01-01", "2026-04-01"),
        ("quarter", "2026-04-01 00:00", "2026-04-01", "2026-07-01"),
        ("quarter", "2026-12-31 12:00", "2026-10-01", "2027-01-01"),
        ("year", "2026-01-01 00:00", "2026-01-01", "2027-01-01"),
        ("year", "2026-12-31 23:59", "2026-01-01", "2027-01-01"),
        ("ever", "2026-07-04 12:00", "1970-01-01", None),
    ],
)
def test_calendar_periods_are_half_open(period: str, instant: str, start: str, end: str | None) -> None:
    assert period_start(period, at(instant)) == at(start)
    assert period_end(period, at(instant)) == (None if end is None else at(end))
