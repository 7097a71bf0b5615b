"""Look-ups behind an id that nothing is known of: where else it may be, and what came of events about it."""

from __future__ import annotations

from datetime import datetime

from refref.db.pool import Connection


async def connections_that_know(tx: Connection, organization_id: str, connection_id: str, any_id: str) -> list[str]:
    """The names (and modes) of the organization's other connections that know an id or an e-mail address."""
    rows = await tx.fetch(
        """
        select c.name || ' (' || c.mode || ' mode)' from connection c
        where c.organization_id = $1 and c.connection_id <> $2
          and (exists (select from fact f where f.organization_id = $1 and f.connection_id = c.connection_id
                       and f.stripe_id = $3)
               or exists (select from stripe_event e where e.organization_id = $1 and e.connection_id = c.connection_id
                          and e.stripe_event_id = $3)
               or exists (select from customer u where u.organization_id = $1 and u.connection_id = c.connection_id
                          and lower(u.email) = lower($3)))
        order by 1 limit 10
        """,
        organization_id,
        connection_id,
        any_id,
    )
    return [row[0] for row in rows]


async def events_about(
    tx: Connection, organization_id: str, connection_id: str, object_id: str
) -> list[tuple[str, str]]:
    """Events about an object that are not settled, as (type, state): pending, parked, ignored, quarantined."""
    rows = await tx.fetch(
        """
        select distinct e.type, case when e.state <> 'accepted' then e.state else i.state end
        from stripe_event e left join inbox i using (organization_id, connection_id, event_seq)
        where e.organization_id = $1 and e.connection_id = $2 and e.object_id = $3
          and (e.state <> 'accepted' or i.state is not null)
        order by 1 limit 20
        """,
        organization_id,
        connection_id,
        object_id,
    )
    return [(row[0], row[1]) for row in rows]


async def last_webhook_at(tx: Connection, organization_id: str, connection_id: str) -> datetime | None:
    """When the last webhook was received."""
    at: datetime | None = await tx.fetchval(
        "select received_at from stripe_event where organization_id = $1 and connection_id = $2 and source = 'webhook'"
        " order by event_seq desc limit 1",
        organization_id,
        connection_id,
    )
    return at


async def has_history(tx: Connection, organization_id: str, connection_id: str) -> bool:
    """Whether the history of the account was read."""
    found: bool = await tx.fetchval(
        "select exists (select from history_run where organization_id = $1 and connection_id = $2"
        " and kind = 'backfill' and status = 'done')",
        organization_id,
        connection_id,
    )
    return found
