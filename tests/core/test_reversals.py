"""What goes back: in proportion, never more than was earned, whole on a full refund, whatever the order of facts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.samples import DAY, T0, charge, dispute, invoice, line, quick, refund, sale
from refref.core.base import base_of
from refref.core.facts import CreditNoteLine, CreditNoteState, Fact, Kind
from refref.core.money import share
from refref.core.reversals import reversal_of, reversed_target
from refref.core.terms import Terms

TERMS = Terms()
SALE = [invoice(1, [line(1, 7_000), line(2, 3_000, product="book")]), charge(1, 10_000)]


def note(
    name: str,
    amount: int,
    *,
    other: int = 0,
    refunds: tuple[tuple[str, int], ...] = (),
    lines: tuple[CreditNoteLine, ...] = (),
    status: str = "issued",
    pre: int = 0,
) -> Fact:
    state = CreditNoteState(status, amount, pre, other, refunds, lines, T0)
    return Fact(f"cn_{name}", Kind.CREDIT_NOTE, 0, T0, 0, state, ("in_1", *[refund_id for refund_id, _ in refunds]))


def taken(*facts: Fact, terms: Terms = TERMS) -> tuple[int, bool]:
    """Of a reward of 2000 on the sale of 100.00: what is taken back, and whether it is held."""
    sold = sale(*[fact for fact in SALE if fact.stripe_id not in {f.stripe_id for f in facts}], *facts)
    base = base_of(sold, terms)
    reversal = reversal_of(sold, base, terms)
    return reversed_target(share(base.amount, 2_000), reversal), reversal.is_held


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], (0, False)),
        ([refund("a", 1, 2_500)], (500, False)),
        ([refund("a", 1, 2_500), refund("b", 1, 2_500)], (1_000, False)),
        ([refund("a", 1, 10_000)], (2_000, False)),
        ([refund("a", 1, 10_000, status="pending")], (2_000, False)),
        ([refund("a", 1, 10_000, status="failed")], (0, False)),
        ([refund("a", 1, 10_000, status="canceled")], (0, False)),
        # The charge and the refund tell of the same money.
        ([charge(1, 10_000, refunded=2_500, at=T0 + 5), refund("a", 1, 2_500, at=T0 + 5)], (500, False)),
        ([charge(1, 10_000, refunded=2_500, at=T0 + 5)], (500, False)),
        ([charge(1, 10_000, refunded=4_000, at=T0 + 9), refund("a", 1, 2_500, at=T0 + 5)], (800, False)),
        # The second refund came after the charge's report.
        ([charge(1, 10_000, refunded=2_500, at=T0 + 5), refund("a", 1, 2_500, at=T0 + 5),
          refund("b", 1, 1_500, at=T0 + 9)], (800, False)),
        # The same refund, made within the hour after the report by another clock; one that names the payment alone.
        ([charge(1, 10_000, refunded=2_500, at=T0 + 5), refund("a", 1, 2_500, at=T0 + 60)], (500, False)),
        ([replace(charge(1, 10_000, refunded=2_500, at=T0 + 5), links=("cus_1", "in_1")),
          replace(refund("a", 1, 2_500), links=("pi_1",))], (500, False)),
        ([replace(charge(1, 10_000, refunded=2_500, at=T0 + 5), links=("cus_1", "pi_1", "re_a")),
          replace(refund("a", 1, 2_500), links=())], (500, False)),
        # Two charges paid it; the refund of one does not explain what the other tells of.
        ([charge(1, 6_000, refunded=2_500), replace(charge(2, 4_000), links=("cus_1", "in_1", "pi_2")),
          refund("a", 2, 1_500)], (800, False)),
        # It failed after the charge's report, and within the same second.
        ([charge(1, 10_000, refunded=2_500, at=T0 + 5), refund("a", 1, 2_500, status="failed", at=T0 + 5,
          seen_at=T0 + DAY)], (0, False)),
        ([charge(1, 10_000, refunded=2_500, at=T0 + 5), refund("a", 1, 2_500, status="failed", at=T0 + 5)], (0, False)),
        # It failed before the charge's report, which tells of another refund.
        ([charge(1, 10_000, refunded=2_500, at=T0 + 9), refund("a", 1, 2_500, status="failed", at=T0 + 5,
          seen_at=T0 + 7)], (500, False)),
        ([dispute("a", 1, 10_000, "needs_response")], (0, True)),
        ([dispute("a", 1, 10_000, "needs_response", "funds_withdrawn")], (2_000, False)),
        ([dispute("a", 1, 2_500, "under_review", "funds_withdrawn")], (500, False)),
        ([dispute("a", 1, 10_000, "lost")], (2_000, False)),
        ([dispute("a", 1, 10_000, "won", "funds_withdrawn")], (0, False)),
        ([dispute("a", 1, 10_000, "under_review", "funds_withdrawn", "funds_reinstated")], (0, False)),
        ([dispute("a", 1, 10_000, "warning_needs_response")], (0, True)),
        ([dispute("a", 1, 10_000, "warning_closed")], (0, False)),
        ([dispute("a", 1, 10_000, "charge_refunded"), refund("a", 1, 2_500)], (500, False)),
        ([dispute("a", 1, 10_000, "prevented")], (0, False)),
        ([dispute("a", 1, 10_000, "a_status_of_tomorrow")], (0, True)),
        ([dispute("a", 1, 6_000, "lost"), refund("a", 1, 4_000)], (2_000, False)),
        ([dispute("a", 1, 10_000, "lost"), refund("a", 1, 4_000)], (2_000, False)),
        ([note("a", 3_000, other=3_000)], (600, False)),
        ([note("a", 3_000, other=3_000, status="void")], (0, False)),
        ([note("a", 3_000, pre=3_000)], (0, False)),
        ([note("a", 3_000, refunds=(("re_a", 3_000),)), refund("a", 1, 3_000)], (600, False)),
        ([note("a", 3_000, other=1_000, refunds=(("re_a", 2_000),)), refund("a", 1, 2_000)], (600, False)),
        # An older API version names one refund for the whole; the refund itself knows better.
        ([note("a", 3_000, refunds=(("re_a", 3_000),)), refund("a", 1, 2_000)], (600, False)),
        ([note("a", 9_000, other=9_000), refund("a", 1, 9_000)], (2_000, False)),
    ],
)  # fmt: skip
def test_taken_back(facts: list[Fact], expected: tuple[int, bool]) -> None:
    for _ in range(3):
        assert taken(*facts) == expected
        random.shuffle(facts)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((CreditNoteLine("il_1", 3_000),), 0),
        ((CreditNoteLine("il_2", 3_000),), 600),
        ((CreditNoteLine("il_1", 1_500), CreditNoteLine("il_2", 1_500)), 300),
        ((CreditNoteLine(None, 3_000),), 180),  # an amount without a line: in proportion
        ((CreditNoteLine("il_99", 3_000),), 180),  # a line that is not known: in proportion
    ],
)
def test_a_credit_note_takes_what_the_named_lines_earned(lines: tuple[CreditNoteLine, ...], expected: int) -> None:
    books = Terms(products=("book",))
    assert taken(note("a", 3_000, other=3_000, lines=lines), terms=books) == (expected, False)


parts = st.lists(st.integers(1, 6_000), max_size=6)


@quick
@given(parts, parts, st.integers(0, 5_000))
def test_never_more_than_was_earned_and_more_refunds_never_take_less(
    refunds: list[int], notes: list[int], rate: int
) -> None:
    facts = [refund(str(i), 1, amount) for i, amount in enumerate(refunds)]
    facts += [note(str(i), amount, other=amount) for i, amount in enumerate(notes)]
    reward, before = share(10_000, rate), 0
    for count in range(len(facts) + 1):
        sold = sale(*SALE, *facts[:count])
        reversal = reversal_of(sold, base_of(sold, TERMS), TERMS)
        target = reversed_target(reward, reversal)
        assert before <= target <= reward
        assert reversal.refunded <= 10_000
        before = target
    if sum(refunds) + sum(notes) >= 10_000:
        assert before == reward


@quick
@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=8))
def test_a_full_refund_in_any_parts_takes_all(parts: list[int]) -> None:
    total = sum(parts)
    facts = [invoice(1, [line(1, total)]), charge(1, total)]
    facts += [refund(str(i), 1, amount) for i, amount in enumerate(parts)]
    sold = sale(*facts)
    reversal = reversal_of(sold, base_of(sold, TERMS), TERMS)
    assert reversal.is_whole
    assert reversed_target(share(total, 2_000), reversal) == share(total, 2_000)


def items(*facts: Fact) -> list[tuple[str, str, str]]:
    sold = sale(*SALE, *facts)
    return [(item.stripe_id, item.effect, item.reason) for item in reversal_of(sold, base_of(sold, TERMS), TERMS).items]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([dispute("a", 1, 10_000, "won")], [("dp_a", "none", "dispute_won")]),
        ([dispute("a", 1, 10_000, "needs_response")], [("dp_a", "held", "dispute_open")]),
        ([dispute("a", 1, 10_000, "warning_needs_response")], [("dp_a", "held", "dispute_inquiry")]),
        ([dispute("a", 1, 10_000, "lost")], [("dp_a", "reversed", "dispute_lost")]),
        ([refund("a", 1, 900, status="failed")], [("re_a", "none", "refund_failed")]),
        # A note that was given back by refund alone takes nothing besides the refund.
        ([refund("a", 1, 900), note("a", 900, refunds=(("re_a", 900),))], [("re_a", "reversed", "refunded")]),
        (
            [refund("a", 1, 900), note("a", 901, other=1, refunds=(("re_a", 900),))],
            [("re_a", "reversed", "refunded"), ("cn_a", "reversed", "credited_without_refund")],
        ),
    ],
)
def test_what_a_decision_says_of_each_thing_that_took_money_back(
    facts: list[Fact], expected: list[tuple[str, str, str]]
) -> None:
    assert items(*facts) == expected
