"""Every story in every mode. A story's books must be the same whatever the mode."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from refref.sandbox import Sandbox
from stories import tellings  # noqa: F401 - importing registers the stories
from stories.story import MODES, START, STORIES, Mode, Story
from stories.world import World


@pytest.fixture(scope="module")
def world(module_database: str) -> Iterator[World]:
    made = World(module_database)
    yield made
    made.close()


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("name", sorted(STORIES))
def test_story(name: str, mode: Mode, world: World) -> None:
    sandbox = Sandbox(clock_start=START, seed=sum(name.encode()))
    merchant = world.create_merchant(sandbox.now)
    rng = random.Random(f"{name} {mode.name}")  # noqa: S311 - a seed for orders, not a secret
    STORIES[name](Story(world, mode, merchant, sandbox, rng))
