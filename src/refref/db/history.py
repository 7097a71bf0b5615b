"""Readings of Stripe's lists (backfills, reconciliations, statements): what was asked for, how far each list is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from refref.core.history import Stretch
from refref.db.pool import Connection

MOST_GAPS = 1000  # of one reading that are kept by name
_COLUMNS = (
    "organization_id, run_id, connection_id, kind, status, from_at, until_at, created_by, created_at, started_at,"
    " finished_at, due_at, claim, attempts, error"
)


@dataclass(frozen=True, slots=True)
class HistoryRun:
    """One reading. `kind`: backfill, reconcile, statement; `status`: waiting, running, done, failed, cancelled. The
    span is half-open, by the connection's clock; `from_at` None is the beginning."""

    organization_id: str
    run_id: str
    connection_id: str
    kind: str
    status: str
    from_at: datetime | None
    until_at: datetime
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    due_at: datetime | None = None
    claim: int = 0
    attempts: int = 0
    error: str | None = None

    @property
    def from_s(self) -> int | None:
        return None if self.from_at is None else int(self.from_at.timestamp())

    @property
    def until_s(self) -> int:
        return int(self.until_at.timestamp())

    @property
    def is_open(self) -> bool:
        return self.status in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class HistoryPart:
    """One list of a reading. `gap_count`: objects that told something new, `stored_count`: how many of them are in the
    inbox; `skipped`: why the list was left out. Instants in seconds since 1970."""

    part: str
    place: int
    cursor_id: str = ""
    read_count: int = 0
    gap_count: int = 0
    stored_count: int = 0
    newest_at: int | None = None
    oldest_at: int | None = None
    reached_at: int | None = None
    is_done: bool = False
    skipped: str | None = None

    @property
    def stretch(self) -> Stretch:
        return Stretch(self.newest_at, self.oldest_at, self.reached_at, self.is_done)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that the books did not have, or not as Stripe has it."""

    part: str
    stripe_id: str
    detail: str


async def insert_run(tx: Connection, made: HistoryRun, parts: Sequence[str]) -> bool:
    """Ask for a reading of these lists; False where one of its kind is waiting or running."""
    tag = await tx.execute(
        """
        insert into history_run (organization_id, run_id, connection_id, kind, from_at, until_at, created_by)
        values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing
        """,
        made.organization_id,
        made.run_id,
        made.connection_id,
        made.kind,
        made.from_at,
        made.until_at,
        made.created_by,
    )
    if not tag.endswith(" 1"):
        return False
    await tx.execute(
        """
        insert into history_part (organization_id, run_id, part, place)
        select $1, $2, p.part, p.place from unnest($3::text[]) with ordinality as p (part, place)
        """,
        made.organization_id,
        made.run_id,
        list(parts),
    )
    return True


async def run_by_id(tx: Connection, organization_id: str, run_id: str) -> HistoryRun | None:
    row = await tx.fetchrow(
        f"select {_COLUMNS} from history_run where organization_id = $1 and run_id = $2",  # noqa: S608 - a constant
        organization_id,
        run_id,
    )
    return None if row is None else HistoryRun(**row)


async def runs(
    tx: Connection, organization_id: str, connection_id: str, kind: str, *, before: str | None = None, limit: int = 20
) -> list[HistoryRun]:
    """The newest readings of a kind first, those older than the id `before`."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from history_run where organization_id = $1 and connection_id = $2 and kind = $3"  # noqa: S608 - a constant
        " and ($4::text is null or run_id < $4) order by run_id desc limit $5",
        organization_id,
        connection_id,
        kind,
        before,
        limit,
    )
    return [HistoryRun(**row) for row in rows]


async def done_spans(
    tx: Connection, organization_id: str, connection_id: str, kinds: Sequence[str]
) -> list[tuple[int | None, int]]:
    """The spans (seconds; None: the beginning) that readings of these kinds read to the end, in order of their ends."""
    rows = await tx.fetch(
        """
        select extract(epoch from from_at)::bigint, extract(epoch from until_at)::bigint from history_run
        where organization_id = $1 and connection_id = $2 and kind = any ($3) and status = 'done'
        order by until_at, from_at desc
        """,
        organization_id,
        connection_id,
        list(kinds),
    )
    return [(row[0], row[1]) for row in rows]


