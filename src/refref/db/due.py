"""What is due by the clock alone: rewards whose hold has ended, or which expired."""

from __future__ import annotations

from refref.db.pool import Connection


async def connections_with_due_clock(connection: Connection) -> list[tuple[str, str]]:
    """Connections with rewards to mature or to expire: (organization_id, connection_id)."""
    rows = await connection.fetch("select organization_id, connection_id from connections_with_due_clock()")
    return [(row[0], row[1]) for row in rows]


async def maturing_scopes(tx: Connection, organization_id: str, connection_id: str, now: int, limit: int) -> list[str]:
    """Scopes with rewards whose hold ended, or which expired, at or before `now` (seconds), the longest due first."""
    rows = await tx.fetch(
        """
        select scope_id from reward
        where organization_id = $1 and connection_id = $2
          and (status = 'pending' and hold_until <= to_timestamp($3)
               or expires_at is not null and status in ('pending', 'payable', 'held') and paid_minor = 0
                  and expires_at <= to_timestamp($3))
        group by scope_id order by min(hold_until) limit $4
        """,
        organization_id,
        connection_id,
        now,
        limit,
    )
    return [row[0] for row in rows]
