"""Backtests: what was asked for, how far it is, what came of it; and the history that they read, in pages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from refref.core.facts import Fact, decode_fact
from refref.core.terms import Terms
from refref.db.pool import Connection

_COLUMNS = (
    "organization_id, backtest_id, program_id, connection_id, status, terms_source, terms, effective_at, created_by,"
    " created_at, started_at, finished_at, steps_done, steps_total, error, report"
)


@dataclass(frozen=True, slots=True)
class Backtest:
    """`status`: waiting, running, done, failed, cancelled; `terms_source`: draft, `version <n>` or given. `report`: the
    JSON of what was found, without its lines."""

    organization_id: str
    backtest_id: str
    program_id: str
    connection_id: str
    status: str
    terms_source: str
    body: str
    effective_at: datetime
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    steps_done: int = 0
    steps_total: int = 0
    error: str | None = None
    report: str | None = None

    @property
    def terms(self) -> Terms:
        """The terms that are tried."""
        return msgspec.json.decode(self.body, type=Terms)


@dataclass(frozen=True, slots=True)
class Line:
    """What a participant ('' stands for the referred customers themselves) or a product comes to, in one currency."""

    subject: str
    name: str
    currency: str
    booked_minor: int
    draft_minor: int
    changed: int

    @property
    def difference_minor(self) -> int:
        return self.draft_minor - self.booked_minor


async def insert(tx: Connection, made: Backtest) -> None:
    """Ask for a backtest."""
    await tx.execute(
        """
        insert into backtest (organization_id, backtest_id, program_id, connection_id, status, terms_source, terms,
                              effective_at, created_by, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        made.organization_id,
        made.backtest_id,
        made.program_id,
        made.connection_id,
        made.status,
        made.terms_source,
        made.body,
        made.effective_at,
        made.created_by,
        made.created_at,
    )


async def forget_older(tx: Connection, organization_id: str, program_id: str, keep: int) -> None:
    """Remove all but the newest backtests of a program that are over."""
    await tx.execute(
        """
        delete from backtest where organization_id = $1 and program_id = $2 and status not in ('waiting', 'running')
          and backtest_id not in (select backtest_id from backtest where organization_id = $1 and program_id = $2
                                  order by backtest_id desc limit $3)
        """,
        organization_id,
        program_id,
        keep,
    )


async def backtest_by_id(tx: Connection, organization_id: str, backtest_id: str) -> Backtest | None:
    row = await tx.fetchrow(
        f"select {_COLUMNS} from backtest where organization_id = $1 and backtest_id = $2",  # noqa: S608 - a constant
        organization_id,
        backtest_id,
    )
    return None if row is None else Backtest(*row)


