"""Why not, over the real flow: stopped payments, and ids that nobody knows or that are somewhere else."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from refref.core.terms import RewardRule
from refref.flows.explain import explain
from refref.sandbox import Sandbox
from stories.story import MODES, START, Mode, Story
from stories.world import World


@pytest.fixture
def s(world_of: Callable[[Mode], World]) -> Story:
    """Give the story of a merchant."""
    world = world_of(MODES[0])
    sandbox = Sandbox(clock_start=START, seed=31)
    return Story(world, MODES[0], world.create_merchant(sandbox), sandbox, random.Random(31))  # noqa: S311 - repeatable tests need it


def why(s: Story, any_id: str) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            return await explain(tx, s.merchant.organization_id, s.merchant.connection_id, any_id, s.sb.now)

    return s.world.run(work())


def test_any_id_of_a_payment_tells_what_stopped_it(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(5_000), email="organic@customers.example")
    referred = s.buy(s.price(5_000), "ana", email="referred@customers.example")
    s.deliver()
    for any_id in (session, s.sb.get(session)["payment_intent"]):
        found = why(s, any_id)
        stop = found["stopped_by"]
        assert (found["kind"], stop["gate"], stop["code"]) == ("payment", "attribution", "not_attributed")
        assert found["stopped_by"]["remedy"]
    assert why(s, referred)["stopped_by"] is None


def test_the_rule_is_named_whose_condition_does_not_hold(s: Story) -> None:
    s.program(rules=(RewardRule(rule_id="eur-only", kind="fixed", amounts={"eur": 100}),))
    s.affiliate("ana")
    found = why(s, _sold(s, s.buy(s.price(5_000), "ana")))
    stop = found["stopped_by"]
    assert (stop["gate"], stop["code"], stop["rule_id"]) == ("amount", "no_amount_for_currency", "eur-only")


def _sold(s: Story, session: str) -> str:
    s.deliver()
    return session


def test_an_unknown_id_is_not_left_without_a_next_step(s: Story) -> None:
    found = why(s, "in_1NobodyKnows")
    assert found["kind"] == "unknown"
    assert [cause["code"] for cause in found["causes"]] == [
        *("never_arrived", "before_connection", "filtered_type", "other_account"),
    ]
    assert all(cause["remedy"] for cause in found["causes"])
    assert [cause["code"] for cause in why(s, "cs_live_a1B2c3D4")["causes"]] == ["other_mode"]
