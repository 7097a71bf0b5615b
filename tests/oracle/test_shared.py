"""Where others' payments matter: judging only what changed, in any order, comes to what judging everything does."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.samples import T0, config, customer, invoice, line, refund
from oracle.counting import Counted, settled
from oracle.histories import stories
from oracle.rendering import config_of, facts_of
from oracle.worlds import World
from refref.core.derive import draft, finish
from refref.core.facts import Fact
from refref.core.terms import Cap, RewardRule, Share, Terms, Tiers, TierStep

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "25"))


@settings(
    max_examples=EXAMPLES * 16,  # most worlds do not look at others' payments
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # shrinking would take long
    suppress_health_check=list(HealthCheck),
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
)
@given(stories(), st.integers(0, 2**32), st.booleans())
def test_judging_what_changed_comes_to_judging_everything(story: tuple[World, int], seed: int, pays_out: bool) -> None:
    world, _ = story
    setup = config_of(world)
    if not any(program.is_shared for program in setup.programs):
        return
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    told = [(customer.customer_id, fact) for customer in world.customers for fact in facts_of(customer)]
    rng.shuffle(told)
    counted = Counted({program.program_id: program for program in setup.programs})
    known: dict[str, list[Fact]] = {}
    while told:
        batch, told = told[: (size := rng.choice((1, 3, 10, 40)))], told[size:]
        for scope, fact in batch:
            known.setdefault(scope, []).append(fact)
        counted.settle({scope: draft(known[scope], setup) for scope in sorted({scope for scope, _ in batch})})
        if pays_out and rng.random() < 0.3:
            counted.finish()
            counted.pay()
    counted.finish()
    drafts = [(scope, draft(facts, setup)) for scope, facts in known.items()]
    assert settled(counted, drafts) == finish(drafts, setup, counted.paid_decisions())


def test_the_second_referral_of_a_month_lifts_the_first_where_tiers_hold_for_all() -> None:
    steps = (TierStep(rate_bps=1_000), TierStep(rate_bps=2_000, at_least=2))
    tiers = Tiers(by="referrals", steps=steps, period="month", applies="retroactive")
    setup = config(Terms(rules=(RewardRule(rule_id="tiered", tiers=tiers),)))
    counted = Counted({"prg_1": setup.programs[0]})
    for name, expected in (("a", ["a 100"]), ("b", ["a 200", "b 200"]), ("c", ["a 200", "b 200", "c 200"])):
        number = ord(name)
        paid = invoice(number, [line(1, 1_000)], paid_at=T0 + number, customer=f"cus_{name}")
        counted.settle({name: draft([customer(f"cus_{name}"), paid], setup)})
        counted.finish()
        told = [(scope, made) for scope, own in sorted(counted.booked.items()) for made, _ in own.values()]
        assert [f"{scope} {made.decision.earned}" for scope, made in told] == expected


@pytest.mark.parametrize(
    ("rule", "cap", "refunded", "expected"),
    [
        pytest.param(
            RewardRule(
                rule_id="shared", to="split", rate_bps=1_000, split=(Share("referrer", 5_000), Share("ptc_x", 5_000))
            ),
            Cap(on="participant", amounts={"usd": 100}),
            *(2_000, ["ptc_ana 0", "ptc_bea 100", "ptc_x 0", "ptc_x 100"]),
            id="of a participant who shares in the referrals of others",
        ),
        pytest.param(
            RewardRule(rule_id="welcome", to="referee", reward="credit", rate_bps=1_000),
            Cap(on="program", amounts={"usd": 200}),
            *(1_000, ["cus_a 100", "cus_b 100"]),
            id="of the program, for rewards of customers",
        ),
    ],
)
@pytest.mark.parametrize("order", ["a b refund", "b a refund", "a refund b"])
def test_room_that_a_refund_leaves_under_a_cap_goes_to_whoever_got_nothing(
    rule: RewardRule, cap: Cap, refunded: int, expected: list[str], order: str
) -> None:
    setup = config(Terms(rules=(rule,), caps=(cap,)))
    told = {
        "a": [customer("cus_a", "ana"), invoice(1, [line(1, 2_000)], paid_at=T0 + 1, customer="cus_a")],
        "b": [customer("cus_b", "bea"), invoice(2, [line(2, 2_000)], paid_at=T0 + 2, customer="cus_b")],
        "refund": [refund("r", 1, refunded, at=T0 + 3)],
    }
    counted = Counted({"prg_1": setup.programs[0]})
    known: dict[str, list[Fact]] = {}
    for step in order.split():
        scope = "b" if step == "b" else "a"
        known.setdefault(scope, []).extend(told[step])
        counted.settle({scope: draft(known[scope], setup)})
        counted.finish()
    given = [item for own in counted.booked.values() for made, _ in own.values() for item in made.given]
    assert sorted(f"{item.beneficiary_id} {item.amount - item.reversed}" for item in given) == expected


@pytest.mark.parametrize("order", ["1 2 refund", "2 1 refund", "1 refund 2"])
def test_room_under_a_customer_s_cap_goes_to_the_later_payment(order: str) -> None:
    rule = RewardRule(rule_id="welcome", to="referee", reward="credit", rate_bps=1_000)
    setup = config(Terms(rules=(rule,), caps=(Cap(on="customer", amounts={"usd": 200}),)))
    told = {
        "1": [invoice(1, [line(1, 2_000)], paid_at=T0 + 1)],
        "2": [invoice(2, [line(2, 2_000)], paid_at=T0 + 2)],
        "refund": [refund("r", 1, 1_000, at=T0 + 3)],
    }
    counted = Counted({"prg_1": setup.programs[0]})
    known: list[Fact] = [customer()]
    for step in order.split():
        known.extend(told[step])
        counted.settle({"a": draft(known, setup)})
        counted.finish()
    given = [item for made, _ in counted.booked["a"].values() for item in made.given]
    assert sorted(item.amount - item.reversed for item in given) == [100, 100]
