"""The comparison of a backtest: what counts as a change, who gains, which product, what is largest."""

import random

import pytest

from core.samples import T0
from refref.core.backtest import (
    LARGEST,
    NOTHING,
    REFEREES,
    Change,
    Comparison,
    Side,
    Summary,
    Told,
    added,
    draft_program,
    explained,
    largest,
    side_of,
)
from refref.core.backtest_booked import read_booked
from refref.core.decisions import Decision, RuleOutcome, encode_decision
from refref.core.facts import Line
from refref.core.program import Program
from refref.core.terms import QualifyingEvent, RewardRule, Terms, TermsVersion

PRO = RewardRule(rule_id="pro", rate_bps=3_000, products=("prod_pro",), group="g")
REST = RewardRule(rule_id="rest", rate_bps=1_000, group="g")
BOOKED = Terms(rules=(PRO, REST), events=(QualifyingEvent(event_id="e"),))
PROGRAM = draft_program(Program("prg_1", (TermsVersion(1, 0, BOOKED),)), BOOKED, 0)

Part = tuple[str, int, int]  # beneficiary, amount, taken back


def decision(*rules: tuple[str, str, tuple[Part, ...]], reason: str = "", version: int = 1) -> Decision:
    """A decision of rules as (rule, currency, parts); without rules it is refused for the reason."""
    outcomes = tuple(
        RuleOutcome(rule_id, "rewarded", currency=currency, reward="commission", parts=parts)
        for rule_id, currency, parts in rules
    )
    return Decision(
        "in_1", "prg_1", ("in_1",), "cus_1", "rewarded" if rules else "refused", reason, T0, "usd", "invoice",
        100, 100, 0, 0, 0, 0, terms_version=version, rules=outcomes,
    )  # fmt: skip


def compared(booked: Decision | None, draft: Decision | None, *sold: Line) -> Summary:
    comparison = Comparison(PROGRAM)
    side = NOTHING if booked is None else side_of(booked)
    comparison.add(Told(T0, "in_1", "cus_1", "cus_1", None, side, sold), draft)
    return comparison.summary()


ANA_20 = decision(("rest", "usd", (("ptc_ana", 20, 0),)))
ANA_30 = decision(("rest", "usd", (("ptc_ana", 30, 0),)))
REFUSED = decision(reason="outside_window")


@pytest.mark.parametrize(
    ("booked", "draft", "changed", "more", "less", "money"),
    [
        pytest.param(ANA_20, ANA_20, 0, 0, 0, {"usd": (20, 20)}, id="the same"),
        pytest.param(ANA_20, ANA_30, 1, 1, 0, {"usd": (20, 30)}, id="more"),
        pytest.param(ANA_30, ANA_20, 1, 0, 1, {"usd": (30, 20)}, id="less"),
        pytest.param(ANA_20, REFUSED, 1, 0, 1, {"usd": (20, 0)}, id="refused now"),
        pytest.param(None, ANA_20, 1, 1, 0, {"usd": (0, 20)}, id="new conversion"),
        pytest.param(ANA_20, None, 1, 0, 1, {"usd": (20, 0)}, id="no conversion any more"),
        pytest.param(REFUSED, decision(reason="country"), 1, 0, 0, {}, id="refused for another reason"),
        pytest.param(
            ANA_20, decision(("pro", "usd", (("ptc_ana", 20, 0),))), 0, 0, 0, {"usd": (20, 20)}, id="by another rule"
        ),
        pytest.param(
            ANA_20, decision(("rest", "usd", (("ptc_ana", 30, 10),))), 0, 0, 0, {"usd": (20, 20)}, id="less taken back"
        ),
        pytest.param(
            ANA_20, decision(("rest", "usd", (("ptc_bea", 20, 0),))), 1, 0, 0, {"usd": (20, 20)}, id="somebody else"
        ),
        pytest.param(
            ANA_20,
            decision(("rest", "eur", (("ptc_ana", 18, 0),))),
            1, 1, 1, {"eur": (0, 18), "usd": (20, 0)},
            id="another currency is less of one and more of the other",
        ),
    ],
)  # fmt: skip
def test_one_conversion(
    booked: Decision | None,
    draft: Decision | None,
    changed: int,
    more: int,
    less: int,
    money: dict[str, tuple[int, int]],
) -> None:
    found = compared(booked, draft)
    assert (found.conversions, found.changed, found.more, found.less) == (1, changed, more, less)
    assert {currency: (sums.booked, sums.draft) for currency, sums in found.money} == money


def test_a_reward_that_moves_is_a_change_of_twice_its_amount_and_of_both_people() -> None:
    found = compared(ANA_20, decision(("rest", "usd", (("ptc_bea", 20, 0),))))
    assert [(change.size, change.booked, change.draft) for change in found.changes] == [(40, 20, 20)]
    assert [(owner, sums.booked, sums.draft, sums.changed) for owner, _, sums in found.participants] == [
        ("ptc_ana", 20, 0, 1),
        ("ptc_bea", 0, 20, 1),
    ]


