"""The base of a reward: what is left out, eligible lines, what was not paid in money."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.samples import T0, invoice, line, quick, sale
from refref.core.base import base_of
from refref.core.facts import InvoiceState, Line
from refref.core.terms import Terms

BOOKS = Terms(products=("book",))


@pytest.mark.parametrize(
    ("lines", "paid", "shipping", "terms", "expected"),
    [
        ([line(1, 10_000)], None, 0, Terms(), 10_000),
        ([line(1, 10_000, discount=5_000)], None, 0, Terms(), 5_000),
        ([line(1, 10_000, exclusive=1_000)], None, 0, Terms(), 10_000),
        ([line(1, 11_000, inclusive=1_000)], None, 0, Terms(), 10_000),
        ([line(1, 10_000, exclusive=1_000)], None, 0, Terms(includes_tax=True), 11_000),
        ([line(1, 11_000, inclusive=1_000)], None, 0, Terms(includes_tax=True), 11_000),
        ([line(1, 10_000)], None, 700, Terms(), 10_000),
        ([line(1, 10_000)], None, 700, Terms(includes_shipping=True), 10_700),
        ([line(1, -2_500), line(2, 25_000)], None, 0, Terms(), 22_500),
        ([line(1, -25_000), line(2, 2_500)], 0, 0, Terms(), 0),
        ([line(1, 10_000)], 7_500, 0, Terms(), 7_500),
        ([line(1, 10_000, exclusive=1_900)], 5_950, 0, Terms(), 5_000),
        ([line(1, 10_000)], 12_000, 0, Terms(), 10_000),
        ([line(1, 10_000)], 0, 0, Terms(), 0),
        ([line(1, 6_000), line(2, 3_000, product="book")], None, 0, BOOKS, 3_000),
        ([line(1, 6_000), line(2, 3_000, product="book", discount=600)], None, 0, BOOKS, 2_400),
        ([line(1, 7_000), line(2, 3_000, product="book")], 5_000, 0, BOOKS, 1_500),
        ([line(1, -3_000), line(2, 9_000, product="book")], None, 0, BOOKS, 6_000),
        ([line(1, 3_000), line(2, -500, product="book")], None, 0, BOOKS, 0),
        ([line(1, 7)], 2, 0, Terms(), 2),
        # Credits take all that the goods came to: what moved was for shipping alone.
        ([line(1, -3_000), line(2, 2_000, product="book")], None, 1_500, BOOKS, 0),
    ],
)
def test_base(lines: list[Line], paid: int | None, shipping: int, terms: Terms, expected: int) -> None:
    assert base_of(sale(invoice(1, lines, paid=paid, shipping=shipping)), terms).amount == expected


def test_money_out_of_band_counts_unless_the_terms_say_no() -> None:
    fact = invoice(1, [line(1, 10_000)])
    assert isinstance(fact.state, InvoiceState)
    fact = msgspec.structs.replace(fact, state=msgspec.structs.replace(fact.state, amount_off_stripe=4_000))
    assert base_of(sale(fact), Terms()).amount == 10_000
    assert base_of(sale(fact), Terms(counts_out_of_band=False)).amount == 6_000


amounts = st.integers(-50_000, 100_000)
some_lines = st.lists(
    st.builds(
        lambda n, amount, off, product: line(n, amount, discount=max(0, amount) * off // 100, product=product),
        st.integers(1, 10**6), amounts, st.integers(0, 100), st.sampled_from(["book", "course"]),
    ),
    min_size=1, max_size=8, unique_by=lambda row: row.id,
)  # fmt: skip


@quick
@given(some_lines, st.integers(0, 100_000))
def test_base_is_never_more_than_the_money_that_moved(lines: list[Line], paid: int) -> None:
    sold = sale(invoice(1, lines, paid=paid, paid_at=T0))
    for terms in (Terms(), BOOKS, Terms(products=("book", "course"))):
        base = base_of(sold, terms)
        assert 0 <= base.amount <= max(0, min(paid, sold.total))


@quick
@given(some_lines)
def test_a_rule_for_every_product_is_no_rule(lines: list[Line]) -> None:
    sold = sale(invoice(1, lines))
    assert base_of(sold, Terms(products=("book", "course"))).amount == base_of(sold, Terms()).amount
