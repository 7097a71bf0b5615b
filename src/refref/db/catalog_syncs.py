"""Full readings of a connection's catalogue: one runs at a time, and each goes on from its cursor."""

from __future__ import annotations

from datetime import datetime

from refref.db.catalog import CatalogSync, Part
from refref.db.pool import Connection

_COLUMNS = (
    "sync_no, state, part, cursor_id, read_count, deleted_count, attempts, error, started_by, started_at, finished_at"
)


async def insert_sync(
    tx: Connection, organization_id: str, connection_id: str, *, started_by: str, started_at: datetime
) -> bool:
    """Begin a reading, unless one is running; returns whether it begins."""
    tag = await tx.execute(
        """
        insert into catalog_sync (organization_id, connection_id, sync_no, state, part, started_by, started_at)
        select $1, $2, coalesce(max(sync_no), 0) + 1, 'running', 'products', $3, $4 from catalog_sync
        where organization_id = $1 and connection_id = $2
        on conflict do nothing
        """,
        organization_id,
        connection_id,
        started_by,
        started_at,
    )
    return bool(tag.endswith(" 1"))


async def latest_sync(tx: Connection, organization_id: str, connection_id: str) -> CatalogSync | None:
    """The newest reading, running or ended."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} from catalog_sync where organization_id = $1 and connection_id = $2"  # noqa: S608 - a constant
        " order by sync_no desc limit 1",
        organization_id,
        connection_id,
    )
    return None if row is None else CatalogSync(**row)


async def locked_sync(tx: Connection, organization_id: str, connection_id: str) -> CatalogSync | None:
    """The running reading, for this transaction alone; None where there is none or another one has it."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} from catalog_sync where organization_id = $1 and connection_id = $2"  # noqa: S608 - a constant
        " and state = 'running' for update skip locked",
        organization_id,
        connection_id,
    )
    return None if row is None else CatalogSync(**row)


async def update_progress(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    sync_no: int,
    *,
    part: Part,
    cursor_id: str,
    read: int,
    deleted: int,
    error: str | None = None,
    finished_at: datetime | None = None,
) -> None:
    """Where a reading goes on; `part` "" with `finished_at`: it is done. `read`, `deleted`: how many more; `error`:
    why a part was left out, which stays noted."""
    await tx.execute(
        """
        update catalog_sync set part = $4, cursor_id = $5, read_count = read_count + $6, attempts = 0,
          error = coalesce($9, case when attempts = 0 then error end),
          deleted_count = deleted_count + $7, finished_at = $8,
          state = case when $8::timestamptz is null then 'running' else 'done' end
        where organization_id = $1 and connection_id = $2 and sync_no = $3
        """,
        organization_id,
        connection_id,
        sync_no,
        part,
        cursor_id,
        read,
        deleted,
        finished_at,
        error,
    )


async def update_part_start(tx: Connection, organization_id: str, connection_id: str, sync_no: int) -> None:
    """Read the part from its beginning: Stripe no longer has the thing after which it goes on."""
    await tx.execute(
        "update catalog_sync set cursor_id = '' where organization_id = $1 and connection_id = $2 and sync_no = $3",
        organization_id,
        connection_id,
        sync_no,
    )


async def postpone_sync(
    tx: Connection, organization_id: str, connection_id: str, sync_no: int, *, error: str, pause_s: int
) -> None:
    """Try the same page again in `pause_s` seconds."""
    await tx.execute(
        """
        update catalog_sync set attempts = attempts + 1, error = $4, due_at = now() + make_interval(secs => $5)
        where organization_id = $1 and connection_id = $2 and sync_no = $3
        """,
        organization_id,
        connection_id,
        sync_no,
        error[:1000],
        pause_s,
    )


async def fail_sync(
    tx: Connection, organization_id: str, connection_id: str, sync_no: int, *, error: str, finished_at: datetime
) -> None:
    """End a reading that cannot go on, with the reason."""
    await tx.execute(
        """
        update catalog_sync set state = 'failed', error = $4, finished_at = $5
        where organization_id = $1 and connection_id = $2 and sync_no = $3
        """,
        organization_id,
        connection_id,
        sync_no,
        error[:1000],
        finished_at,
    )


async def connections_with_due_catalog(connection: Connection) -> list[tuple[str, str]]:
    """The connections whose catalogue is to be read on now: (organization_id, connection_id)."""
    rows = await connection.fetch("select organization_id, connection_id from connections_with_due_catalog()")
    return [(row[0], row[1]) for row in rows]
