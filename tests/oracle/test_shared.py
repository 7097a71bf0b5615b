"""Where others' payments matter: judging only what changed, in any order, comes to what judging everything does."""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.samples import T0, config, customer, invoice, line
from oracle.counting import Counted, settled
from oracle.histories import stories
from oracle.rendering import config_of, facts_of
from oracle.worlds import World
from refref.core.derive import draft, finish
from refref.core.facts import Fact
from refref.core.terms import RewardRule, Terms, Tiers, TierStep

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
