"""The inbox: events as they arrived, and the work that is left. Rows of stripe_event never change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from refref.db.bodies import decompress
from refref.db.pool import Connection

State = Literal["accepted", "ignored", "quarantined"]
PARKED_AFTER = 8  # failures


class Arrival(NamedTuple):
    """An event on its way into the inbox, in the order of inbox_accept's arguments. `created_at` in seconds since 1970;
    `body` compressed by db.bodies."""

    organization_id: str
    connection_id: str
    stripe_event_id: str
    type: str
    object_id: str
    api_version: str | None
    livemode: bool
    state: State
    reason: str | None
    source: Literal["webhook", "poll", "told", "backfill", "reconcile"]
    created_at: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Work:
    """One event to settle; `body` raw as it arrived."""

    event_seq: int
    stripe_event_id: str
    type: str
    attempts: int
    body: bytes


_ACCEPT = "select inbox_accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"


async def accept(connection: Connection, arrivals: Sequence[Arrival]) -> int:
    """Store a batch of any organizations' events in one statement; known ones are left alone. Returns how many are new.

    Outside a transaction it commits by itself: when it returns, the batch is durable.
    """
    new: int = await connection.fetchval(_ACCEPT, *zip(*arrivals, strict=True))
    return new


@dataclass(frozen=True, slots=True)
class Claim:
    """A connection whose lock the transaction holds and whose tenant it has entered; `clock_ahead_s` is how far its
    (test) clock runs ahead."""

    organization_id: str
    connection_id: str
    clock_ahead_s: int
    has_dirty_scopes: bool


async def claim_connection(tx: Connection) -> Claim | None:
    """A connection with due work, locked for this transaction."""
    row = await tx.fetchrow(
        "select organization_id, connection_id, clock_ahead_s, has_dirty_scopes from inbox_claim_connection()"
    )
    return Claim(*row) if row else None


async def due_work(
    tx: Connection, organization_id: str, connection_id: str, limit: int, *, after_seq: int = 0
) -> list[Work]:
    """The oldest due events of a connection, whose lock the transaction holds.

    `after_seq` spares PostgreSQL the rows of finished events that no vacuum has taken away yet.
    """
    rows = await tx.fetch(
        """
        select e.event_seq, e.stripe_event_id, e.type, i.attempts, e.body
        from (
          select event_seq, attempts from inbox
          where organization_id = $1 and connection_id = $2 and event_seq > $4 and state = 'pending' and due_at <= now()
          order by event_seq limit $3
        ) i
        cross join lateral (
          select * from stripe_event e
          where e.organization_id = $1 and e.connection_id = $2 and e.event_seq = i.event_seq limit 1
        ) e
        order by i.event_seq
        """,
        organization_id,
        connection_id,
        limit,
        after_seq,
    )
    return [Work(row[0], row[1], row[2], row[3], decompress(row[4])) for row in rows]


async def finish(tx: Connection, organization_id: str, connection_id: str, event_seqs: Sequence[int]) -> None:
    """Mark events done, in the transaction that booked them."""
    await tx.execute(
        "delete from inbox where organization_id = $1 and connection_id = $2 and event_seq = any ($3)",
        organization_id,
        connection_id,
        list(event_seqs),
    )


async def fail(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    event_seq: int,
    code: str,
    sentence: str,
    *,
    is_final: bool,
) -> None:
    """Note a failed attempt: tried again later with growing pauses, parked after eight or when trying cannot help."""
    await tx.execute(
        """
        update inbox set attempts = attempts + 1, error_code = $4, error = $5,
          state = case when $6 or attempts + 1 >= $7 then 'parked' else 'pending' end,
          due_at = now() + least(power(2, attempts), 3600) * interval '1 second'
        where organization_id = $1 and connection_id = $2 and event_seq = $3
        """,
        organization_id,
        connection_id,
        event_seq,
        code,
        sentence[:1000],
        is_final,
        PARKED_AFTER,
    )


async def replay(
    tx: Connection, organization_id: str, connection_id: str, *, event_ids: Sequence[str] | None, only_parked: bool
) -> int:
    """Put events back to work: parked ones, or any accepted ones by id (None: all). Returns how many."""
    if only_parked:
        tag = await tx.execute(
            """
            update inbox i set state = 'pending', attempts = 0, due_at = '-infinity', queued_at = now(),
              error_code = null, error = null
            from stripe_event e
            where i.organization_id = $1 and i.connection_id = $2 and i.state = 'parked'
              and e.organization_id = $1 and e.connection_id = $2 and e.event_seq = i.event_seq
              and ($3::text[] is null or e.stripe_event_id = any ($3))
            """,
            organization_id,
            connection_id,
            None if event_ids is None else list(event_ids),
        )
    else:
        tag = await tx.execute(
            """
            insert into inbox (organization_id, connection_id, event_seq)
            select $1, $2, event_seq from stripe_event
            where organization_id = $1 and connection_id = $2 and state = 'accepted'
              and ($3::text[] is null or stripe_event_id = any ($3))
            on conflict (organization_id, connection_id, event_seq) do update
            set state = 'pending', attempts = 0, due_at = '-infinity', queued_at = now(),
              error_code = null, error = null
            """,
            organization_id,
            connection_id,
            None if event_ids is None else list(event_ids),
        )
    return int(tag.rsplit(" ", 1)[-1])


async def events_after(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    after_seq: int,
    limit: int,
    *,
    also_types: Sequence[str] = (),
) -> list[Work]:
    """Every accepted event in order of arrival, in pages; for reading all of history again.

    `also_types`: what custom events ask for, also where it came before anybody asked and was ignored.
    """
    rows = await tx.fetch(
        """
        select event_seq, stripe_event_id, type, 0, body from stripe_event
        where organization_id = $1 and connection_id = $2 and event_seq > $3
          and (state = 'accepted' or (state = 'ignored' and type = any ($5)))
        order by event_seq limit $4
        """,
        organization_id,
        connection_id,
        after_seq,
        limit,
        list(also_types),
    )
    return [Work(row[0], row[1], row[2], row[3], decompress(row[4])) for row in rows]


async def unfinished_seqs(tx: Connection, organization_id: str, connection_id: str) -> set[int]:
    """The events that are not settled: waiting or parked."""
    rows = await tx.fetch(
        "select event_seq from inbox where organization_id = $1 and connection_id = $2", organization_id, connection_id
    )
    return {row[0] for row in rows}


WAKE_CHANNEL = "refref_inbox"


async def wake_pumps(connection: Connection) -> None:
    """Tell waiting pumps, on any machine, that there is work."""
    await connection.execute("select pg_notify($1, '')", WAKE_CHANNEL)


async def is_waiting(tx: Connection, organization_id: str, connection_id: str, event_seq: int) -> bool:
    """Whether an event is still to be settled."""
    found: bool = await tx.fetchval(
        """
        select exists (select from inbox where organization_id = $1 and connection_id = $2 and event_seq = $3
                       and state = 'pending')
        """,
        organization_id,
        connection_id,
        event_seq,
    )
    return found


async def known_event_ids(
    tx: Connection, organization_id: str, connection_id: str, event_ids: Sequence[str]
) -> set[str]:
    """Those of the events that are stored already."""
    rows = await tx.fetch(
        "select stripe_event_id from stripe_event"
        " where organization_id = $1 and connection_id = $2 and stripe_event_id = any ($3)",
        organization_id,
        connection_id,
        list(event_ids),
    )
    return {row[0] for row in rows}
