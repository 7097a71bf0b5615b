"""What three made-up customers would bring, by the product's templates and by terms that narrow what counts."""

import pytest

from refref.core.examples import Amounts, examples_of
from refref.core.templates import TEMPLATES
from refref.core.terms import (
    Band,
    Benefit,
    CurrencyTerms,
    Duration,
    QualifyingEvent,
    RewardRule,
    Share,
    Terms,
    Tiers,
    TierStep,
)

NOW = 1_795_000_000

# template -> what stays with referrer and referee of the subscriber (12 x 50.00), the buyer (120.00), the refund
EXPECTED: dict[str, tuple[tuple[Amounts, Amounts], ...]] = {
    "single-sided-referral": (((("usd", 1_000),), ()), ((("usd", 1_000),), ()), ((), ())),
    "two-sided-referral": (((("usd", 1_000),), (("usd", 1_000),)), ((("usd", 1_000),), (("usd", 1_000),)), ((), ())),
    "affiliate": (((("usd", 18_000),), ()), ((("usd", 3_600),), ()), ((), ())),
    "revenue-share": (((("usd", 12_000),), ()), ((("usd", 2_400),), ()), ((), ())),
    "per-lead": (((("usd", 1_000),), ()), ((("usd", 1_000),), ()), ((("usd", 1_000),), ())),
}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.template_id)
def test_each_template_brings_what_its_sentence_says(template: object) -> None:
    found = next(known for known in TEMPLATES if known is template)
    examples = examples_of(found.build("usd"), NOW)
    assert tuple((example.referrer, example.referee) for example in examples) == EXPECTED[found.template_id]


def subscriber(terms: Terms) -> Amounts:
    return examples_of(terms, NOW)[0].referrer


@pytest.mark.parametrize(
    ("terms", "amounts"),
    [
        (Terms(duration=Duration("payments", 3)), (("usd", 3_000),)),
        # The customers buy what the terms reward, in the currency of the terms.
        (Terms(products=("prod_gold",)), (("usd", 12_000),)),
        (Terms(currency=CurrencyTerms(base="jpy")), (("jpy", 12_000),)),
        (Terms(rules=(RewardRule(rule_id="a", kind="fixed", amounts={"kwd": 1_230}),)), (("kwd", 14_760),)),
        # 30 % of the first payment, 10 % afterwards; months 1 to 11 are 11 payments.
        (Terms(rules=(RewardRule(rule_id="a", rate_bps=1_000, bands=(Band(3_000),)),)), (("usd", 1_500 + 11 * 500),)),
        (
            Terms(
                rules=(RewardRule(rule_id="a", tiers=Tiers("plan", (TierStep(900, plan="price_gold"),)), rate_bps=0),)
            ),
            (("usd", 12 * 450),),
        ),
        (
            Terms(
                events=(QualifyingEvent(event_id="e", kind="trial_started"),),
                rules=(RewardRule(rule_id="a", event="e", kind="fixed", amounts={"usd": 500}),),
            ),
            (("usd", 500),),
        ),
        (
            Terms(
                events=(QualifyingEvent(event_id="e", kind="renewal", countries=("DE",), min_net={"eur": 1_000}),),
                rules=(RewardRule(rule_id="a", event="e", rate_bps=1_000),),
            ),
            (("eur", 11 * 500),),
        ),
    ],
)
def test_the_subscriber_brings(terms: Terms, amounts: Amounts) -> None:
    assert subscriber(terms) == amounts


def test_who_shares_is_shown_apart() -> None:
    shared = RewardRule(
        rule_id="a", to="split", split=(Share("referrer", 7_500), Share("ptc_other", 2_500)), rate_bps=1_000
    )
    buyer = examples_of(Terms(rules=(shared,)), NOW)[1]
    assert (buyer.referrer, buyer.others) == ((("usd", 900),), (("usd", 300),))


def test_steps_alike_are_one_and_what_gives_nothing_says_why() -> None:
    steps = examples_of(Terms(duration=Duration("payments", 2)), NOW)[0].steps
    assert [(step.times, step.referrer, step.reasons) for step in steps] == [
        (2, (("usd", 1_000),), ()),
        (10, (), ("The customer's earning period for this program has ended.",)),
    ]


def test_a_discount_moves_no_money() -> None:
    rule = RewardRule(rule_id="a", to="referee", reward="discount", benefit=Benefit(1_000))
    buyer = examples_of(Terms(rules=(rule,)), NOW)[1]
    assert (buyer.referee, [step.grants for step in buyer.steps]) == ((), [("discount",)])


def test_two_terms_are_compared_on_the_same_customers() -> None:
    old, new = Terms(), Terms(rules=(RewardRule(rule_id="a", kind="fixed", amounts={"eur": 700}),))
    (before, *_), (after, *_) = examples_of(old, NOW, like=new), examples_of(new, NOW)
    assert (before.referrer, after.referrer) == ((("eur", 12_000),), (("eur", 8_400),))
