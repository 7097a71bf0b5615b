"""Deliveries that intake refused, counted by connection and code; the count begins anew after a day without one."""

from __future__ import annotations

from datetime import datetime

from refref.db.pool import Connection


async def note_refusals(
    tx: Connection, organization_id: str, connection_id: str, code: str, count: int, at: datetime
) -> None:
    """Add `count` refusals, the last of them at `at`."""
    await tx.execute(
        """
        insert into delivery_refusal as r (organization_id, connection_id, code, refused_count, first_at, last_at)
        values ($1, $2, $3, $4, $5, $5)
        on conflict (organization_id, connection_id, code) do update set
          refused_count = case when r.last_at < $5 - interval '1 day' then $4 else r.refused_count + $4 end,
          first_at = case when r.last_at < $5 - interval '1 day' then $5 else r.first_at end,
          last_at = greatest(r.last_at, $5)
        """,
        organization_id,
        connection_id,
        code,
        count,
        at,
    )
