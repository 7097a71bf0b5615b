"""The oracle against numbers worked out by hand: the acceptance scenarios of rules, conditions, tiers and caps."""

from __future__ import annotations

from fractions import Fraction

import pytest

from oracle.few_words import FOREVER, START, amounts, at, referred, rule, sale, told, world
from oracle.oracle import judge
from oracle.sums import divide, half_up, months_later, whole_months
from oracle.worlds import DAY, Customer, Line, Participant, Payment, Profile, StripeEvent, Subscription, Touch
from refref.core.terms import (
    Band,
    Benefit,
    Cap,
    CurrencyTerms,
    CustomEvent,
    Duration,
    Override,
    QualifyingEvent,
    RewardRule,
    Share,
    Terms,
    TermsVersion,
    Tiers,
    TierStep,
)


def monthly(count: int, start: str = "2026-01-15", amount: int = 10_000, **more: object) -> list[Payment]:
    """Invoices of one subscription on the same day of every month."""
    return [
        sale(f"{number:02}", amount, months_later(at(start), number - 1), subscription="sub_1", **more)
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (Duration("months", 12), ["2000 usd"] * 12 + ["duration_over"]),
        (Duration("payments", 12), ["2000 usd"] * 12 + ["duration_over"]),
        (Duration("payments", 3), ["2000 usd"] * 3 + ["duration_over"] * 10),
        (FOREVER, ["2000 usd"] * 13),
    ],
)
def test_59_the_earning_period(duration: Duration, expected: list[str]) -> None:
    trial = sale("00", 0, at("2026-01-01"), subscription="sub_1")  # a trial of nothing is not counted
    assert amounts(world(Terms(duration=duration), referred(1, trial, *monthly(13)))) == ["nothing_paid", *expected]


@pytest.mark.parametrize(
    ("restart", "expected"), [("continue", ["2000 usd", "duration_over"]), ("new_cycle", ["2000 usd"] * 2)]
)
def test_60_a_new_subscription(restart: str, expected: list[str]) -> None:
    terms = Terms(duration=Duration("payments", 1), restart=restart)  # type: ignore[arg-type]  # of a table
    again = sale("02", on="2026-04-15", subscription="sub_2")
    assert amounts(world(terms, referred(1, sale("01", subscription="sub_1"), again))) == expected


def test_75_bands_by_months_subscribed() -> None:
    bands = (Band(amounts={"usd": 9_000}, up_to_months=0), Band(amounts={"usd": 2_000}, up_to_months=3))
    got = amounts(world(Terms(rules=(rule(bands=bands),)), referred(1, *monthly(6))))
    assert got == ["9000 usd"] + ["2000 usd"] * 3 + ["1000 usd"] * 2


def test_76_lines_by_product() -> None:
    premium = rule("premium", products=("prod_premium",), amounts={"usd": 3_000}, group="sale")
    terms = Terms(rules=(premium, rule("other", group="sale")))
    mixed = sale("2", lines=(Line("il_1", 4_000, product="prod_premium"), Line("il_2", 6_000, product="prod_basic")))
    customers = [
        referred(1, sale("1", product="prod_premium")),
        referred(2, mixed),
        referred(3, sale("3")),
    ]
    assert amounts(world(terms, *customers)) == [
        "premium: 3000 usd; other: lower_precedence",
        "premium: 3000 usd; other: 1000 usd",
        "premium: not_eligible_lines; other: 1000 usd",
    ]


def test_77_amount_of_the_sale() -> None:
    large = rule("large", condition="sale.amount_minor > 15000", amounts={"usd": 5_000}, group="sale")
    terms = Terms(rules=(large, rule("base", group="sale")))
    assert amounts(world(terms, referred(1, sale("1", 15_001)), referred(2, sale("2", 15_000)))) == [
        "large: 5000 usd; base: lower_precedence",
        "large: condition_false; base: 1000 usd",
    ]


@pytest.mark.parametrize(
    ("customer", "participant", "expected"),
    [
        ("DE", "FR", "1000 usd"),
        ("DE", "US", "condition_false"),
        ("US", "FR", "condition_false"),
        (None, "FR", "condition_false"),
    ],
)
def test_78_countries_of_both(customer: str | None, participant: str, expected: str) -> None:
    condition = "customer.country in ['DE', 'FR'] && participant.country == 'FR'"
    ana = Participant("ptc_ana", "ana", profiles=(Profile(0, (), participant),))
    story = world(
        Terms(rules=(rule(condition=condition),)), referred(1, sale("1"), country=customer), participants=(ana,)
    )
    assert amounts(story) == [expected]


