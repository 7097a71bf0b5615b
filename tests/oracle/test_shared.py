"""Where others' payments matter: judging only what changed, in any order, comes to what judging everything does."""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from oracle.counting import Counted, settled
from oracle.histories import stories
from oracle.rendering import config_of, facts_of
from oracle.worlds import World
from refref.core.derive import draft, finish
from refref.core.facts import Fact

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "25"))


@settings(
    max_examples=EXAMPLES * 8,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # shrinking would take long
    suppress_health_check=list(HealthCheck),
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
)
@given(stories(), st.integers(0, 2**32), st.booleans())
def test_judging_what_changed_comes_to_judging_everything(story: tuple[World, int], seed: int, pays_out: bool) -> None:
    world, _ = story
    config = config_of(world)
    if not any(program.is_shared for program in config.programs):
        return
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    told = [(customer.customer_id, fact) for customer in world.customers for fact in facts_of(customer)]
    rng.shuffle(told)
    counted = Counted({program.program_id: program for program in config.programs})
    known: dict[str, list[Fact]] = {}
    while told:
        batch, told = told[: (size := rng.choice((1, 3, 10, 40)))], told[size:]
        for scope, fact in batch:
            known.setdefault(scope, []).append(fact)
        counted.settle({scope: draft(known[scope], config) for scope in sorted({scope for scope, _ in batch})})
        if pays_out and rng.random() < 0.3:
            counted.finish()
            counted.pay()
    counted.finish()
    drafts = [(scope, draft(facts, config)) for scope, facts in known.items()]
    assert settled(counted, drafts) == finish(drafts, config, counted.paid_decisions())
