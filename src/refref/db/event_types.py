"""Which types of Stripe events a connection has had lately. Reads only."""

from __future__ import annotations

from refref.db.pool import Connection

LATELY = 5_000  # events


async def recent_types(tx: Connection, organization_id: str, connection_id: str) -> list[tuple[str, int]]:
    """The types among the newest stored events with how many there are of each, in order of name."""
    rows = await tx.fetch(
        """
        select type, count(*) from (
          select type from stripe_event where organization_id = $1 and connection_id = $2
          order by event_seq desc limit $3
        ) newest group by type order by type
        """,
        organization_id,
        connection_id,
        LATELY,
    )
    return [(row[0], row[1]) for row in rows]