async def parts_of(tx: Connection, organization_id: str, run_id: str) -> list[HistoryPart]:
    """The lists of a reading in the order in which they are read."""
    rows = await tx.fetch(
        """
        select part, place, cursor_id, read_count, gap_count, stored_count, newest_at, oldest_at, reached_at, is_done,
          skipped
        from history_part where organization_id = $1 and run_id = $2 order by place
        """,
        organization_id,
        run_id,
    )
    return [HistoryPart(*row) for row in rows]


async def gaps_of(tx: Connection, organization_id: str, run_id: str, limit: int = MOST_GAPS) -> list[Gap]:
    """What a reconciliation found, in order."""
    rows = await tx.fetch(
        "select part, stripe_id, detail from history_gap where organization_id = $1 and run_id = $2"
        " order by part, stripe_id limit $3",
        organization_id,
        run_id,
        limit,
    )
    return [Gap(*row) for row in rows]


async def cancel(tx: Connection, organization_id: str, run_id: str) -> bool:
    """End a reading that waits or runs; what it stored stays. False where it is over."""
    tag = await tx.execute(
        """
        update history_run set status = 'cancelled', finished_at = now()
        where organization_id = $1 and run_id = $2 and status in ('waiting', 'running')
        """,
        organization_id,
        run_id,
    )
    return bool(tag.endswith(" 1"))


async def resume(tx: Connection, organization_id: str, run_id: str) -> bool:
    """Let a cancelled or failed reading go on from its cursors; False where it is done, runs, or another one does: then
    nothing more may be done in the transaction, since another one may have begun this very moment."""
    try:
        tag = await _resume(tx, organization_id, run_id)
    except asyncpg.UniqueViolationError:
        return False
    return tag.endswith(" 1")


async def _resume(tx: Connection, organization_id: str, run_id: str) -> str:
    tag: str = await tx.execute(
        """
        update history_run r set status = 'waiting', finished_at = null, error = null, attempts = 0,
          due_at = '-infinity'
        where organization_id = $1 and run_id = $2 and status in ('cancelled', 'failed')
          and not exists (select from history_run o where o.organization_id = $1 and o.connection_id = r.connection_id
                          and o.kind = r.kind and o.status in ('waiting', 'running'))
        """,
        organization_id,
        run_id,
    )
    return tag


# Working -------------------------------------------------------------------------------------------------------------


async def due(connection: Connection) -> list[tuple[str, str]]:
    """Readings to work on: (organization_id, run_id)."""
    rows = await connection.fetch("select organization_id, run_id from history_runs_due()")
    return [(row[0], row[1]) for row in rows]


async def take(tx: Connection, organization_id: str, run_id: str) -> HistoryRun | None:
    """Take a reading that is due, so that only this taking may write; None where somebody else has it."""
    row = await tx.fetchrow(
        f"""
        update history_run set status = 'running', claim = claim + 1, heartbeat_at = now(),
          started_at = coalesce(started_at, now())
        where organization_id = $1 and run_id = $2 and due_at <= now()
          and (status = 'waiting' or (status = 'running' and heartbeat_at < now() - interval '60 seconds'))
        returning {_COLUMNS}
        """,  # noqa: S608 - a constant
        organization_id,
        run_id,
    )
    return None if row is None else HistoryRun(**row)


async def hold(tx: Connection, run: HistoryRun) -> bool:
    """Whether this taking of a reading still counts; the row stays locked until the transaction ends."""
    tag = await tx.execute(
        """
        update history_run set heartbeat_at = now(), attempts = 0, error = null
        where organization_id = $1 and run_id = $2 and claim = $3 and status = 'running'
        """,
        run.organization_id,
        run.run_id,
        run.claim,
    )
    return bool(tag.endswith(" 1"))


async def advance(
    tx: Connection,
    run: HistoryRun,
    part: str,
    *,
    cursor_id: str,
    read: int,
    gaps: int,
    stored: int,
    reached_at: int | None,
    is_done: bool,
) -> None:
    """Move a list's cursor, in the transaction that stored its page; `read`, `gaps`, `stored`: how many more."""
    await tx.execute(
        """
        update history_part set cursor_id = $4, read_count = read_count + $5, gap_count = gap_count + $6,
          stored_count = stored_count + $7, reached_at = coalesce($8, reached_at), is_done = $9
        where organization_id = $1 and run_id = $2 and part = $3
        """,
        run.organization_id,
        run.run_id,
        part,
        cursor_id,
        read,
        gaps,
        stored,
        reached_at,
        is_done,
    )


