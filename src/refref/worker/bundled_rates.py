"""After an upgrade the history of rates that comes with RefRef reaches further: the books of everybody take note."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from refref.db import organizations
from refref.db.pool import Database
from refref.flows.rates import adopt_bundled_history

log = structlog.get_logger("refref.rates")


async def adopt_bundled_rates(database: Database, now: Callable[[], int]) -> int:
    """Let each organization's books know of the bundled history; returns for how many that was news."""
    async with database.reference() as tx:
        known = [row.organization_id for row in await organizations.all_organizations(tx)]
    adopted = 0
    for organization_id in known:
        async with database.tenant(organization_id) as tx:
            upload = await adopt_bundled_history(tx, organization_id, datetime.fromtimestamp(now(), UTC))
        if upload is not None:
            adopted += 1
            log.info("history of rates", organization_id=organization_id, last_day=upload.last_day.isoformat())
    return adopted