TIERS_79 = (
    TierStep(rate_bps=1_000, at_least=1),
    TierStep(rate_bps=1_500, at_least=6),
    TierStep(rate_bps=2_000, at_least=21),
)


def _referrals(days: list[str], refunded: int = 0) -> list[Customer]:
    return [
        referred(number, sale(f"{number:02}", on=day, refunded=10_000 if number == refunded else 0))
        for number, day in enumerate(days, start=1)
    ]


def test_79_tiers_by_referrals_of_the_month() -> None:
    terms = Terms(rules=(RewardRule("r", tiers=Tiers("referrals", TIERS_79, "month")),))
    month = [f"2026-03-{day:02}" for day in range(1, 23)]
    assert amounts(world(terms, *_referrals([*month, "2026-04-01"]))) == (
        ["1000 usd"] * 5 + ["1500 usd"] * 15 + ["2000 usd"] * 2 + ["1000 usd"]
    )


def test_79_a_refund_undoes_a_referral() -> None:
    terms = Terms(rules=(RewardRule("r", tiers=Tiers("referrals", TIERS_79, "month")),))
    month = [f"2026-03-{day:02}" for day in range(1, 8)]
    assert amounts(world(terms, *_referrals(month, refunded=6))) == (
        ["1000 usd"] * 5 + ["1000-1000 usd"] + ["1500 usd"]
    )


def test_79_retroactive() -> None:
    tiers = Tiers("referrals", TIERS_79, "month", "retroactive")
    month = [f"2026-03-{day:02}" for day in range(1, 7)]
    assert amounts(world(Terms(rules=(RewardRule("r", tiers=tiers),)), *_referrals(month))) == ["1500 usd"] * 6


def test_tiers_by_revenue() -> None:
    steps = (TierStep(rate_bps=1_000), TierStep(rate_bps=2_000, at_least=20_000))
    terms = Terms(rules=(RewardRule("r", tiers=Tiers("revenue", steps, currency="usd")),))
    customers = [
        referred(1, sale("1", 9_999, on="2026-03-01")),
        referred(2, sale("2", 10_000, on="2026-03-02"), sale("3", 1, on="2026-03-03")),
        referred(3, sale("4", 500, on="2026-03-04", currency="eur")),
    ]
    assert amounts(world(terms, *customers)) == ["1000 usd", "1000 usd", "rounds_to_zero", "100 eur"]


def test_80_tiers_by_plan() -> None:
    steps = tuple(
        TierStep(rate_bps=rate, plan=plan)
        for plan, rate in (("prod_starter", 1_000), ("prod_pro", 2_000), ("prod_scale", 2_500))
    )
    terms = Terms(rules=(RewardRule("r", tiers=Tiers("plan", steps)),))
    upgrade = sale(
        "02",
        on="2026-02-01",
        subscription="sub_1",
        billing_reason="subscription_update",
        lines=(
            Line("il_a", -2_500, product="prod_starter", is_proration=True),
            Line("il_b", 25_000, product="prod_pro", is_proration=True),
        ),
    )
    later = [
        sale("03", 25_000, on="2026-02-15", product="prod_pro", subscription="sub_1"),
        sale("04", 10_000, on="2026-03-15", product="prod_starter", subscription="sub_1"),
        sale("05", 10_000, on="2026-04-15", product="prod_else", subscription="sub_1"),
    ]
    first = sale("01", product="prod_starter", subscription="sub_1")
    assert amounts(world(terms, referred(1, first, upgrade, *later))) == [
        "1000 usd",
        "4500 usd",
        "5000 usd",
        "1000 usd",
        "no_tier_for_plan",
    ]


def test_81_initial_and_eleven_renewals() -> None:
    renewal = QualifyingEvent("renewal", kind="renewal")
    started = QualifyingEvent("start", kind="subscription_started")
    rules = (
        RewardRule("initial", event="start", rate_bps=3_000, duration=FOREVER),
        RewardRule("later", event="renewal", rate_bps=1_000, duration=Duration("payments", 11)),
    )
    got = amounts(world(Terms(rules=rules, events=(renewal, started)), referred(1, *monthly(14))))
    assert got == ["initial: 3000 usd"] + ["later: 1000 usd"] * 11 + ["later: duration_over"] * 2


