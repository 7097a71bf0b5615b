"""What is or was wrong with connections, what was seen when somebody looked, and when the worker looks next."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from refref.db.pool import Connection

CheckKind = Literal["permissions", "endpoint"]


@dataclass(frozen=True, slots=True)
class ConnectionProblem:
    """One problem; open while `ended_at` is None. `detail` names what it is about."""

    connection_id: str
    code: str
    began_at: datetime
    detail: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class SeenCheck:
    """What was seen at `checked_at`; `body` as the edge that looked wrote it."""

    checked_at: datetime
    body: Mapping[str, Any]  # JSON


async def open_problems(
    tx: Connection, organization_id: str, connection_id: str | None = None
) -> list[ConnectionProblem]:
    """What is wrong now, the oldest first: with one connection, or with any."""
    rows = await tx.fetch(
        "select connection_id, code, began_at, detail, ended_at from connection_problem"
        " where organization_id = $1 and ($2::text is null or connection_id = $2) and ended_at is null"
        " order by began_at, connection_id, code",
        organization_id,
        connection_id,
    )
    return [ConnectionProblem(**row) for row in rows]


async def recent_problems(
    tx: Connection, organization_id: str, connection_id: str, limit: int
) -> list[ConnectionProblem]:
    """What is or was wrong with a connection, the latest first."""
    rows = await tx.fetch(
        "select connection_id, code, began_at, detail, ended_at from connection_problem"
        " where organization_id = $1 and connection_id = $2 order by began_at desc, code limit $3",
        organization_id,
        connection_id,
        limit,
    )
    return [ConnectionProblem(**row) for row in rows]


async def note_new_problems(
    tx: Connection, organization_id: str, connection_id: str, problems: Mapping[str, str], now: datetime
) -> list[str]:
    """Note problems (code: detail) that are not open yet; returns their codes. An open one keeps its beginning."""
    rows = await tx.fetch(
        """
        insert into connection_problem (organization_id, connection_id, code, began_at, detail)
        select $1, $2, p.code, $5, p.detail from unnest($3::text[], $4::text[]) as p (code, detail)
        on conflict (organization_id, connection_id, code) where ended_at is null
        do update set detail = excluded.detail
        returning code, began_at = $5 and xmax = 0 as is_new
        """,
        organization_id,
        connection_id,
        list(problems),
        list(problems.values()),
        now,
    )
    return [row["code"] for row in rows if row["is_new"]]


async def note_ended_problems(
    tx: Connection, organization_id: str, connection_id: str, codes: Sequence[str], now: datetime
) -> list[str]:
    """Note that problems are over; returns the codes of those that were open."""
    rows = await tx.fetch(
        "update connection_problem set ended_at = greatest($4, began_at) where organization_id = $1"
        " and connection_id = $2 and code = any ($3) and ended_at is null returning code",
        organization_id,
        connection_id,
        list(codes),
        now,
    )
    return [row["code"] for row in rows]


async def problems_to_mail(tx: Connection, organization_id: str, now: datetime) -> list[ConnectionProblem]:
    """Open problems that nobody was mailed about; one that comes again and again is mailed about every six hours."""
    rows = await tx.fetch(
        """
        select connection_id, code, began_at, detail, ended_at from connection_problem p
        where organization_id = $1 and mailed_at is null and ended_at is null
          and not exists (select from connection_problem q where q.organization_id = p.organization_id
                          and q.connection_id = p.connection_id and q.code = p.code
                          and q.mailed_at > $2::timestamptz - interval '6 hours')
        order by began_at, connection_id, code
        """,
        organization_id,
        now,
    )
    return [ConnectionProblem(**row) for row in rows]


@asynccontextmanager
async def only_mailer(connection: Connection) -> AsyncIterator[bool]:
    """Whether this process may send mail now; no other one may until the block ends, or the process."""
    is_mine: bool = await connection.fetchval("select pg_try_advisory_lock(hashtextextended('mail', 2))")
    try:
        yield is_mine
    finally:
        if is_mine:
            await connection.execute("select pg_advisory_unlock(hashtextextended('mail', 2))")


async def mark_mailed(
    tx: Connection, organization_id: str, problems: Sequence[ConnectionProblem], now: datetime
) -> None:
    """Note that problems were mailed about."""
    await tx.execute(
        """
        update connection_problem p set mailed_at = $2
        from unnest($3::text[], $4::text[], $5::timestamptz[]) as m (connection_id, code, began_at)
        where p.organization_id = $1 and p.connection_id = m.connection_id and p.code = m.code
          and p.began_at = m.began_at
        """,
        organization_id,
        now,
        [problem.connection_id for problem in problems],
        [problem.code for problem in problems],
        [problem.began_at for problem in problems],
    )


async def store_check(
    tx: Connection, organization_id: str, connection_id: str, kind: CheckKind, body: Mapping[str, Any], now: datetime
) -> None:
    """Keep what was seen; it takes the place of what was seen before."""
    await tx.execute(
        """
        insert into connection_check (organization_id, connection_id, kind, checked_at, body)
        values ($1, $2, $3, $4, $5)
        on conflict (organization_id, connection_id, kind)
        do update set checked_at = excluded.checked_at, body = excluded.body
        """,
        organization_id,
        connection_id,
        kind,
        now,
        json.dumps(body),
    )


async def seen_check(tx: Connection, organization_id: str, connection_id: str, kind: CheckKind) -> SeenCheck | None:
    """What was seen last; None when nobody has looked."""
    row = await tx.fetchrow(
        "select checked_at, body from connection_check where organization_id = $1 and connection_id = $2 and kind = $3",
        organization_id,
        connection_id,
        kind,
    )
    return None if row is None else SeenCheck(row["checked_at"], json.loads(row["body"]))


async def update_check_at(tx: Connection, organization_id: str, connection_id: str, at: datetime) -> None:
    """When the worker asks Stripe next whether the connection still works."""
    await tx.execute(
        "update connection set check_at = $3 where organization_id = $1 and connection_id = $2",
        organization_id,
        connection_id,
        at,
    )


async def take_check(tx: Connection, organization_id: str, connection_id: str, next_at: datetime) -> bool:
    """Take the check that is due, the next one being at `next_at`; False where another worker has taken it."""
    taken = await tx.fetchval(
        "update connection set check_at = $3 where organization_id = $1 and connection_id = $2 and check_at <= now()"
        " returning true",
        organization_id,
        connection_id,
        next_at,
    )
    return taken is True


async def update_status(tx: Connection, organization_id: str, connection_id: str, status: str) -> None:
    await tx.execute(
        "update connection set status = $3 where organization_id = $1 and connection_id = $2",
        organization_id,
        connection_id,
        status,
    )


async def note_version(tx: Connection, organization_id: str, connection_id: str) -> tuple[str | None, str | None]:
    """The API version that was noted before, and that of the newest delivery; notes the newer one."""
    row = await tx.fetchrow(
        """
        with newest as (
          select api_version from (
            select api_version, source, event_seq from stripe_event where organization_id = $1 and connection_id = $2
            order by event_seq desc limit 1000
          ) latest where source = 'webhook' and api_version is not null order by event_seq desc limit 1
        )
        update connection c set event_version = coalesce((select api_version from newest), c.event_version)
        from (select event_version from connection where organization_id = $1 and connection_id = $2 for update) before
        where c.organization_id = $1 and c.connection_id = $2
        returning before.event_version as noted, c.event_version as newest
        """,
        organization_id,
        connection_id,
    )
    return (None, None) if row is None else (row["noted"], row["newest"])


async def connections_to_check(connection: Connection) -> list[tuple[str, str]]:
    """The connections that Stripe is to be asked about now: (organization_id, connection_id)."""
    rows = await connection.fetch("select organization_id, connection_id from connections_to_check()")
    return [(row[0], row[1]) for row in rows]


async def organizations_to_mail(connection: Connection) -> list[str]:
    """The organizations with problems that nobody was mailed about."""
    return [row[0] for row in await connection.fetch("select organization_id from organizations_to_mail()")]


async def last_received_at(
    tx: Connection, organization_id: str, connection_id: str, event_type: str
) -> datetime | None:
    """When an event of a type came in last, where it is among the latest 200 events."""
    found: datetime | None = await tx.fetchval(
        """
        select max(received_at) from (
          select type, received_at from stripe_event where organization_id = $1 and connection_id = $2
          order by event_seq desc limit 200
        ) latest where type = $3
        """,
        organization_id,
        connection_id,
        event_type,
    )
    return found


async def has_refused_needs(tx: Connection, organization_id: str, connection_id: str) -> bool:
    """Whether something waits for a permission that the key lacks."""
    found: bool = await tx.fetchval(
        "select exists (select from open_need where organization_id = $1 and connection_id = $2"
        " and starts_with(error, 'permission:'))",
        organization_id,
        connection_id,
    )
    return found


async def update_needs_due(tx: Connection, organization_id: str, connection_id: str) -> int:
    """Ask Stripe again at once for everything that was refused while the connection was cut off; returns how many."""
    tag = await tx.execute(
        "update open_need set due_at = now(), attempts = 0"
        " where organization_id = $1 and connection_id = $2 and attempts > 0",
        organization_id,
        connection_id,
    )
    return int(tag.rsplit(" ", 1)[-1])
