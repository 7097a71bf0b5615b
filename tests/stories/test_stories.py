"""Every story in every mode it is told in. A story's books must be the same whatever the mode."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from refref.sandbox import Sandbox
from stories import tellings  # noqa: F401 - importing registers the stories
from stories.story import MODES, START, STORIES, Mode, Story
from stories.world import World

# Mode by mode, since each has a world of its own.
CASES = [(mode, name) for mode in MODES for name in sorted(STORIES) if mode.name in STORIES[name].modes]


@pytest.mark.parametrize(("mode", "name"), CASES, ids=[f"{name}-{mode.name}" for mode, name in CASES])
def test_story(name: str, mode: Mode, world_of: Callable[[Mode], World]) -> None:
    world = world_of(mode)
    told = STORIES[name]
    sandbox = Sandbox(clock_start=START, seed=sum(name.encode()))
    merchant = world.create_merchant(sandbox, has_api=told.has_api)
    rng = random.Random(f"{name} {mode.name}")  # noqa: S311 - a seed for orders, not a secret
    told.tell(Story(world, mode, merchant, sandbox, rng))