def test_82_caps() -> None:
    caps = (Cap("customer", {"usd": 50_000}), Cap("participant", {"usd": 200_000}, "month"))
    terms = Terms(rules=(RewardRule("r", rate_bps=2_000),), caps=caps)
    one = [sale("01", 200_000, on="2026-03-01"), sale("02", 200_000, on="2026-03-02"), sale("03", on="2026-03-03")]
    assert amounts(world(terms, referred(1, *one))) == ["40000 usd", "10000 usd (cut)", "cap_reached"]
    many = [referred(n, sale(f"{n}", 300_000, on=f"2026-03-{n:02}")) for n in range(1, 6)]
    april = referred(6, sale("6", 300_000, on="2026-04-01"))
    assert amounts(world(terms, *many, april)) == ["50000 usd (cut)"] * 4 + ["cap_reached", "50000 usd (cut)"]


def test_82_what_was_taken_back_makes_room() -> None:
    terms = Terms(rules=(RewardRule("r", rate_bps=2_000),), caps=(Cap("program", {"usd": 2_500}),))
    customers = [
        referred(1, sale("1", on="2026-03-01", refunded=5_000)),
        referred(2, sale("2", on="2026-03-02")),
        referred(3, sale("3", on="2026-03-03"), by="bea"),
    ]
    assert amounts(world(terms, *customers)) == ["2000-1000 usd", "1500 usd (cut)", "cap_reached"]


FIXED_83 = {"usd": 1_000, "eur": 900, "jpy": 1_500}


