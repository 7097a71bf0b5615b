"""A story leads to the same rewards in the real books: its events through the intake, the pump and PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from refref.simulator.mode import Mode
from refref.simulator.names import participant_id
from refref.simulator.reading import read_story
from refref.simulator.running import StoryRun
from refref.simulator.shelf import ShelfStory, library
from stories.story import MODES, Story
from stories.world import World

# What needs a person's verdict, or names a participant by an id that only the story has, is left out.
STORIES = [
    pytest.param(one, id=one.name) for one in library() if "approves:" not in one.text and "ptc_" not in one.text
]
CALM, SHUFFLED = MODES[0], MODES[2]


@pytest.fixture(scope="module")
def world(module_database: str) -> Iterator[World]:
    """Give RefRef in this process."""
    made = World(module_database)
    yield made
    made.close()


@pytest.mark.parametrize("one", STORIES)
def test_the_real_books_say_the_same(world: World, one: ShelfStory) -> None:
    told = read_story(one.text)
    story, terms = told.story, told.story.terms
    assert terms is not None
    run = StoryRun(told, terms, Mode())
    run.play("the story")
    sandbox = run.sandbox
    merchant = world.create_merchant(sandbox, has_api=True)
    program = world.create_program(merchant, one.name, terms, 0)
    owners: dict[str, str] = {}
    for person in story.participants:
        email = person.email or f"{person.code}@example.com"
        owners[participant_id(person)] = world.create_participant(merchant, program, person.code, email, None)
        for code in person.promotion_codes:
            promotion_code = run.stage.promotion_codes[code]
            world.add_promotion_code(merchant, owners[participant_id(person)], promotion_code)
    for referral in run.referrals_told:
        world.set_clock(merchant, referral.told_at)
        world.tell(merchant, referral.stripe_customer_id, referral.code, referral.clicked_at, "signup")
    world.set_clock(merchant, sandbox.now)
    for mode in (CALM, SHUFFLED):
        events = list(sandbox.events)
        telling = Story(world, mode, merchant, sandbox, random.Random(1))  # noqa: S311 - disorder, not a secret
        if mode is SHUFFLED:
            telling.rng.shuffle(events)
        world.deliver(merchant, [(event, mode.versions[0]) for event in events], telling)
    for name, owner in owners.items():
        real = [
            (row["amount_minor"], row["reversed_minor"], row["status"], row["currency"], row["rule_id"])
            for row in world.rewards(merchant, owner)
        ]
        simulated = [
            (reward.amount, reward.reversed, reward.status, reward.currency, reward.rule_id)
            for reward in run.books.rewards_of(name)
        ]
        assert sorted(simulated) == sorted(real), name
        assert run.books.balances(name) == world.balances(merchant, owner), name
    world.check(merchant)