async def backtests(
    tx: Connection, organization_id: str, program_id: str, *, before: str | None = None, limit: int = 20
) -> list[Backtest]:
    """The backtests of a program, the newest first, those older than the id `before`."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from backtest where organization_id = $1 and program_id = $2"  # noqa: S608 - a constant
        " and ($3::text is null or backtest_id < $3) order by backtest_id desc limit $4",
        organization_id,
        program_id,
        before,
        limit,
    )
    return [Backtest(*row) for row in rows]


# Working -------------------------------------------------------------------------------------------------------------


async def due(connection: Connection) -> list[tuple[str, str]]:
    """Backtests to work on: (organization_id, backtest_id)."""
    rows = await connection.fetch("select organization_id, backtest_id from backtests_due()")
    return [(row[0], row[1]) for row in rows]


async def claim(tx: Connection, organization_id: str, backtest_id: str, most_attempts: int) -> int | None:
    """Take a backtest that is due; its attempt, or None where somebody else has it or it failed too often."""
    attempt: int | None = await tx.fetchval(
        """
        update backtest b set attempt = attempt + 1, heartbeat_at = now(), started_at = coalesce(started_at, now()),
          steps_done = 0,
          status = case when attempt < $3 then 'running' else 'failed' end,
          finished_at = case when attempt < $3 then null else now() end,
          error = case when attempt < $3 then null else 'Its worker ended each time. Look at the worker''s log.' end
        where organization_id = $1 and backtest_id = $2
          and (status = 'waiting' or (status = 'running' and heartbeat_at < now() - interval '60 seconds'))
        returning case when status = 'running' then attempt end
        """,
        organization_id,
        backtest_id,
        most_attempts,
    )
    return attempt


async def beat(tx: Connection, organization_id: str, backtest_id: str, attempt: int, done: int, total: int) -> bool:
    """Store how far an attempt is; False where it was cancelled or another one took over."""
    tag = await tx.execute(
        """
        update backtest set heartbeat_at = now(), steps_done = $4, steps_total = $5
        where organization_id = $1 and backtest_id = $2 and status = 'running' and attempt = $3
        """,
        organization_id,
        backtest_id,
        attempt,
        done,
        total,
    )
    return tag.endswith(" 1")


async def finish(
    tx: Connection, organization_id: str, backtest_id: str, attempt: int, *, report: str | None, error: str | None
) -> bool:
    """End an attempt, with its report or with what went wrong; False where it is no longer the one that counts."""
    tag = await tx.execute(
        """
        update backtest set status = case when $5::text is null then 'done' else 'failed' end, finished_at = now(),
          report = $4, error = $5, steps_done = case when $5::text is null then steps_total else steps_done end
        where organization_id = $1 and backtest_id = $2 and status = 'running' and attempt = $3
        """,
        organization_id,
        backtest_id,
        attempt,
        report,
        error,
    )
    return tag.endswith(" 1")


async def cancel(tx: Connection, organization_id: str, backtest_id: str) -> bool:
    """Stop a backtest; False where it was over already."""
    tag = await tx.execute(
        """
        update backtest set status = 'cancelled', finished_at = now()
        where organization_id = $1 and backtest_id = $2 and status in ('waiting', 'running')
        """,
        organization_id,
        backtest_id,
    )
    return tag.endswith(" 1")


async def store_lines(
    tx: Connection, organization_id: str, backtest_id: str, kind: str, rows: Sequence[tuple[str, str, int, int, int]]
) -> None:
    """Write what participants or products come to, as (subject, currency, booked, draft, changed)."""
    await tx.execute(
        """
        insert into backtest_line (organization_id, backtest_id, kind, subject, currency, booked_minor, draft_minor,
                                   changed)
        select $1, $2, $3, l.* from unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[]) l
        """,
        organization_id,
        backtest_id,
        kind,
        *([row[place] for row in rows] for place in range(5)),
    )


async def lines(
    tx: Connection, organization_id: str, backtest_id: str, kind: str, *, after: int = 0, limit: int = 100
) -> list[Line]:
    """What participants or products come to, the largest difference first, from the row after `after` on."""
    rows = await tx.fetch(
        """
        select l.subject, coalesce(p.name, ''), l.currency, l.booked_minor, l.draft_minor, l.changed
        from backtest_line l
        left join participant p on p.organization_id = $1 and p.participant_id = l.subject and l.kind = 'participant'
        where l.organization_id = $1 and l.backtest_id = $2 and l.kind = $3
        order by abs(l.draft_minor - l.booked_minor) desc, l.draft_minor desc, l.subject, l.currency
        offset $4 limit $5
        """,
        organization_id,
        backtest_id,
        kind,
        after,
        limit,
    )
    return [Line(*row) for row in rows]


# The history ---------------------------------------------------------------------------------------------------------


async def conversions_of_program(tx: Connection, organization_id: str, connection_id: str, program_id: str) -> int:
    """How many conversions of a program the books know."""
    count: int = await tx.fetchval(
        "select count(*) from decision where organization_id = $1 and connection_id = $2 and program_id = $3",
        organization_id,
        connection_id,
        program_id,
    )
    return count


async def scope_bounds(tx: Connection, organization_id: str, connection_id: str, parts: int) -> list[str]:
    """The last scope of each of `parts` parts of about the same size but the last one's, which is open."""
    if parts < 2:
        return []
    found: list[str] | None = await tx.fetchval(
        """
        select percentile_disc($3::float8[]) within group (order by scope_id) from fact
        where organization_id = $1 and connection_id = $2
        """,
        organization_id,
        connection_id,
        [number / parts for number in range(1, parts)],
    )
    return [] if found is None else [bound for bound in found if bound is not None]


async def facts_page(
    tx: Connection, organization_id: str, connection_id: str, after: str, last: str | None, scopes: int
) -> dict[str, list[Fact]]:
    """The facts of the next `scopes` scopes after one, up to `last` (None: all), in order of scope."""
    rows = await tx.fetch(
        """
        with page as materialized (
          select distinct scope_id from fact
          where organization_id = $1 and connection_id = $2 and scope_id > $3
            and ($4::text is null or scope_id <= $4)
          order by scope_id limit $5
        )
        select f.scope_id, f.body from page
        join fact f on f.organization_id = $1 and f.connection_id = $2 and f.scope_id = page.scope_id
        order by f.scope_id
        """,
        organization_id,
        connection_id,
        after,
        last,
        scopes,
    )
    found: dict[str, list[Fact]] = {}
    for scope, body in rows:
        found.setdefault(scope, []).append(decode_fact(body))
    return found


async def scopes_of(
    tx: Connection, organization_id: str, connection_id: str, stripe_ids: Collection[str]
) -> dict[str, str]:
    """The scope of each of these Stripe objects that is known."""
    rows = await tx.fetch(
        """
        select f.stripe_id, f.scope_id from unnest($3::text[]) as wanted (stripe_id)
        join fact f on f.organization_id = $1 and f.connection_id = $2 and f.stripe_id = wanted.stripe_id
        """,
        organization_id,
        connection_id,
        list(stripe_ids),
    )
    return {row[0]: row[1] for row in rows}


async def booked_bodies(
    tx: Connection, organization_id: str, connection_id: str, program_id: str, scope_ids: Collection[str]
) -> list[tuple[str, bytes]]:
    """The stored decisions of scopes in one program, as (scope, body)."""
    rows = await tx.fetch(
        """
        select d.scope_id, d.body from unnest($4::text[]) as wanted (scope_id)
        join decision d on d.organization_id = $1 and d.connection_id = $2 and d.scope_id = wanted.scope_id
             and d.program_id = $3
        """,
        organization_id,
        connection_id,
        program_id,
        list(scope_ids),
    )
    return [(row[0], row[1]) for row in rows]
