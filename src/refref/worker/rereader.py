"""Puts stored events back to work that custom events ask for since their terms were published, page by page."""

from __future__ import annotations

from refref.db import custom_events, inbox
from refref.db.pool import Database

PAGE = 5000


async def read_again_due(database: Database) -> int:
    """Put back one page for each connection; returns how many stored events were looked at."""
    async with database.plain() as connection:
        due = await custom_events.connections_to_read_again(connection)
    total = 0
    for organization_id, connection_id in due:
        async with database.tenant(organization_id) as tx:
            looked_at = await custom_events.put_back_page(tx, organization_id, connection_id, PAGE)
            if not looked_at:
                await custom_events.finish_types(tx, organization_id, connection_id)
            await inbox.wake_pumps(tx)
            total += looked_at
    return total
