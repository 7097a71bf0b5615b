"""Money and periods: tables from Stripe's documentation and the calendar, and properties of the one rounding."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.samples import quick
from refref.core.money import currency_rule, format_amount, payout_amount, round_half_up, share, wire_exponent
from refref.core.periods import add_days, add_months


@pytest.mark.parametrize(
    ("amount", "rate_bps", "expected"),
    [
        (7, 2_000, 1), (2, 2_000, 0), (3, 2_000, 1), (15, 1_000, 2), (1, 5_000, 1), (500, 290, 15),
        (5_120, 1_000, 512), (10_000, 2_000, 2_000), (999, 2_000, 200), (0, 2_000, 0), (1, 10_000, 1),
        (2**53 + 1, 10_000, 2**53 + 1),
    ],
)  # fmt: skip
def test_share(amount: int, rate_bps: int, expected: int) -> None:
    assert share(amount, rate_bps) == expected


@quick
@given(st.integers(-(10**12), 10**12), st.integers(1, 10**9))
def test_rounding_is_to_the_nearest_and_halves_go_away_from_zero(numerator: int, denominator: int) -> None:
    rounded = round_half_up(numerator, denominator)
    exact = Fraction(numerator, denominator)
    assert abs(rounded - exact) <= Fraction(1, 2)
    if abs(rounded - exact) == Fraction(1, 2):
        assert abs(rounded) > abs(exact)
    assert round_half_up(-numerator, denominator) == -rounded


def test_a_denominator_of_nought_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        round_half_up(1, 0)


@pytest.mark.parametrize(
    ("currency", "exponent"),
    [("USD", 2), ("eur", 2), ("jpy", 0), ("krw", 0), ("clp", 0), ("isk", 2), ("ugx", 2), ("huf", 2), ("twd", 2),
     ("kwd", 3), ("bhd", 3), ("tnd", 3), ("xaf", 0), ("mga", 0)],
)  # fmt: skip
def test_wire_exponents_are_stripes(currency: str, exponent: int) -> None:
    assert wire_exponent(currency) == exponent


@pytest.mark.parametrize(
    ("amount", "currency", "paid_out"),
    [(512, "kwd", 510), (519, "jod", 510), (550, "isk", 500), (199, "ugx", 100), (12_345, "huf", 12_300),
     (12_345, "twd", 12_300), (12_345, "usd", 12_345), (7, "jpy", 7), (9, "kwd", 0)],
)  # fmt: skip
def test_payouts_are_rounded_down_to_the_step(amount: int, currency: str, paid_out: int) -> None:
    assert payout_amount(amount, currency) == paid_out
    assert payout_amount(amount, currency) % currency_rule(currency).payout_step == 0


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(9_000, "usd", "90.00 USD"), (500, "jpy", "500 JPY"), (-5_120, "kwd", "-5.120 KWD"), (5, "eur", "0.05 EUR"),
     (500, "isk", "5.00 ISK"), (0, "kwd", "0.000 KWD")],
)  # fmt: skip
def test_amounts_for_people(amount: int, currency: str, text: str) -> None:
    assert format_amount(amount, currency) == text


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        ("2026-01-31T10:00:00", 1, "2026-02-28T10:00:00"),
        ("2028-01-31T10:00:00", 1, "2028-02-29T10:00:00"),
        ("2026-01-31T10:00:00", 2, "2026-03-31T10:00:00"),
        ("2026-01-15T23:59:59", 12, "2027-01-15T23:59:59"),
        ("2024-02-29T00:00:00", 12, "2025-02-28T00:00:00"),
        ("2026-11-30T00:00:00", 3, "2027-02-28T00:00:00"),
        ("2026-05-05T05:05:05", 0, "2026-05-05T05:05:05"),
    ],
)
def test_months_end_on_the_last_day_of_a_shorter_month(start: str, months: int, expected: str) -> None:
    assert add_months(at(start), months) == at(expected)


@quick
@given(st.integers(0, 4 * 10**9), st.integers(0, 600))
def test_more_months_are_later(start: int, months: int) -> None:
    assert add_months(start, months) < add_months(start, months + 1)
    assert add_days(start, 1) - start == 86_400
