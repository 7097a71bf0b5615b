"""A world of its own for each module: RefRef in this process, the sandbox as its Stripe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stories.conftest import fresh_database
from stories.world import World


@pytest.fixture(scope="module")
def world(server_dsn: str, migrated_template: str) -> Iterator[World]:
    with fresh_database(server_dsn, migrated_template) as dsn:
        made = World(dsn)
        yield made
        made.close()
