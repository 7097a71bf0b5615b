"""Stripe types that custom events ask for, how far stored events were read again for them, and recent samples."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from refref.core.custom_types import CustomPaths
from refref.db.bodies import decompress
from refref.db.pool import Connection

SETTLED_AFTER_S = 15  # by then whatever was being stored when the terms were published is stored


@dataclass(frozen=True, slots=True)
class Rereading:
    """How far stored events of one type were put back to be read again: `percent` of what is stored, by place."""

    stripe_type: str
    asked_at: datetime
    percent: int
    is_done: bool


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A stored event of the connection, as it arrived."""

    stripe_event_id: str
    stripe_type: str
    created_at: datetime
    body: bytes


async def ask_for_types(tx: Connection, organization_id: str, connection_id: str, paths: CustomPaths) -> int:
    """Let events of these types be read from now on, and stored ones again; returns how many rows are new."""
    pairs = [(stripe_type, path) for stripe_type, found in paths.items() for path in found]
    if not pairs:
        return 0
    tag = await tx.execute(
        """
        insert into custom_event_type (organization_id, connection_id, stripe_type, customer_path)
        select $1, $2, n.* from unnest($3::text[], $4::text[]) n on conflict do nothing
        """,
        organization_id,
        connection_id,
        [stripe_type for stripe_type, _ in pairs],
        [path for _, path in pairs],
    )
    return int(tag.rsplit(" ", 1)[-1])


async def paths_by_type(tx: Connection, organization_id: str, connection_id: str) -> CustomPaths:
    """Where custom events look for the customer, by Stripe type."""
    rows = await tx.fetch(
        """
        select stripe_type, array_agg(customer_path order by customer_path) from custom_event_type
        where organization_id = $1 and connection_id = $2 group by 1
        """,
        organization_id,
        connection_id,
    )
    return {row[0]: tuple(row[1]) for row in rows}


async def connections_to_read_again(connection: Connection) -> list[tuple[str, str]]:
    """The connections with stored events to read again: (organization_id, connection_id)."""
    rows = await connection.fetch("select organization_id, connection_id from connections_to_read_again()")
    return [(row[0], row[1]) for row in rows]


async def is_reading_again(tx: Connection, organization_id: str, connection_id: str) -> bool:
    """Whether stored events are still to be put back to work."""
    found: bool = await tx.fetchval(
        """
        select exists (
          select from custom_event_type t
          where t.organization_id = $1 and t.connection_id = $2 and not t.is_read
            and exists (select from stripe_event e where e.organization_id = $1 and e.connection_id = $2
                        and e.event_seq > t.cursor_seq and e.type = t.stripe_type
                        and e.state in ('accepted', 'ignored')
                        and e.received_at <= t.asked_at + make_interval(secs => $3))
        )
        """,
        organization_id,
        connection_id,
        SETTLED_AFTER_S,
    )
    return found


async def put_back_page(tx: Connection, organization_id: str, connection_id: str, limit: int) -> int:
    """Put the next page of stored events of asked-for types back to work; returns how many events were looked at.

    Types are read together from the same place on. What comes later than the terms is read as it comes.
    """
    looked_at: int = await tx.fetchval(
        """
        with start as (
          select cursor_seq, max(asked_at) + make_interval(secs => $4) as until_at from custom_event_type
          where organization_id = $1 and connection_id = $2 and not is_read group by 1 order by 1 limit 1
        ),
        asked as (
          select t.stripe_type, t.customer_path from custom_event_type t join start using (cursor_seq)
          where t.organization_id = $1 and t.connection_id = $2 and not t.is_read
        ),
        page as (
          select e.event_seq, e.type, e.state from stripe_event e, start
          where e.organization_id = $1 and e.connection_id = $2 and e.event_seq > start.cursor_seq
            and e.received_at <= start.until_at
          order by e.event_seq limit $3
        ),
        put_back as (
          insert into inbox (organization_id, connection_id, event_seq)
          select $1, $2, event_seq from page
          where state in ('accepted', 'ignored') and type in (select stripe_type from asked)
          on conflict do nothing
        ),
        moved as (
          update custom_event_type t set cursor_seq = (select max(event_seq) from page)
          from asked a
          where t.organization_id = $1 and t.connection_id = $2 and t.stripe_type = a.stripe_type
            and t.customer_path = a.customer_path and exists (select from page)
        )
        select count(*) from page
        """,
        organization_id,
        connection_id,
        limit,
        SETTLED_AFTER_S,
    )
    return looked_at


