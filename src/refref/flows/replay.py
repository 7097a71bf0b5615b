"""Replay: put stored events back to work. Settling an event twice books nothing twice."""

from __future__ import annotations

from collections.abc import Sequence

from refref.db import inbox
from refref.db.pool import Connection


async def replay_events(
    tx: Connection, organization_id: str, connection_id: str, *, event_ids: Sequence[str] | None, only_parked: bool
) -> int:
    """Put events (None: all) or only parked ones back into the inbox and call the pumps; returns how many."""
    count = await inbox.replay(tx, organization_id, connection_id, event_ids=event_ids, only_parked=only_parked)
    await inbox.wake_pumps(tx)
    return count
