"""The events list of each connection: whether it stands in for webhooks, up to when it was read, what it found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class EventPoll:
    """`is_intake`: no webhooks come, the list is the intake. `cursor_at` (seconds): all events made before it are
    stored; `new_count`: those that no webhook had brought."""

    is_intake: bool = False
    cursor_at: int | None = None
    checked_at: datetime | None = None
    read_count: int = 0
    new_count: int = 0
    missed_at: datetime | None = None
    attempts: int = 0
    error: str | None = None


async def poll_of(tx: Connection, organization_id: str, connection_id: str) -> EventPoll:
    """How polling of a connection stands."""
    row = await tx.fetchrow(
        """
        select is_intake, cursor_at, checked_at, read_count, new_count, missed_at, attempts, error from event_poll
        where organization_id = $1 and connection_id = $2
        """,
        organization_id,
        connection_id,
    )
    return EventPoll() if row is None else EventPoll(*row)


async def set_intake(tx: Connection, organization_id: str, connection_id: str, *, is_intake: bool) -> None:
    """Let the events list be the intake, or only look after the webhooks."""
    await tx.execute(
        """
        insert into event_poll (organization_id, connection_id, is_intake) values ($1, $2, $3)
        on conflict (organization_id, connection_id) do update set is_intake = $3, due_at = '-infinity'
        """,
        organization_id,
        connection_id,
        is_intake,
    )


async def take(tx: Connection, organization_id: str, connection_id: str, pause_s: int) -> EventPoll | None:
    """Take the next reading of a list that is due, for `pause_s` seconds; None where somebody else has it."""
    row = await tx.fetchrow(
        """
        insert into event_poll as p (organization_id, connection_id, due_at)
        values ($1, $2, now() + make_interval(secs => $3))
        on conflict (organization_id, connection_id) do update set due_at = excluded.due_at where p.due_at <= now()
        returning is_intake, cursor_at, checked_at, read_count, new_count, missed_at, attempts, error
        """,
        organization_id,
        connection_id,
        pause_s,
    )
    return None if row is None else EventPoll(*row)


async def note_page(tx: Connection, organization_id: str, connection_id: str, read: int, new: int) -> None:
    """Count what a page held, and how many of it were new."""
    await tx.execute(
        """
        update event_poll set read_count = read_count + $3, new_count = new_count + $4,
          missed_at = case when $4 > 0 then now() else missed_at end
        where organization_id = $1 and connection_id = $2
        """,
        organization_id,
        connection_id,
        read,
        new,
    )


async def move_cursor(tx: Connection, organization_id: str, connection_id: str, cursor_at: int, next_in_s: int) -> None:
    """All events before `cursor_at` are stored; the list is read again in `next_in_s` seconds."""
    await tx.execute(
        """
        update event_poll set cursor_at = greatest(cursor_at, $3), checked_at = now(), attempts = 0, error = null,
          due_at = now() + make_interval(secs => $4)
        where organization_id = $1 and connection_id = $2
        """,
        organization_id,
        connection_id,
        cursor_at,
        next_in_s,
    )


async def postpone(tx: Connection, organization_id: str, connection_id: str, sentence: str, pause_s: int) -> None:
    """Read again in `pause_s` seconds, and say why it could not be read."""
    await tx.execute(
        """
        update event_poll set attempts = attempts + 1, error = $3, due_at = now() + make_interval(secs => $4)
        where organization_id = $1 and connection_id = $2
        """,
        organization_id,
        connection_id,
        sentence[:1000],
        pause_s,
    )


async def due(connection: Connection) -> list[tuple[str, str]]:
    """Connections whose events list is to be read: (organization_id, connection_id)."""
    rows = await connection.fetch("select organization_id, connection_id from event_polls_due()")
    return [(row[0], row[1]) for row in rows]