async def finish_types(tx: Connection, organization_id: str, connection_id: str) -> None:
    """Mark types done of which every event from before the terms was put back; those of them that were just being
    stored as ignored when the terms were published are put back now."""
    await tx.execute(
        """
        with done as (
          update custom_event_type t set is_read = true
          where t.organization_id = $1 and t.connection_id = $2 and not t.is_read
            and t.asked_at < now() - make_interval(secs => $3)
            and not exists (select from stripe_event e where e.organization_id = $1 and e.connection_id = $2
                            and e.event_seq > t.cursor_seq and e.received_at <= t.asked_at + make_interval(secs => $3))
          returning t.stripe_type, t.asked_at
        )
        insert into inbox (organization_id, connection_id, event_seq)
        select distinct $1, $2, e.event_seq from done
        join stripe_event e on e.organization_id = $1 and e.connection_id = $2 and e.type = done.stripe_type
        where e.state = 'ignored' and e.received_at > done.asked_at - interval '1 minute'
          and e.received_at <= done.asked_at + make_interval(secs => $3)
        on conflict do nothing
        """,
        organization_id,
        connection_id,
        SETTLED_AFTER_S,
    )


async def rereadings(tx: Connection, organization_id: str, connection_id: str) -> list[Rereading]:
    """The progress of each type, in order of name."""
    rows = await tx.fetch(
        """
        select t.stripe_type, min(t.asked_at), bool_and(t.is_read), min(t.cursor_seq) filter (where not t.is_read),
          (select min(event_seq) from stripe_event where organization_id = $1 and connection_id = $2),
          (select max(event_seq) from stripe_event where organization_id = $1 and connection_id = $2)
        from custom_event_type t where t.organization_id = $1 and t.connection_id = $2
        group by t.stripe_type order by t.stripe_type
        """,
        organization_id,
        connection_id,
    )
    return [Rereading(row[0], row[1], _percent(row[2], row[3], row[4], row[5]), row[2]) for row in rows]


def _percent(is_done: bool, cursor: int | None, first: int | None, last: int | None) -> int:
    if is_done or cursor is None or first is None or last is None:
        return 100
    return min(100, 100 * max(0, cursor - first + 1) // (last - first + 1))


async def count_of_events(tx: Connection, organization_id: str, connection_id: str) -> int:
    """How many events are stored, whatever became of them."""
    count: int = await tx.fetchval(
        "select count(*) from stripe_event where organization_id = $1 and connection_id = $2",
        organization_id,
        connection_id,
    )
    return count


async def events_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    stripe_types: Collection[str],
    after_seq: int,
    limit: int,
) -> list[tuple[int, str, bytes | None]]:
    """The next stored events in order of arrival as (place, type, body); the body of these types alone, where it may be
    read. Goes by place, so that a rare type needs no long statement."""
    rows = await tx.fetch(
        """
        select event_seq, type, case when type = any ($4) and state in ('accepted', 'ignored') then body end
        from stripe_event
        where organization_id = $1 and connection_id = $2 and event_seq > $3
        order by event_seq limit $5
        """,
        organization_id,
        connection_id,
        after_seq,
        list(stripe_types),
        limit,
    )
    return [(row[0], row[1], None if row[2] is None else decompress(row[2])) for row in rows]


async def recent_events(
    tx: Connection, organization_id: str, connection_id: str, stripe_types: Collection[str], limit: int
) -> list[StoredSample]:
    """The newest stored events of these types, whatever became of them, but for those of the other mode."""
    rows = await tx.fetch(
        """
        select stripe_event_id, type, created_at, body from stripe_event
        where organization_id = $1 and connection_id = $2 and type = any ($3) and state in ('accepted', 'ignored')
        order by event_seq desc limit $4
        """,
        organization_id,
        connection_id,
        list(stripe_types),
        limit,
    )
    return [StoredSample(row[0], row[1], row[2], decompress(row[3])) for row in rows]