async def note_span(tx: Connection, run: HistoryRun, part: str, newest_at: int, oldest_at: int) -> None:
    """Note which time a list covers, for the estimate."""
    await tx.execute(
        """
        update history_part set newest_at = $4, oldest_at = $5, reached_at = coalesce(reached_at, $4)
        where organization_id = $1 and run_id = $2 and part = $3
        """,
        run.organization_id,
        run.run_id,
        part,
        newest_at,
        oldest_at,
    )


async def skip(tx: Connection, run: HistoryRun, part: str, sentence: str) -> None:
    """Leave a list out, and say why."""
    await tx.execute(
        "update history_part set is_done = true, skipped = $4 where organization_id = $1 and run_id = $2 and part = $3",
        run.organization_id,
        run.run_id,
        part,
        sentence[:1000],
    )


async def forget_cursor(tx: Connection, run: HistoryRun, part: str) -> bool:
    """Forget the object after which a list goes on: Stripe no longer has it. False where there is none."""
    tag = await tx.execute(
        "update history_part set cursor_id = '' where organization_id = $1 and run_id = $2 and part = $3"
        " and cursor_id <> ''",
        run.organization_id,
        run.run_id,
        part,
    )
    return bool(tag.endswith(" 1"))


async def note_gaps(tx: Connection, run: HistoryRun, gaps: Sequence[Gap]) -> None:
    """Keep what was found by name, up to a thousand of a reading."""
    if not gaps:
        return
    await tx.execute(
        """
        insert into history_gap (organization_id, run_id, stripe_id, part, detail)
        select $1, $2, g.* from unnest($3::text[], $4::text[], $5::text[]) g
        where (select count(*) from history_gap where organization_id = $1 and run_id = $2) < $6
        on conflict do nothing
        """,
        run.organization_id,
        run.run_id,
        [gap.stripe_id for gap in gaps],
        [gap.part for gap in gaps],
        [gap.detail for gap in gaps],
        MOST_GAPS,
    )


async def release(tx: Connection, run: HistoryRun) -> None:
    """Give a reading back unfinished: another turn goes on."""
    await _end(tx, run, "waiting", None, 0)


async def postpone(tx: Connection, run: HistoryRun, sentence: str, pause_s: int) -> None:
    """Go on in `pause_s` seconds, and say why not now."""
    await _end(tx, run, "waiting", sentence, pause_s)


async def fail(tx: Connection, run: HistoryRun, sentence: str) -> None:
    """End a reading that cannot go on by itself."""
    await _end(tx, run, "failed", sentence, 0)


async def finish(tx: Connection, run: HistoryRun) -> None:
    """Mark a reading done."""
    await _end(tx, run, "done", None, 0)


async def _end(tx: Connection, run: HistoryRun, status: str, sentence: str | None, pause_s: int) -> None:
    await tx.execute(
        """
        update history_run set status = $4, error = $5, due_at = now() + make_interval(secs => $6),
          attempts = case when $5::text is null then 0 else attempts + 1 end,
          finished_at = case when $4 in ('done', 'failed') then now() end
        where organization_id = $1 and run_id = $2 and claim = $3 and status = 'running'
        """,
        run.organization_id,
        run.run_id,
        run.claim,
        status,
        sentence,
        pause_s,
    )


async def update_due_now(tx: Connection, organization_id: str, connection_id: str) -> None:
    """Let what waits read again now, the events list, too: the connection has got another key."""
    for table in ("history_run", "event_poll", "catalog_sync"):
        await tx.execute(
            f"update {table} set due_at = '-infinity', attempts = 0"  # noqa: S608 - the names are the literals above
            " where organization_id = $1 and connection_id = $2 and due_at > now() and attempts > 0",
            organization_id,
            connection_id,
        )


async def reconciliations_due(connection: Connection, every_s: int) -> list[tuple[str, str]]:
    """Connections whose comparison is due: (organization_id, connection_id)."""
    rows = await connection.fetch("select organization_id, connection_id from reconciliations_due($1)", every_s)
    return [(row[0], row[1]) for row in rows]
