"""After an upgrade the list of throw-away mail services may be another: the books of every connection follow it."""

from __future__ import annotations

from importlib.metadata import version

from refref.core.fraud_domains import LIST_PACKAGE
from refref.db import facts, inbox, mail_list
from refref.db.pool import Database


async def adopt_mail_list(database: Database) -> int:
    """Have connections settled again that went by another list; returns how many took note."""
    current = version(LIST_PACKAGE)
    async with database.plain() as connection:
        behind = await mail_list.connections_with_other_list(connection, current)
    for organization_id, connection_id in behind:
        async with database.tenant(organization_id) as tx:
            if not await mail_list.replace_list(tx, organization_id, connection_id, current):
                continue  # a new connection: its books have known no other
            await facts.mark_connection_dirty(tx, organization_id, connection_id)
            await inbox.wake_pumps(tx)
    return len(behind)
