"""A world per mode: its own database, so that no story waits for the connections of a thousand others."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from stories.story import MODES, Mode
from stories.world import World

_numbers = itertools.count(1)


@contextmanager
def fresh_database(server_dsn: str, template: str) -> Iterator[str]:
    name = f"story_{os.getpid()}_{next(_numbers)}"
    before, _, after = server_dsn.partition("?")
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield f"{before.rpartition('/')[0]}/{name}" + (f"?{after}" if after else "")
    finally:
        with psycopg.connect(server_dsn, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} (FORCE)")


@pytest.fixture(scope="module")
def world_of(server_dsn: str, migrated_template: str) -> Iterator[Callable[[Mode], World]]:
    """Give the world of a mode; one at a time, made when it is first asked for."""
    current: list[tuple[Mode, World, object]] = []

    def leave() -> None:
        _, world, database = current.pop()
        world.close()
        database.__exit__(None, None, None)  # type: ignore[attr-defined]  # a context manager that was entered

    def give(mode: Mode) -> World:
        if current and current[0][0] is not mode:
            leave()
        if not current:
            database = fresh_database(server_dsn, migrated_template)
            current.append((mode, World(database.__enter__()), database))
        return current[0][1]

    yield give
    if current:
        leave()


@pytest.fixture(scope="module")
def world(world_of: Callable[[Mode], World]) -> World:
    """Give the world of the calm mode, for tests that are not told as stories."""
    return world_of(MODES[0])
