"""The worker's watch over connections."""

from __future__ import annotations

from datetime import UTC, datetime

from refref.connecting.access import Desk
from refref.connecting.watch import check_due
from refref.db.pool import Database
from refref.settings import Settings
from refref.vault import Vault


async def watch_due(database: Database, vault: Vault, settings: Settings) -> int:
    """Look at every connection that is due; returns how many."""
    return await check_due(Desk(database, vault, settings.base_url), datetime.now(UTC))
