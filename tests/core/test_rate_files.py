"""A merchant's file of rates, line by line, and what an upload would change."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.samples import quick
from refref.core.ecb import parse_ecb
from refref.core.rate_files import (
    RateRow,
    check_csv,
    ecb_rows_by_day,
    own_rows_by_pair,
    plan_csv,
    plan_ecb,
    read_csv,
)
from refref.core.rates import Rate, RateBook
from refref.core.refusals import Refused

HISTORY = "Date,USD,GBP,\n2026-04-02,1.1,0.85,\n2026-04-01,1.09,0.84,\n"
BOOK = RateBook(parse_ecb(HISTORY))
JAN_5 = date(2026, 1, 5)


def test_a_file_is_read_as_it_stands() -> None:
    lines = ["\ufeffDate, From,To,Rate", "2026-01-05,EUR,usd,1.0842", "", "2026-01-05,kwd,usd, 3.250 "]
    text = "\r\n".join([*lines, "2026-01-05,eur,usd,1.08420", ""])
    assert read_csv(text) == (RateRow(JAN_5, "eur", "usd", "1.0842", 2), RateRow(JAN_5, "kwd", "usd", "3.250", 4))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("05.01.2026,eur,usd,1.1", "Line 2, column date: “05.01.2026” is no date; write 2026-01-31."),
        ("2026-02-30,eur,usd,1.1", "Line 2, column date: “2026-02-30” is no date; write 2026-01-31."),
        ("2026-W02-1,eur,usd,1.1", "Line 2, column date: “2026-W02-1” is no date; write 2026-01-31."),
        ("2026-01-05,eur,usd,١.٢", "Line 2, column rate: “١.٢” is no rate"),
        ("20260105,eur,usd,1.1", "Line 2, column date: “20260105” is no date; write 2026-01-31."),
        ("2026-01-05,euro,usd,1.1", "Line 2, column from: “euro” is no currency; write three letters such as usd."),
        ("2026-01-05,eur,,1.1", "Line 2, column to: nothing is no currency; write three letters such as usd."),
        ("2026-01-05,usd,USD,1.1", "Line 2, column to: the two currencies are the same."),
        ('2026-01-05,eur,usd,"1,1"', "Line 2, column rate: “1,1” is no rate; write a number above 0 with a point"),
        ("2026-01-05,eur,usd,1,1", "Line 2, column rate: 5 columns instead of 4; decimals take a point."),
        ("2026-01-05;eur;usd;1.1", "Line 2, column rate: 1 columns instead of 4; decimals take a point."),
        ("2026-01-05,eur,usd,0.000", "Line 2, column rate: “0.000” is no rate"),
        ("2026-01-05,eur,usd,-1", "Line 2, column rate: “-1” is no rate"),
        ("2026-01-05,eur,usd,1e5", "Line 2, column rate: “1e5” is no rate"),
        ("2026-01-05,eur,usd,1.1234567890123", "Line 2, column rate: “1.1234567890123” is no rate"),
    ],
)
def test_a_fault_names_its_line_and_column(line: str, fault: str) -> None:
    rows, faults = check_csv(f"date,from,to,rate\n{line}\n2026-01-06,eur,usd,1.1\n")
    assert [row.line for row in rows] == [3]
    assert [str(found)[: len(fault)] for found in faults] == [fault]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("2026-01-05,eur,usd,1.1\n", "Line 1, column date: the first line must be the heading date,from,to,rate."),
        ("date,from,to,rate\n", "a heading and no rates"),
        ("date,from,to,rate\n2026-01-05,eur,usd,1.1\n2026-01-05,eur,usd,1.2\n", "line 2 gives 1.1 for the same day"),
        ("date,from,to,rate\n" + "x,eur,usd,1.1\n" * 5, "There are 2 more faults."),
        ("date,from,to,rate\n2026-01-05,eur,usd,1.1\n" * 50_001, "at most 100000 lines"),
    ],
)
def test_a_file_with_faults_is_refused_as_a_whole(text: str, says: str) -> None:
    with pytest.raises(Refused, match=says.replace(".", r"\.")) as refused:
        read_csv(text)
    assert (refused.value.code, refused.value.field) == ("invalid_rates", "file")


def book_with(*rows: RateRow) -> RateBook:
    return RateBook(BOOK.ecb, own_rows_by_pair([(row, number) for number, row in enumerate(rows, 1)]))


def test_what_a_merchant_s_file_would_change() -> None:
    book = book_with(RateRow(JAN_5, "eur", "usd", "1.08"), RateRow(JAN_5, "gbp", "usd", "1.3"))
    rows = read_csv("date,from,to,rate\n2026-01-05,eur,usd,1.080\n2026-01-05,gbp,usd,1.31\n2026-01-06,eur,usd,1.09\n")
    plan = plan_csv(book, rows)
    assert [(row.source, row.rate) for row in plan.rows] == [("gbp", "1.31"), ("eur", "1.09")]
    assert (plan.total_count, plan.new_count, plan.changed_count) == (3, 1, 1)
    assert [(row.before, row.after) for row in plan.changed] == [("1.3", "1.31")]
    assert plan.pairs == ("eur/usd", "gbp/usd")
    assert (plan.first_touched, plan.last_touched) == (JAN_5, date(2026, 1, 13))  # a week of days may fall back on it


def test_a_file_that_is_known_changes_nothing() -> None:
    plan = plan_csv(book_with(RateRow(JAN_5, "eur", "usd", "1.08")), [RateRow(JAN_5, "eur", "usd", "1.080", 2)])
    assert plan.is_empty
    assert plan.rows == ()
    assert plan_ecb(BOOK, BOOK.ecb).is_empty


def test_a_rate_that_is_turned_around_is_doubted() -> None:
    turned, right = (
        RateRow(date(2026, 4, 2), "eur", "usd", "0.91", 2),
        RateRow(date(2026, 4, 2), "usd", "eur", "0.9", 3),
    )
    (warning,) = plan_csv(BOOK, [turned, right]).warnings
    assert warning.startswith("Line 2: 0.91 USD for one EUR is more than 10 % off the European Central Bank's 1.1 of")


def test_what_a_newer_history_would_change() -> None:
    newer = parse_ecb(
        "Date,USD,GBP,CHF,\n2026-04-07,1.12,0.83,0.95,\n2026-04-02,1.10,0.86,N/A,\n2026-04-01,1.09,0.84,N/A,\n"
    )
    plan = plan_ecb(BOOK, newer)
    assert [(f"{row.day:%m-%d}", row.target, row.rate) for row in plan.rows] == [
        ("04-02", "gbp", "0.86"), ("04-07", "chf", "0.95"), ("04-07", "gbp", "0.83"), ("04-07", "usd", "1.12"),
    ]  # fmt: skip
    assert (plan.total_count, plan.new_count, plan.changed_count) == (7, 3, 1)
    assert (plan.first_touched, plan.last_touched) == (date(2026, 4, 2), date(2026, 4, 14))


def test_a_history_that_reaches_further_touches_the_days_that_waited() -> None:
    """Nothing new but the knowledge that there is nothing: the bank was closed."""
    longer = parse_ecb(HISTORY.replace("Date,USD,GBP,\n", "Date,USD,GBP,\n2026-04-07,N/A,N/A,\n"))
    plan = plan_ecb(BOOK, longer)
    assert (plan.rows, plan.first_touched, plan.last_touched) == ((), date(2026, 4, 2), date(2026, 4, 14))


def test_the_last_upload_wins() -> None:
    rows = [(RateRow(JAN_5, "eur", "usd", "1.1"), 1), (RateRow(JAN_5, "eur", "usd", "1.2"), 3)]
    book = RateBook(BOOK.ecb.with_later(ecb_rows_by_day(rows), JAN_5))
    assert book.rate("eur", "usd", JAN_5) == Rate("eur", "usd", "1.2", JAN_5, "ecb", "", 3)
    own = RateBook(BOOK.ecb, own_rows_by_pair(rows))
    assert own.rate("eur", "usd", JAN_5) == Rate("eur", "usd", "1.2", JAN_5, "csv", "", 3)


LINES = st.text(st.sampled_from('date,fromtrusdeugbpDUSDGN/A0123456789-.\n\r"; \u0661'), max_size=80)


@quick
@given(st.one_of(st.text(max_size=60), LINES))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for heading in ("", "date,from,to,rate\n"):
        rows, faults = check_csv(heading + text)
        for row in rows:
            assert RateBook(BOOK.ecb, own_rows_by_pair([(row, 1)])).rate(row.source, row.target, row.day)
        assert all(fault.line >= 1 for fault in faults)
    for heading in ("", "Date,USD,GBP,\n", "Date,USD,GBP,\n2026-01-02,1.1,0.8,\n"):
        try:
            history = parse_ecb(heading + text)
        except Refused:
            continue
        plan_ecb(BOOK, history)
