"""What changes by time alone: rewards mature when their hold ends."""

from __future__ import annotations

from collections.abc import Callable

from refref.db import due, setup
from refref.db.pool import Database, lock_books
from refref.flows.settle import settle

BATCH = 500


async def mature_due(database: Database, now: Callable[[], int]) -> int:
    """Settle the scopes whose rewards are due, a batch per connection; returns how many scopes."""
    async with database.plain() as connection:
        connections = await due.connections_with_due_clock(connection)
    total = 0
    for organization_id, connection_id in connections:
        async with database.tenant(organization_id) as tx:
            await lock_books(tx, connection_id)
            there = now() + await setup.clock_ahead_s(tx, organization_id, connection_id)
            scopes = await due.maturing_scopes(tx, organization_id, connection_id, there, BATCH)
            await settle(tx, organization_id, connection_id, [], there, scope_ids=scopes)
            total += len(scopes)
    return total
