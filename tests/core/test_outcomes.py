"""What a decision says besides the amount: waiting or refused, in which currency, and what has no money at all."""

from __future__ import annotations

import msgspec
import pytest

from core.samples import DAY, T0, config, customer, invoice, line
from refref.core.derive import derive
from refref.core.facts import EventState, Fact, InvoiceState, Kind
from refref.core.terms import Benefit, CurrencyTerms, CustomEvent, QualifyingEvent, RewardRule, Terms

NOW = T0 + 400 * DAY
BASIC = RewardRule(rule_id="basic", rate_bps=1_000, products=("p",))
OTHER = RewardRule(rule_id="other", rate_bps=1_000, products=("q",))
# One USD is worth 0.50 GBP.
IN_POUNDS = CurrencyTerms(base="gbp", conversion="table", table={"usd": "0.5"}, pays_in="base")


def without_lines(fact: Fact) -> Fact:
    """The same invoice while Stripe has not told all of its lines."""
    assert isinstance(fact.state, InvoiceState)
    return msgspec.structs.replace(fact, state=msgspec.structs.replace(fact.state, lines=(), has_all_lines=False))


@pytest.mark.parametrize(
    ("rules", "has_lines", "expected"),
    [
        ((BASIC,), True, ("rewarded", "")),
        ((OTHER,), True, ("refused", "not_eligible_lines")),
        ((BASIC,), False, ("waiting", "lines_missing")),  # it may still earn
        ((BASIC, RewardRule(rule_id="all", rate_bps=100)), False, ("rewarded", "")),
    ],
)
def test_waiting_is_not_refused(rules: tuple[RewardRule, ...], has_lines: bool, expected: tuple[str, str]) -> None:
    paid = invoice(1, [line(1, 1_000)])
    facts = [customer(), paid if has_lines else without_lines(paid)]
    (decision,) = derive(facts, config(Terms(rules=rules)), NOW).decisions
    assert (decision.outcome, decision.reason) == expected


@pytest.mark.parametrize(("amount", "expected"), [(1_000, ("", 50, "gbp")), (4, ("rounds_to_zero", 0, "gbp"))])
def test_a_reward_in_the_base_currency_says_so_also_where_it_rounds_to_zero(
    amount: int, expected: tuple[str, int, str]
) -> None:
    terms = Terms(rules=(RewardRule(rule_id="ten", rate_bps=1_000),), currency=IN_POUNDS)
    (decision,) = derive([customer(), invoice(1, [line(1, amount)])], config(terms), NOW).decisions
    (rule,) = decision.rules
    assert (rule.reason, rule.amount, rule.currency) == expected


SIGNED_UP = QualifyingEvent(event_id="joined", kind="signup")
CREDITED = RewardRule(rule_id="joined", event="joined", kind="fixed", amounts={"usd": 500})
FEATURED = RewardRule(rule_id="joined", event="joined", reward="feature", benefit=Benefit(feature="pro"))


@pytest.mark.parametrize(("rule", "expected"), [(CREDITED, [(250, "gbp")]), (FEATURED, [(0, "")])])
def test_what_has_no_money_needs_no_rate(rule: RewardRule, expected: list[tuple[int, str]]) -> None:
    terms = Terms(rules=(rule,), events=(SIGNED_UP,), currency=IN_POUNDS)
    derived = derive([customer()], config(terms), NOW)
    assert [(reward.amount, reward.currency) for reward in derived.rewards] == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"data":{"object":{"amount":900,"currency":"usd"}}}', ["90"]),
        (b'{"data":{"object":{"currency":"usd"}}}', ["amount_missing"]),
        (b'{"data":{"object":{"amount":-1,"currency":"usd"}}}', ["amount_missing"]),
        (b'{"data":{"object":{"amount":900}}}', ["amount_missing"]),
        (b'{"data":{"object":{"amount":900,"currency":"us"}}}', ["amount_missing"]),
    ],
)
def test_a_custom_event_without_its_amount_says_so(body: bytes, expected: list[str]) -> None:
    custom = CustomEvent(stripe_types=("charge.updated",), amount_path="data.object.amount")
    event = QualifyingEvent(event_id="told", kind="custom", custom=custom)
    terms = Terms(rules=(RewardRule(rule_id="ten", event="told", rate_bps=1_000),), events=(event,))
    state = EventState("charge.updated", "ch_9", T0 + DAY, body)
    told = Fact(f"event:ch_9/charge.updated/{T0 + DAY}", Kind.EVENT, 0, T0 + DAY, 0, state, ("cus_1",))
    derived = derive([customer(), told], config(terms), NOW)
    assert [decision.reason or str(decision.earned) for decision in derived.decisions] == expected
