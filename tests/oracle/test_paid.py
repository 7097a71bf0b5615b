"""What was paid out comes out as it was booked: rebuilding it gives what completing gave, in random worlds."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings

from oracle.histories import stories
from oracle.rendering import config_of, facts_of
from oracle.worlds import World
from refref.core.derive import draft, finish
from refref.core.paid import PaidDecision, draft_digest

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "25"))


@settings(max_examples=EXAMPLES * 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(stories())
def test_what_was_paid_is_rebuilt_from_its_decision(story: tuple[World, int]) -> None:
    world, _ = story
    config = config_of(world)
    drafts = [(customer.customer_id, draft(facts_of(customer), config)) for customer in world.customers]
    booked = finish(drafts, config)
    paid = {
        (item.decision.payment_key, item.decision.program_id): PaidDecision(draft_digest(candidate), item.decision)
        for scope, drafted in drafts
        for candidate, item in zip(drafted.candidates, booked[scope], strict=True)
        if item.given
    }
    assert finish(drafts, config, paid) == booked
