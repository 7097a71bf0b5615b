"""Look-ups behind an id that is no payment: what else it names, where else it may be, what came of events about it.

Where a connection may be None, all of the organization's are meant.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from refref.core.unbound import Standing
from refref.core.unknown_ids import Named
from refref.db.pool import Connection


async def named(tx: Connection, organization_id: str, connection_id: str | None, text: str, code: str) -> list[Named]:
    """What of the set-up and the catalogue an id, a code (as it is stored), a name or an address names."""
    rows = await tx.fetch(
        """
        select 'participant', p.participant_id, p.name, '', '', false from participant p
        where p.organization_id = $1 and ($2::text is null or p.connection_id = $2)
          and (p.participant_id = $3 or lower(p.email) = lower($3))
        union all
        select c.code_kind, c.code, c.shown_as, p.name, p.participant_id, c.deactivated_at is not null
        from participant_code c join participant p on p.organization_id = $1 and p.participant_id = c.participant_id
        where c.organization_id = $1 and ($2::text is null or c.connection_id = $2) and c.code = $4
        union all
        select 'promotion_code', k.stripe_promotion_code_id, k.code, coalesce(p.name, ''),
               coalesce(p.participant_id, ''), not k.is_active
        from catalog_promotion_code k
        left join participant_code c on c.organization_id = $1 and c.connection_id = k.connection_id
             and c.code = k.stripe_promotion_code_id
        left join participant p on p.organization_id = $1 and p.participant_id = c.participant_id
        where k.organization_id = $1 and ($2::text is null or k.connection_id = $2)
          and (k.stripe_promotion_code_id = $3 and c.code is null or lower(k.code) = lower($3))
        union all
        select 'program', program_id, name, '', '', false from program
        where organization_id = $1 and program_id = $3
        union all
        select 'payout', y.payout_id, p.name, '', '', false
        from payout y join participant p on p.organization_id = $1 and p.participant_id = y.participant_id
        where y.organization_id = $1 and y.payout_id = $3
        union all
        select 'connection', connection_id, name, '', '', false from connection
        where organization_id = $1 and connection_id = $3
        union all
        select 'product', stripe_product_id, name, '', '', false from catalog_product
        where organization_id = $1 and ($2::text is null or connection_id = $2) and stripe_product_id = $3
        union all
        select 'price', p.stripe_price_id, coalesce(nullif(r.name, ''), p.stripe_product_id), '', '', false
        from catalog_price p left join catalog_product r on r.organization_id = $1
             and r.connection_id = p.connection_id and r.stripe_product_id = p.stripe_product_id
        where p.organization_id = $1 and ($2::text is null or p.connection_id = $2) and p.stripe_price_id = $3
        union all
        select 'coupon', stripe_coupon_id, coalesce(nullif(name, ''), stripe_coupon_id), '', '', false
        from catalog_coupon where organization_id = $1 and ($2::text is null or connection_id = $2)
          and (stripe_coupon_id = $3 or lower(name) = lower($3))
        limit 5
        """,
        organization_id,
        connection_id,
        text,
        code,
    )
    return [Named(*row) for row in rows]


async def connections_that_know(
    tx: Connection, organization_id: str, connection_id: str | None, any_id: str
) -> list[str]:
    """The names (and modes) of the organization's other connections that know an id or an e-mail address."""
    if connection_id is None:
        return []
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
    tx: Connection, organization_id: str, connection_id: str | None, object_id: str
) -> list[tuple[str, str]]:
    """Events about an object that are not settled, as (type, state): pending, parked, ignored, quarantined."""
    rows = await tx.fetch(
        """
        select distinct e.type, e.state from stripe_event e
        where e.organization_id = $1 and ($2::text is null or e.connection_id = $2) and e.object_id = $3
          and e.state in ('ignored', 'quarantined') and e.state <> 'accepted'
        union
        select e.type, i.state from inbox i join stripe_event e using (organization_id, connection_id, event_seq)
        where i.organization_id = $1 and ($2::text is null or i.connection_id = $2) and e.object_id = $3
        order by 1, 2 limit 20
        """,
        organization_id,
        connection_id,
        object_id,
    )
    return [(row[0], row[1]) for row in rows]


async def last_webhook_at(tx: Connection, organization_id: str, connection_id: str | None) -> datetime | None:
    """When the last webhook was received."""
    at: datetime | None = await tx.fetchval(
        "select received_at from stripe_event where organization_id = $1 and ($2::text is null or connection_id = $2)"
        " and source = 'webhook' order by event_seq desc limit 1",
        organization_id,
        connection_id,
    )
    return at


async def has_history(tx: Connection, organization_id: str, connection_id: str | None) -> bool:
    """Whether the history of the account was read."""
    found: bool = await tx.fetchval(
        "select exists (select from history_run where organization_id = $1"
        " and ($2::text is null or connection_id = $2) and kind = 'backfill' and status = 'done')",
        organization_id,
        connection_id,
    )
    return found


async def standings_of(
    tx: Connection, organization_id: str, connection_id: str, keys: Collection[str]
) -> dict[str, Standing]:
    """How the owners of codes and participant ids stand now, by look-up key; those of this connection come first."""
    rows = await tx.fetch(
        """
        select k.key, p.participant_id, p.name, g.program_id, g.name,
               exists (select from terms t where t.organization_id = $1 and t.program_id = g.program_id),
               g.status = 'archived', least(k.ended_at, ceil(extract(epoch from p.paused_at))::bigint),
               case when n.connection_id = $2 then '' else n.name end
        from (
          select code as key, participant_id, ceil(extract(epoch from deactivated_at))::bigint as ended_at
          from participant_code where organization_id = $1 and code = any ($3)
          union all
          select participant_id, participant_id, null from participant
          where organization_id = $1 and participant_id = any ($3)
        ) k
        join participant p on p.organization_id = $1 and p.participant_id = k.participant_id
        join program g on g.organization_id = $1 and g.program_id = p.program_id
        join connection n on n.organization_id = $1 and n.connection_id = p.connection_id
        order by n.connection_id <> $2 desc, p.participant_id
        """,
        organization_id,
        connection_id,
        list(keys),
    )
    return {row[0]: Standing(*row[1:]) for row in rows}
