"""What a decision says besides the amount: waiting or refused, in which currency, and what has no money at all."""

from __future__ import annotations

import msgspec
import pytest

from core.samples import DAY, T0, config, customer, invoice, line
from refref.core.derive import derive
from refref.core.ecb import parse_ecb
from refref.core.facts import EventState, Fact, InvoiceState, Kind, SubscriptionState
from refref.core.rates import RateBook
from refref.core.terms import (
    Benefit,
    Cap,
    CurrencyTerms,
    CustomEvent,
    Duration,
    QualifyingEvent,
    RewardRule,
    Share,
    Terms,
)

NOW = T0 + 400 * DAY
BASIC = RewardRule(rule_id="basic", rate_bps=1_000, products=("p",))
OTHER = RewardRule(rule_id="other", rate_bps=1_000, products=("q",))
HALVES = (Share("referrer", 5_000), Share("ptc_bea", 5_000))
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


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (QualifyingEvent(event_id="bought"), 150),
        # Nothing is left out, so that shipping counts as without the event; but it is of no product.
        (QualifyingEvent(event_id="bought", prorations="exclude"), 150),
        (QualifyingEvent(event_id="bought", products=("p",)), 100),
        (QualifyingEvent(event_id="bought", excluded_products=("q",)), 100),
    ],
)
def test_shipping_counts_where_no_product_is_named(event: QualifyingEvent, expected: int) -> None:
    ten = RewardRule(rule_id="ten", event="bought", rate_bps=1_000)
    terms = Terms(rules=(ten,), events=(event,), includes_shipping=True)
    (decision,) = derive([customer(), invoice(1, [line(1, 1_000)], shipping=500)], config(terms), NOW).decisions
    assert decision.earned == expected


TRIAL = QualifyingEvent(event_id="tried", kind="trial_started")


@pytest.mark.parametrize(
    ("products", "excluded", "expected"),
    [
        ((), (), "500"),
        (("prod_pro",), (), "500"),
        (("price_pro",), (), "500"),
        (("prod_basic",), (), "not_eligible_lines"),
        ((), ("prod_pro",), "not_eligible_lines"),
        ((), ("prod_basic",), "500"),
    ],
)
def test_a_rule_for_a_product_rewards_trials_of_that_product(
    products: tuple[str, ...], excluded: tuple[str, ...], expected: str
) -> None:
    rule = RewardRule(
        rule_id="tried",
        event="tried",
        kind="fixed",
        amounts={"usd": 500},
        products=products,
        excluded_products=excluded,
    )
    state = SubscriptionState("trialing", "usd", ("prod_pro",), ("price_pro",), trial_start_at=T0 + DAY)
    trial = Fact("sub_1", Kind.SUBSCRIPTION, 0, T0 + DAY, 0, state, ("cus_1",))
    derived = derive([customer(), trial], config(Terms(rules=(rule,), events=(TRIAL,))), NOW)
    assert [decision.reason or str(decision.earned) for decision in derived.decisions] == [expected]


@pytest.mark.parametrize(
    ("terms", "steps"),
    [
        (Terms(), ()),
        (Terms(caps=(Cap("reward", {"usd": 150}),)), (("cap", "reward", "ever", 150, "usd", 0, 200, 150),)),
        (
            Terms(
                rules=(RewardRule(rule_id="two", to="split", split=HALVES, rate_bps=2_000),),
                caps=(Cap("participant", {"usd": 90}, "month"),),
            ),
            (
                ("split", 100, 100),
                ("cap", "participant", "month", 90, "usd", 0, 100, 90),
                ("cap", "participant", "month", 90, "usd", 0, 100, 90),
            ),
        ),
    ],
)
def test_an_explanation_has_every_step_and_no_other(terms: Terms, steps: tuple[tuple[str | int, ...], ...]) -> None:
    (decision,) = derive([customer(), invoice(1, [line(1, 1_000)])], config(terms), NOW).decisions
    assert decision.rules[0].notes == steps


CHANGED = QualifyingEvent(event_id="smaller", kind="downgrade")
LESS = RewardRule(rule_id="smaller", event="smaller", kind="fixed", amounts={"eur": 100, "usd": 200})


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (SubscriptionState("active", "usd", ("prod_pro",)), (200, "usd")),
        (None, (100, "eur")),  # only the change is known so far
    ],
)
def test_a_downgrade_earns_also_before_its_subscription_is_known(
    state: SubscriptionState | None, expected: tuple[int, str]
) -> None:
    at = T0 + DAY
    changed = Fact("sub_1", Kind.SUBSCRIPTION, 0, at, 0, state, ("cus_1",), (), (("downgrade:price_basic", at),))
    derived = derive([customer(), changed], config(Terms(rules=(LESS,), events=(CHANGED,))), NOW)
    (reward,) = derived.rewards
    assert (reward.payment_key, reward.amount, reward.currency) == (f"sub_1/downgrade/{at}", *expected)


@pytest.mark.parametrize("where", ["terms", "rule"])
def test_a_signup_is_of_no_product(where: str) -> None:
    of_rule = ("prod_pro",) if where == "rule" else ()
    rule = msgspec.structs.replace(CREDITED, products=of_rule)
    terms = Terms(rules=(rule,), events=(SIGNED_UP,), products=("prod_pro",) if where == "terms" else ())
    assert [reward.amount for reward in derive([customer()], config(terms), NOW).rewards] == [500]


def test_each_rule_counts_its_own_payments() -> None:
    """Two payments for each: of all, the first and second; of those after the first, the second and third."""
    two = Duration("payments", 2)
    every = RewardRule(rule_id="every", rate_bps=1_000, duration=two)
    later = RewardRule(rule_id="later", on="recurring", rate_bps=1_000, duration=two)
    facts = [customer(), *(invoice(n, [line(1, 1_000)], paid_at=T0 + n * DAY) for n in range(1, 5))]
    for rules in ((every, later), (later, every)):
        told = derive(facts, config(Terms(rules=rules)), NOW).decisions
        reasons = {rule.rule_id: [d.rules[place].reason for d in told] for place, rule in enumerate(rules)}
        assert reasons == {
            "every": ["", "", "duration_over", "duration_over"],
            "later": ["no_rule_applies", "", "", "duration_over"],
        }


# The bank's history, up to the day before the sale, and up to its day; one EUR costs so many USD.
BEFORE, ON = "Date,USD\n2026-01-14,1.25\n", "Date,USD\n2026-01-15,1.25\n2026-01-14,1.3\n"


@pytest.mark.parametrize(
    ("history", "base", "expected"),
    [
        (ON, "eur", ("rewarded", "", 80)),  # 100 / 1.25
        (BEFORE, "eur", ("waiting", "rate_not_yet_known", 0)),  # it will come
        (ON, "xof", ("refused", "no_rate", 0)),  # the bank has none
        (None, "eur", ("refused", "no_rate", 0)),
    ],
)
def test_a_reward_in_another_currency_waits_for_the_rate_of_its_day(
    history: str | None, base: str, expected: tuple[str, str, int]
) -> None:
    ten = RewardRule(rule_id="ten", rate_bps=1_000)
    terms = Terms(rules=(ten,), currency=CurrencyTerms(base=base, conversion="daily", pays_in="base"))
    rates = None if history is None else RateBook(parse_ecb(history))
    conf = msgspec.structs.replace(config(terms), rates=rates)
    (decision,) = derive([customer(), invoice(1, [line(1, 1_000)])], conf, NOW).decisions
    assert (decision.outcome, decision.reason, decision.rules[0].amount) == expected