@pytest.mark.parametrize(
    ("currency", "terms", "expected"),
    [
        ("usd", CurrencyTerms(), "1000 usd"),
        ("eur", CurrencyTerms(), "900 eur"),
        ("jpy", CurrencyTerms(), "1500 jpy"),
        ("gbp", CurrencyTerms(), "no_amount_for_currency"),
        ("gbp", CurrencyTerms("usd", conversion="daily"), "787 gbp"),  # 10.00 / 1.27 = 7.874
        ("gbp", CurrencyTerms("usd", conversion="table", table={"gbp": "1.25"}), "800 gbp"),
        ("chf", CurrencyTerms("usd", conversion="daily"), "no_rate"),
        ("jpy", CurrencyTerms("usd", conversion="table", table={"jpy": "0.0065"}, pays_in="base"), "975 usd"),
    ],
)
def test_83_fixed_amounts_by_currency(currency: str, terms: CurrencyTerms, expected: str) -> None:
    rates = {("gbp", "usd", START // DAY): "1.27"}
    story = world(
        Terms(rules=(rule(amounts=FIXED_83),), currency=terms), referred(1, sale("1", currency=currency)), rates=rates
    )
    assert amounts(story) == [expected]


def test_84_two_sided() -> None:
    first = QualifyingEvent("first", kind="first_purchase")
    coupon = Benefit(percent_off_bps=2_000)
    rules = (
        rule("referrer", event="first", reward="credit"),
        rule("referee", event="first", to="referee", reward="discount", benefit=coupon),
    )
    assert amounts(world(Terms(rules=rules, events=(first,)), referred(1, *monthly(1)))) == [
        "referrer: 1000 usd; referee: 0 to referee"
    ]
    assert list(told(world(Terms(rules=rules, events=(first,)), referred(1, *monthly(3))))) == ["in_01"]


@pytest.mark.parametrize(("refunded", "expected"), [(0, "4 usd, 1 usd to ptc_bea"), (5, "4-2 usd, 1-1 usd to ptc_bea")])
def test_85_revenue_share(refunded: int, expected: str) -> None:
    # Half of 5 went back: 3 (half up), of which 4/5 and 1/5 are 2.4 and 0.6.
    split = (Share("referrer", 7_000), Share("ptc_bea", 3_000))
    terms = Terms(rules=(RewardRule("r", rate_bps=5_000, to="split", split=split),))
    assert amounts(world(terms, referred(1, sale("1", 10, refunded=refunded)))) == [expected]


def test_86_custom_event_once_per_customer() -> None:
    custom = CustomEvent(("customer.updated",), "event.data.object.metadata.kyc == 'passed'")
    terms = Terms(rules=(rule(event="kyc"),), events=(QualifyingEvent("kyc", kind="custom", custom=custom),))
    happened = (StripeEvent(START, "open"), StripeEvent(START + 1, "passed"), StripeEvent(START + 2, "passed"))
    assert told(world(terms, referred(1, events=happened))) == {
        "cus_01/signup": "no_rule_applies",
        "cus_01/custom/kyc": "1000 usd",
    }


@pytest.mark.parametrize(
    ("existing", "expected"),
    [("follow", ["1000 usd", "2000 usd", "2000 usd"]), ("keep", ["1000 usd", "1000 usd", "2000 usd"])],
)
def test_87_new_terms(existing: str, expected: list[str]) -> None:
    versions = (
        TermsVersion(1, 0, Terms(rules=(rule(),))),
        TermsVersion(
            2,
            at("2026-03-01T00:00"),
            Terms(rules=(rule(amounts={"usd": 2_000}),), existing_referrals=existing),  # type: ignore[arg-type]  # of a table
        ),
    )
    old = referred(1, sale("1", on="2026-02-28T23:59"), sale("2", on="2026-03-01T00:00"))
    new = referred(2, sale("3", on="2026-03-15"))
    assert amounts(world(versions, old, new)) == expected


@pytest.mark.parametrize(("amount", "expected"), [(2_499, "below_minimum"), (2_500, "1000 usd")])
def test_88_minimum(amount: int, expected: str) -> None:
    event = QualifyingEvent("large", min_net={"usd": 2_500})
    assert amounts(world(Terms(rules=(rule(event="large"),), events=(event,)), referred(1, sale("1", amount)))) == [
        expected
    ]


@pytest.mark.parametrize(
    ("after", "expected"), [(60 * DAY, "2000 usd"), (61 * DAY - 1, "2000 usd"), (61 * DAY, "outside_window")]
)
def test_88_window(after: int, expected: str) -> None:
    assert amounts(world(Terms(), referred(1, sale("1", on=START + after), click=START))) == [expected]


@pytest.mark.parametrize(("customers", "expected"), [("new", "existing_customer"), ("any", "2000 usd")])
def test_89_existing_customer(customers: str, expected: str) -> None:
    story = referred(1, sale("1", on="2026-01-01"), sale("2", on="2026-02-01"), click=at("2026-01-20"))
    terms = Terms(customers=customers)  # type: ignore[arg-type]  # of a table
    assert amounts(world(terms, story)) == ["before_referral", expected]


@pytest.mark.parametrize(
    ("participant", "groups", "expected"),
    [
        ("ptc_ana", (), "1 usd"),
        ("ptc_ana", ("gold",), "1 usd"),
        ("ptc_cy", ("gold",), "2 usd"),
        ("ptc_cy", ("tin",), "1000 usd"),
    ],
)
def test_overrides(participant: str, groups: tuple[str, ...], expected: str) -> None:
    overrides = (
        Override(amounts={"usd": 2}, groups=("gold",)),
        Override(amounts={"usd": 1}, participants=("ptc_ana",)),
    )
    person = Participant(participant, "ana", profiles=(Profile(0, groups),))
    story = world(Terms(rules=(rule(overrides=overrides),)), referred(1, sale("1")), participants=(person,))
    assert amounts(story)[0].removesuffix(" to ptc_cy") == expected


def test_signup_and_trial() -> None:
    events = (
        QualifyingEvent("lead", kind="signup"),
        QualifyingEvent("trial", kind="trial_started"),
        QualifyingEvent("paid", kind="trial_converted"),
    )
    rules = (rule("a", event="lead"), rule("b", event="trial"), rule("c", event="paid"))
    person = referred(
        1,
        *monthly(2),
        click=START - 20 * DAY,
        subscriptions=(Subscription("sub_1", START - 14 * DAY, trial_start_at=START - 14 * DAY),),
    )
    assert told(world(Terms(rules=rules, events=events), person)) == {
        "cus_01/signup": "a: 1000 usd",
        "sub_1/trial_started": "b: 1000 usd",
        "in_01": "c: 1000 usd",
    }


def test_a_promotion_code_beats_the_click() -> None:
    used = sale("1", touches=(Touch("promotion_code", "promo_bea", START),))
    assert amounts(world(Terms(), referred(1, used))) == ["2000 usd to ptc_bea"]


def test_states() -> None:
    terms = Terms(rules=(rule("r", expires_days=90),))
    story = world(terms, referred(1, sale("1")))
    for days, state in ((29, "pending"), (30, "payable"), (90, "expired")):
        assert judge(story, START + days * DAY)["in_1", "r"].state == state


@pytest.mark.parametrize(
    ("rate_bps", "base", "expected"),
    [(2_000, 7, 1), (2_000, 2, 0), (2_000, 3, 1), (1_000, 15, 2), (5_000, 1, 1), (290, 500, 15)],
)
def test_rounding(rate_bps: int, base: int, expected: int) -> None:
    assert half_up(Fraction(base * rate_bps, 10_000)) == expected


def test_sums() -> None:
    assert divide(5, [7_000, 3_000]) == [4, 1]
    assert divide(100, [1, 1, 1]) == [34, 33, 33]
    assert whole_months(at("2026-01-31"), at("2026-02-28")) == 1
    assert whole_months(at("2026-01-31"), at("2026-02-27")) == 0
