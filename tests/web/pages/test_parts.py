"""The parts of the pages that need no server: amounts, the trend chart, the form of terms, words and CSV cells."""

from datetime import UTC, date, datetime

import pytest

from refref.core.refusals import Refused
from refref.core.terms import Duration, RewardRule, Terms
from refref.db.reports import DayTotals
from refref.web.money_format import decimal_text, grouped_text, money_text
from refref.web.pages.chart import trend_chart
from refref.web.pages.exports import cell_text
from refref.web.pages.rendering import instant_of, plural, with_query
from refref.web.pages.terms_form import instant_of_form, read_struct, values_of
from refref.web.pages.words import account, status_of


@pytest.mark.parametrize(
    ("amount_minor", "currency", "plain", "grouped"),
    [
        (0, "usd", "0.00", "0.00"),
        (5, "usd", "0.05", "0.05"),
        (-5, "usd", "-0.05", "−0.05"),
        (123_456_789, "usd", "1234567.89", "1,234,567.89"),
        (500, "jpy", "500", "500"),
        (1_234_567, "jpy", "1234567", "1,234,567"),
        (500, "isk", "5.00", "5.00"),
        (500, "UGX", "5.00", "5.00"),
        (5_120, "kwd", "5.120", "5.120"),
        (-1_234_567, "kwd", "-1234.567", "−1,234.567"),
    ],
)
def test_amounts(amount_minor: int, currency: str, plain: str, grouped: str) -> None:
    assert decimal_text(amount_minor, currency) == plain
    assert grouped_text(amount_minor, currency) == grouped
    assert money_text(amount_minor, currency) == f"{grouped}\u00a0{currency.upper()}"


def test_the_chart_has_every_day_and_a_round_scale() -> None:
    days = [
        DayTotals(date(2026, 1, 2), "usd", 18_700, 1_870),
        DayTotals(date(2026, 1, 2), "eur", 99_999, 1),
        DayTotals(date(2026, 1, 4), "usd", 9_350, 0),
    ]
    chart = trend_chart(days, "usd", date(2026, 1, 1), date(2026, 1, 5))
    assert [bar.day.day for bar in chart.bars] == [1, 2, 3, 4, 5]
    assert chart.scale == ("200.00", "100.00", "0.00")
    assert [bar.referred_height for bar in chart.bars] == ["0.00", "93.50", "0.00", "46.75", "0.00"]
    assert chart.bars[1].earned_height == "9.35"
    assert chart.bars[1].referred_top == "6.50"


def test_a_long_period_has_a_bar_per_week() -> None:
    days = [DayTotals(date(2026, 1, day), "usd", 100, 10) for day in (1, 7, 8)]
    chart = trend_chart(days, "usd", date(2026, 1, 1), date(2026, 12, 31))
    assert len(chart.bars) == 53
    assert [(bar.day.day, bar.referred_minor, bar.earned_minor) for bar in chart.bars[:2]] == [
        (1, 200, 20),
        (8, 100, 10),
    ]


def test_a_chart_without_money_has_no_scale() -> None:
    assert trend_chart([], "usd", date(2026, 1, 1), date(2026, 1, 1)).scale == ()


TERMS = [
    Terms(),
    Terms(
        rules=(RewardRule("commission", on="first", kind="fixed", amounts={"jpy": 500}),),
        duration=Duration("forever", 12),
    ),
    Terms(
        rules=(RewardRule("commission", on="recurring", rate_bps=1_250),),
        duration=Duration("payments", 3),
        hold_days=0,
        attribution_window_days=1,
        products=("prod_a", "price_b"),
        includes_tax=True,
        includes_shipping=True,
        restart="new_cycle",
    ),
    Terms(
        rules=(
            RewardRule("commission", kind="fixed", amounts={"kwd": 5_120, "usd": 1_000}),
            RewardRule("more", rate_bps=1),
        )
    ),
]


@pytest.mark.parametrize("terms", TERMS)
def test_terms_come_back_from_their_form(terms: Terms) -> None:
    faults: dict[str, str] = {}
    assert read_struct(values_of(terms), Terms(), faults) == terms
    assert faults == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rules.0.rate_bps", "a lot"),
        ("rules.0.rate_bps", "12.345"),
        ("rules.0.rate_bps", "NaN"),
        ("rules.0.rate_bps", "1e999999"),
        ("rules.0.amounts", "1e9 USD"),
        ("rules.0.on", ""),
        ("hold_days", "-1"),
        ("hold_days", "٣"),
        ("hold_days", ""),
        ("duration.unit", "years"),
        ("starts_at", "2026-02-30T00:00"),
        ("currency.table", "1.27"),
    ],
)
def test_a_wrong_field_of_terms_is_named(name: str, value: str) -> None:
    faults: dict[str, str] = {}
    read_struct({**values_of(Terms()), name: value}, Terms(), faults)
    assert list(faults) == [name]


def test_a_day_of_the_form_is_midnight_utc() -> None:
    assert instant_of_form({"effective_on": "2026-03-01"}) == datetime(2026, 3, 1, tzinfo=UTC)
    assert instant_of_form({}) is None
    with pytest.raises(Refused):
        instant_of_form({"effective_on": "tomorrow"})


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        (3, "3"),
        ("-12.50", "-12.50"),
        ("=1+1", "'=1+1"),
        ("+49", "+49"),
        ("@sample", "'@sample"),
        ("-sample", "'-sample"),
        ("\t=1", "'\t=1"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    ],
)
def test_no_cell_becomes_a_formula(cell: str | int | datetime | None, text: str) -> None:
    assert cell_text(cell) == text


def test_a_status_says_when_it_changes() -> None:
    until = datetime(2026, 12, 24, tzinfo=UTC)
    assert status_of("pending", until).change == "until 24 Dec 2026"
    assert status_of("payable", until).change == "since 24 Dec 2026"
    assert status_of("held", until).change == "until a dispute or a person decides"


def test_small_words() -> None:
    assert account("pending:ptc_1") == "pending"
    assert account("expense:prg_1") == "your expense"
    assert plural(1, "payment") == "1 payment"
    assert plural(1_204, "payment") == "1,204 payments"
    assert with_query("/rewards", {"q": "a b", "status": ""}) == "/rewards?q=a+b"
    assert instant_of("2026-01-02T00:00:00Z") == instant_of(1_767_312_000) == datetime(2026, 1, 2, tzinfo=UTC)
