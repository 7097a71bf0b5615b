"""Events of accounts that nobody has connected are kept for some weeks: a platform may have thousands of accounts that
RefRef is nothing to, and their customers' data is not ours to keep."""

from __future__ import annotations

from refref.db import platform
from refref.db.pool import Database

KEPT_DAYS = 35  # Stripe lists events for 30 days; who connects later has the history read from the objects
_BATCH = 5_000


async def forget_stray_events(database: Database) -> int:
    """Delete a batch of those kept long enough; returns how many."""
    async with database.reference() as tx:
        return await platform.delete_stray_events(tx, KEPT_DAYS, _BATCH)