def test_what_the_customer_gets_is_one_line_for_all_customers() -> None:
    found = compared(None, decision(("rest", "usd", (("cus_1", 5, 0),))))
    assert [(owner, sums.draft) for owner, _, sums in found.participants] == [(REFEREES, 5)]


def test_discounts_and_features_are_counted_and_not_priced() -> None:
    granted = RuleOutcome("rest", "rewarded", currency="usd", reward="discount", parts=(("cus_1", 0, 0),))
    draft = Decision(
        "in_1", "prg_1", (), "cus_1", "rewarded", "", T0, "usd", "invoice", 1, 1, 0, 0, 0, 0, rules=(granted,)
    )
    found = compared(REFUSED, draft)
    assert (found.changed, found.benefits.booked, found.benefits.draft, found.money) == (1, 0, 1, ())


PRO_LINE = Line("", 100, product="prod_pro")
BASIC_LINE = Line("", 300, product="prod_basic")
EXTRA_LINE = Line("", 100, product="prod_extra")


@pytest.mark.parametrize(
    ("sold", "gains", "products"),
    [
        pytest.param((), [("rest", 40)], {"": 40}, id="no lines"),
        pytest.param((PRO_LINE,), [("pro", 30)], {"prod_pro": 30}, id="one product"),
        pytest.param((PRO_LINE, BASIC_LINE), [("pro", 30)], {"prod_pro": 30}, id="only the rule's lines"),
        pytest.param(
            (PRO_LINE, BASIC_LINE), [("pro", 30), ("rest", 30)], {"prod_pro": 30, "prod_basic": 30},
            id="an earlier rule of the group took its lines",
        ),
        pytest.param(
            (PRO_LINE, BASIC_LINE, EXTRA_LINE), [("rest", 51)], {"prod_pro": 10, "prod_basic": 31, "prod_extra": 10},
            id="in proportion, by largest remainder",
        ),
    ],
)  # fmt: skip
def test_products(sold: tuple[Line, ...], gains: list[tuple[str, int]], products: dict[str, int]) -> None:
    given = decision(*((rule_id, "usd", (("ptc_ana", amount, 0),)) for rule_id, amount in gains))
    found = compared(None, given, *sold)
    assert {product: sums.draft for product, _, sums in found.products} == products


def change(currency: str, size: int, key: str = "in_1") -> Change:
    return Change(currency, size, T0, key, "cus_1", 0, size, None)


def test_currencies_take_turns_among_the_largest_changes() -> None:
    found = largest([change("usd", 5), change("jpy", 9_000), change("usd", 7), change("jpy", 8_000), change("usd", 1)])
    assert [(one.currency, one.size) for one in found] == [
        ("jpy", 9_000), ("usd", 7), ("jpy", 8_000), ("usd", 5), ("usd", 1),
    ]  # fmt: skip


def test_parts_added_up_are_what_one_part_finds() -> None:
    rng = random.Random(7)  # noqa: S311 - a seed for samples, not a secret
    whole, parts = Comparison(PROGRAM), [Comparison(PROGRAM), Comparison(PROGRAM)]
    for number in range(500):
        booked, draft = rng.randrange(50), rng.randrange(50)
        told = Told(
            T0 + number, f"in_{number}", "s", "cus_1", None,
            side_of(decision(("rest", "usd", ((f"ptc_{number % 3}", booked, 0),)))), (PRO_LINE,),
        )  # fmt: skip
        final = decision(("rest", rng.choice(["usd", "eur"]), ((f"ptc_{number % 2}", draft, 0),)))
        for comparison in (whole, rng.choice(parts)):
            comparison.add(told, final)
    assert added([part.summary() for part in parts]) == whole.summary()
    assert len(whole.summary().changes) == LARGEST


def test_a_stored_decision_reads_the_same_in_short() -> None:
    full = decision(("rest", "usd", (("ptc_ana", 30, 10), ("ptc_bea", 5, 0))), ("pro", "", (("ptc_ana", 1, 0),)))
    read = read_booked(encode_decision(full))
    assert (read.payment_key, read.referee_id, read.occurred_at) == ("in_1", "cus_1", T0)
    assert read.side == side_of(full)
    assert read_booked(encode_decision(REFUSED)).side == Side("refused", "outside_window", 1)


def test_an_explanation_has_the_reasons_of_the_first_step_and_the_outcomes_of_the_second() -> None:
    because = RuleOutcome("rest", "refused", "condition_false", notes=(("because", "sale.number is 1"),))
    full = decision(("pro", "usd", ()), reason="")
    first = type(full)(**{name: getattr(full, name) for name in full.__struct_fields__} | {
        "rules": (RuleOutcome("pro", "claimed"), because), "outcome": "refused"
    })  # fmt: skip
    final = decision(("pro", "usd", (("ptc_ana", 30, 0),)))
    shown = explained(first, final)
    assert (shown.outcome, shown.rules) == ("rewarded", (final.rules[0], because))
