"""Rates and conversion: tables that a merchant can check by hand, and the properties that keep books from drifting."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.samples import T0, quick
from refref.core.ecb import EcbHistory, parse_ecb
from refref.core.estimates import estimate_total, present_rate
from refref.core.facts import BalanceTransactionState, ChargeState, Fact, Kind, decode_fact, encode_fact, merge
from refref.core.money import currency_rule, wire_exponent
from refref.core.rates import (
    Missing,
    Rate,
    RateBook,
    TableRates,
    convert,
    decimal_text,
    ratio,
    stripe_rate,
)
from refref.core.refusals import Refused
from refref.ecb_file import bundled_history

# A Friday, the Thursday before, and the Maundy Thursday of 2026 with the Tuesday after Easter.
HISTORY = """\
Date,USD,JPY,GBP,ISK,RUB,
2026-04-07,1.12,180.5,0.84,140.2,N/A,
2026-04-02,1.1,180,0.85,141,N/A,
2026-03-27,1.08,179,0.86,142,N/A,
2026-03-26,1.07,178.25,0.87,143,90.5,
"""
BOOK = RateBook(parse_ecb(HISTORY))


def day(text: str) -> date:
    return date.fromisoformat(text)


def found(source: str, target: str, on: str, book: RateBook = BOOK) -> Rate:
    rate = book.rate(source, target, day(on))
    assert isinstance(rate, Rate), rate
    return rate


def reason(source: str, target: str, on: str, book: RateBook = BOOK) -> str:
    missing = book.rate(source, target, day(on))
    assert isinstance(missing, Missing), missing
    return missing.reason


@pytest.mark.parametrize(
    ("source", "target", "on", "rate", "of", "via"),
    [
        ("eur", "usd", "2026-03-26", "1.07", "2026-03-26", ""),
        ("usd", "eur", "2026-03-26", "1/1.07", "2026-03-26", ""),
        ("gbp", "usd", "2026-03-27", "1.08/0.86", "2026-03-27", "eur"),
        ("gbp", "usd", "2026-03-28", "1.08/0.86", "2026-03-27", "eur"),  # a Saturday has Friday's
        ("gbp", "usd", "2026-03-29", "1.08/0.86", "2026-03-27", "eur"),
        ("eur", "usd", "2026-04-03", "1.1", "2026-04-02", ""),  # Good Friday
        ("eur", "usd", "2026-04-06", "1.1", "2026-04-02", ""),  # Easter Monday
        ("eur", "usd", "2026-04-07", "1.12", "2026-04-07", ""),
        ("rub", "eur", "2026-04-02", "1/90.5", "2026-03-26", ""),  # the seventh day back
        ("eur", "eur", "2020-01-01", "1", "2020-01-01", ""),
    ],
)
def test_the_day_s_rate_or_the_last_one_before(source: str, target: str, on: str, rate: str, of: str, via: str) -> None:
    answer = found(source, target, on)
    assert (answer.rate, answer.on, answer.via, answer.upload_no) == (rate, day(of), via, 0)
    assert answer.origin == ("same" if source == target else "ecb")


@pytest.mark.parametrize(
    ("source", "target", "on", "why"),
    [
        ("eur", "usd", "2026-03-25", "no_rate"),  # before the history
        ("rub", "eur", "2026-04-03", "no_rate"),  # its last rate is eight days old
        ("kwd", "usd", "2026-03-26", "no_rate"),  # the bank never had it
        ("eur", "usd", "2026-04-08", "rate_not_yet_known"),  # after the history: it will come
        ("gbp", "usd", "2027-01-01", "rate_not_yet_known"),
        ("rub", "usd", "2026-04-08", "no_rate"),  # given up: it will not come
    ],
)
def test_why_there_is_no_rate(source: str, target: str, on: str, why: str) -> None:
    assert reason(source, target, on) == why


def test_the_weekend_after_the_last_day_needs_no_newer_history() -> None:
    friday = RateBook(parse_ecb("Date,USD\n2026-03-27,1.08\n"))
    assert found("eur", "usd", "2026-03-29", friday).on == day("2026-03-27")
    assert reason("eur", "usd", "2026-03-30", friday) == "rate_not_yet_known"


def test_a_merchant_s_own_rate_is_first_on_its_day_and_only_there() -> None:
    own = {
        ("eur", "usd"): {day("2026-03-26").toordinal(): ("1.5", 3)},
        ("kwd", "usd"): {day("2026-03-20").toordinal(): ("3.25", 4)},
    }
    book = RateBook(BOOK.ecb, own)
    mine = found("eur", "usd", "2026-03-26", book)
    assert (mine.rate, mine.origin, mine.upload_no) == ("1.5", "csv", 3)
    assert found("usd", "eur", "2026-03-26", book).rate == "1/1.5"
    assert found("eur", "usd", "2026-03-27", book).origin == "ecb"
    assert found("kwd", "usd", "2026-03-27", book).rate == "3.25"  # a week old, and nobody else has one
    assert reason("kwd", "usd", "2026-03-28", book) == "no_rate"


AMOUNTS = [
    # amount, from, to, rate, expected
    (10_000, "eur", "usd", "1.1172", 11_172),
    (1, "eur", "usd", "1.5", 2),  # 1.5 cents: half up
    (-1, "eur", "usd", "1.5", -2),
    (333, "usd", "eur", "1/1.1172", 298),  # 298.067…
    (500, "jpy", "usd", "1.1172/175.68", 318),  # 500 JPY are 3.1796 USD
    (1_000, "usd", "jpy", "175.68/1.1172", 1_573),  # 10.00 USD are 1572.5 JPY
    (5_120, "kwd", "usd", "3.25", 1_664),  # 5.120 KWD are 16.64 USD
    (1_664, "usd", "kwd", "1/3.25", 5_120),
    (1_000, "usd", "kwd", "1/3.25", 3_080),  # 3.0769: the last digit is 0
    (500, "isk", "eur", "1/140.2", 4),  # 5 ISK (500 on the wire) are 3.57 cents
    (1_000, "eur", "isk", "140.2", 140_200),  # 10.00 EUR are 1402 ISK
    (101, "eur", "isk", "140.2", 14_200),  # 141.602: a króna has no hundredths
    (100, "usd", "ugx", "3700.5", 370_100),  # 3700.5: half up to whole shillings
    (0, "eur", "usd", "1.1172", 0),
    (10**15, "jpy", "kwd", "0.002", 2 * 10**15),
]


@pytest.mark.parametrize(("amount", "source", "target", "rate", "expected"), AMOUNTS)
def test_amounts_are_converted_exactly_with_the_exponents_of_the_wire(
    amount: int, source: str, target: str, rate: str, expected: int
) -> None:
    assert convert(amount, Rate(source, target, rate, None, "table")) == expected


CURRENCIES = st.sampled_from(["usd", "eur", "jpy", "isk", "kwd", "huf", "ugx", "gbp"])
RATES = st.builds(lambda whole, digits: f"{whole}.{digits:06d}", st.integers(0, 99_999), st.integers(1, 999_999))


@quick
@given(st.integers(-(10**12), 10**12), CURRENCIES, CURRENCIES, RATES, RATES)
def test_conversion_is_the_nearest_amount_that_the_currency_has(
    amount: int, source: str, target: str, above: str, below: str
) -> None:
    step = currency_rule(target).charge_step
    exact = Fraction(amount) * Fraction(above) / Fraction(below)
    exact = exact * Fraction(10) ** (wire_exponent(target) - wire_exponent(source))
    converted = convert(amount, Rate(source, target, f"{above}/{below}", None, "table"))
    assert converted % step == 0
    assert abs(converted - exact) <= Fraction(step, 2)
    assert convert(-amount, Rate(source, target, f"{above}/{below}", None, "table")) == -converted


@quick
@given(
    st.sampled_from(["usd", "jpy", "gbp", "isk", "eur"]),
    st.sampled_from(["usd", "jpy", "gbp", "isk", "eur"]),
    st.dates(date(2026, 3, 20), date(2026, 4, 5)),
)
def test_there_and_back_is_exactly_one(source: str, target: str, on: date) -> None:
    there, back = BOOK.rate(source, target, on), BOOK.rate(target, source, on)
    assert isinstance(there, Rate) == isinstance(back, Rate)
    if isinstance(there, Rate) and isinstance(back, Rate):
        assert Fraction(*ratio(there.rate)) * Fraction(*ratio(back.rate)) == 1
        assert there.on == back.on


@quick
@given(
    st.lists(
        st.tuples(st.dates(date(2026, 3, 2), date(2026, 3, 31)), st.integers(1, 99)),
        min_size=1,
        unique_by=lambda r: r[0],
    ),
    st.dates(date(2026, 3, 1), date(2026, 4, 5)),
    st.integers(1, 31),
)
def test_rates_of_later_days_change_no_answer_that_was_given(
    rates: list[tuple[date, int]], asked: date, known_up_to: int
) -> None:
    """What a history says of a day it says for ever, however far later histories reach."""
    working = [(on, price) for on, price in rates if on.weekday() < 5] or [(date(2026, 3, 2), 1)]
    last = date(2026, 3, known_up_to)
    lines = {on.toordinal(): f"{on},{price}" for on, price in working}
    early = {on: line for on, line in lines.items() if on <= last.toordinal()} or dict([min(lines.items())])
    before = RateBook(EcbHistory({"usd": 1}, early, date.fromordinal(max(early)))).rate("eur", "usd", asked)
    after = RateBook(EcbHistory({"usd": 1}, lines, date.fromordinal(max(lines)))).rate("eur", "usd", asked)
    if isinstance(before, Rate) or before.reason == "no_rate":
        assert after == before


def test_a_later_history_adds_and_corrects() -> None:
    tuesday, wednesday = day("2026-04-07").toordinal(), day("2026-04-08").toordinal()
    later = {tuesday: {"gbp": ("0.8401", 2)}, wednesday: {"usd": ("1.13", 2), "chf": ("0.92", 2)}}
    book = RateBook(BOOK.ecb.with_later(later, day("2026-04-08")))
    assert found("eur", "usd", "2026-04-08", book) == Rate("eur", "usd", "1.13", day("2026-04-08"), "ecb", "", 2)
    assert found("gbp", "usd", "2026-04-07", book) == Rate(
        "gbp", "usd", "1.12/0.8401", day("2026-04-07"), "ecb", "eur", 2
    )
    assert found("usd", "chf", "2026-04-08", book).rate == "0.92/1.13"
    assert found("eur", "jpy", "2026-04-08", book).on == day("2026-04-07")  # the newer file has no JPY that day


@pytest.mark.parametrize(
    ("source", "target", "rate", "via"),
    [("gbp", "usd", "1.27", ""), ("usd", "gbp", "1/1.27", ""), ("gbp", "jpy", "1.27/0.0066", "usd")],
)
def test_a_fixed_table(source: str, target: str, rate: str, via: str) -> None:
    table = TableRates("usd", {"gbp": "1.27", "jpy": "0.0066"})
    assert table.rate(source, target, day("2026-01-01")) == Rate(source, target, rate, None, "table", via)


def test_a_table_says_what_it_lacks() -> None:
    missing = TableRates("usd", {"gbp": "1.27"}).rate("gbp", "chf", day("2026-01-01"))
    assert isinstance(missing, Missing)
    assert missing.sentence == "The table of the terms has no rate for CHF."


def balance_transaction(number: int, currency: str, rate: str, at: int = T0) -> Fact:
    state = BalanceTransactionState(currency, 1_100, rate, at)
    return Fact(f"txn_{number}", Kind.BALANCE_TRANSACTION, 0, at, 0, state, (f"ch_{number}",))


def test_stripe_s_own_rate_is_that_of_the_sale_s_balance_transaction() -> None:
    facts = [
        balance_transaction(2, "usd", "1.2", T0 + 1),
        balance_transaction(1, "usd", "1.1"),
        balance_transaction(3, "eur", ""),
    ]
    assert stripe_rate(facts, "eur", "eur", "usd") == Rate("eur", "usd", "1.1", day("2026-01-15"), "stripe")
    assert stripe_rate(facts, "eur", "usd", "eur") == Rate("usd", "eur", "1/1.1", day("2026-01-15"), "stripe")
    assert stripe_rate(facts, "eur", "eur", "gbp") is None
    assert stripe_rate([balance_transaction(3, "usd", "")], "usd", "usd", "usd") is None


@pytest.mark.parametrize(
    ("charged", "currency", "settled", "settled_in", "written", "rate"),
    [
        (1_000, "eur", 1_234, "usd", "1.234", "1.234"),  # the example of Stripe's reference
        (500, "jpy", 318, "usd", "0.636", "0.00636"),  # minor units, as the reference says
        (500, "jpy", 318, "usd", "0.00636", "0.00636"),  # whole units: the amounts tell
        (1_000, "usd", 1_572, "jpy", "1.5725", "157.25"),
        (1_000, "usd", 1_572, "jpy", "157.25", "157.25"),
        (5_120, "kwd", 1_664, "usd", "0.325", "3.25"),
        (5_120, "kwd", 1_664, "usd", "3.25", "3.25"),
        (None, "jpy", 318, "usd", "0.636", "0.00636"),  # the charge is not known: as the reference says
    ],
)
def test_stripe_s_rate_is_told_of_whole_units(
    charged: int | None, currency: str, settled: int, settled_in: str, written: str, rate: str
) -> None:
    state = BalanceTransactionState(settled_in, settled, written, T0)
    facts = [Fact("txn_1", Kind.BALANCE_TRANSACTION, 0, T0, 0, state, ("ch_1",))]
    if charged is not None:
        facts.append(Fact("ch_1", Kind.CHARGE, 1, T0, 0, ChargeState("succeeded", currency, charged, 0, T0)))
    assert stripe_rate(facts, currency, currency, settled_in) == Rate(
        currency, settled_in, rate, day("2026-01-15"), "stripe"
    )


def test_a_balance_transaction_merges_like_every_fact() -> None:
    told, seen = balance_transaction(1, "usd", "1.1"), Fact("txn_1", Kind.REF)
    assert merge(told, seen) == merge(seen, told) == merge(merge(told, seen), told) == told
    assert decode_fact(encode_fact(told)) == told


@pytest.mark.parametrize("text", ["", "0", "0.0", "1/0", "-1", "1.1.1", "a"])
def test_what_is_no_positive_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int's own sentences differ
        ratio(text)


@pytest.mark.parametrize(
    ("rate", "shown"),
    [("1.1172", "1.1172"), ("1.1172/0.8338", "1.33989"), ("1/175.68", "0.00569217"), ("20275.17", "20275.2"),
     ("1/2", "0.5"), ("372274", "372274"), ("2/3", "0.666667"), ("999999.96", "1000000")],
)  # fmt: skip
def test_rates_for_people(rate: str, shown: str) -> None:
    assert decimal_text(rate) == shown


def test_an_estimate_names_its_rates_and_what_it_leaves_out() -> None:
    estimate = estimate_total(
        {"usd": 10_000, "eur": 5_000, "gbp": -100, "kwd": 1_000, "jpy": 0}, "usd", BOOK, day("2026-12-24")
    )
    assert estimate.amount_minor == 10_000 + 5_600 - 133
    assert [rate.source for rate in estimate.rates] == ["eur", "gbp"]
    assert estimate.left_out == ("kwd",)


def test_an_estimate_takes_the_newest_rate_that_is_known_then() -> None:
    own = {("kwd", "usd"): {day("2026-01-01").toordinal(): ("3.2", 1), day("2026-12-01").toordinal(): ("3.3", 2)}}
    book = RateBook(BOOK.ecb, own)
    for on, rate in (("2026-06-01", "3.2"), ("2026-12-24", "3.3")):
        newest = book.latest("kwd", "usd", day(on))
        assert isinstance(newest, Rate)
        assert newest.rate == rate
    assert present_rate(found("gbp", "usd", "2026-04-07")) == (
        "1 GBP = 1.33333 USD, European Central Bank via EUR, 7 Apr 2026"
    )
    assert present_rate(found("eur", "usd", "2026-04-07")) == "1 EUR = 1.12 USD, European Central Bank, 7 Apr 2026"
    assert isinstance(book.latest("kwd", "usd", day("2025-12-31")), Missing)


def test_the_bundled_history_is_whole_and_says_the_same_as_when_it_was_taken_in() -> None:
    """A newer package may only add days: rates that books were made with must not change under them."""
    history = bundled_history()
    first, last = min(history.lines), day("2026-10-30").toordinal()
    assert date.fromordinal(first) == day("1999-01-04")
    assert history.last_day >= day("2026-10-30")
    assert history.last_day - timedelta(days=7) in {date.fromordinal(on) for on in history.lines}
    told = "".join(f"{on}{sorted(history.prices(on).items())}" for on in sorted(history.lines) if on <= last)
    digest = "0140760aaa3e6c5742e0320e826eda993255c5546a63451201391f8cab431c48"
    assert hashlib.sha256(told.encode()).hexdigest() == digest
    assert (history.price("usd", last), history.price("rub", last)) == (("1.1172", 0), None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Line 1 is not the heading"),
        ("date,from,to,rate\n", "Line 1 is not the heading"),
        ("Date,USD,USD\n2026-01-02,1,1\n", "names a currency twice"),
        ("Date,USD,EUR\n2026-01-02,1,1\n", "or the euro"),
        ("Date,USD,GBP\n2026-01-02,1.1,0.00\n", "Line 2 is not a day"),
        ("Date,USD\n2026-01-02\n", "Line 2 is not a day"),
        ("Date,USD\n\n2026-13-02,1.1\n", "Line 3 is not a day"),
        ("Date,USD\n2026-01-02,1.1e3\n", "Line 2 is not a day"),
        ("Date,USD\n", "has no days"),
    ],
)
def test_a_history_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        parse_ecb(text)
    assert (refused.value.code, refused.value.field) == ("invalid_rates", "file")


def test_a_rate_of_ones_own_holds_though_the_bank_has_not_told_that_day() -> None:
    day = date(2026, 4, 8)
    own = {("eur", "usd"): {day.toordinal(): ("1.25", 1)}}
    found = RateBook(parse_ecb(HISTORY), own).rate("eur", "usd", day)
    assert isinstance(found, Rate)
    assert (found.rate, found.origin) == ("1.25", "csv")
