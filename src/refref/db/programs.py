"""Programs and the numbered versions of their terms. A version is never changed (the role has no right to)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from refref.core.terms import Terms
from refref.db.pool import Connection

_COLUMNS = "organization_id, program_id, connection_id, name, status, created_at"


@dataclass(frozen=True, slots=True)
class Program:
    organization_id: str
    program_id: str
    connection_id: str
    name: str
    status: str  # active, paused, archived
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredTerms:
    """One version; `body` is the JSON form of core.terms.Terms."""

    organization_id: str
    program_id: str
    version: int
    effective_at: datetime
    body: str
    created_at: datetime

    @property
    def terms(self) -> Terms:
        """The terms themselves; they were checked when they were published."""
        return msgspec.json.decode(self.body, type=Terms)


async def insert_program(tx: Connection, made: Program) -> None:
    await tx.execute(
        f"insert into program ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6)",  # noqa: S608 - a constant
        made.organization_id,
        made.program_id,
        made.connection_id,
        made.name,
        made.status,
        made.created_at,
    )


async def program_by_id(tx: Connection, organization_id: str, program_id: str) -> Program | None:
    row = await tx.fetchrow(
        f"select {_COLUMNS} from program where organization_id = $1 and program_id = $2",  # noqa: S608 - a constant
        organization_id,
        program_id,
    )
    return None if row is None else Program(**row)


async def locked_program(tx: Connection, organization_id: str, program_id: str) -> Program | None:
    """The program, locked until the transaction ends, so that versions of terms follow one another."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} from program where organization_id = $1 and program_id = $2 for update",  # noqa: S608 - a constant
        organization_id,
        program_id,
    )
    return None if row is None else Program(**row)


async def programs(
    tx: Connection,
    organization_id: str,
    *,
    connection_id: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[Program]:
    """The newest programs first, those older than the id `before`."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from program where organization_id = $1 and ($2::text is null or connection_id = $2)"  # noqa: S608 - a constant
        " and ($3::text is null or program_id < $3) order by program_id desc limit $4",
        organization_id,
        connection_id,
        before,
        limit,
    )
    return [Program(**row) for row in rows]


async def insert_terms(tx: Connection, made: StoredTerms) -> None:
    await tx.execute(
        "insert into terms (organization_id, program_id, version, effective_at, body, created_at)"
        " values ($1, $2, $3, $4, $5, $6)",
        made.organization_id,
        made.program_id,
        made.version,
        made.effective_at,
        made.body,
        made.created_at,
    )


async def terms_versions(tx: Connection, organization_id: str, program_id: str) -> list[StoredTerms]:
    """Every version of a program's terms, the newest first."""
    rows = await tx.fetch(
        "select organization_id, program_id, version, effective_at, body, created_at from terms"
        " where organization_id = $1 and program_id = $2 order by version desc",
        organization_id,
        program_id,
    )
    return [StoredTerms(**row) for row in rows]


async def latest_terms(tx: Connection, organization_id: str, program_id: str) -> StoredTerms | None:
    row = await tx.fetchrow(
        "select organization_id, program_id, version, effective_at, body, created_at from terms"
        " where organization_id = $1 and program_id = $2 order by version desc limit 1",
        organization_id,
        program_id,
    )
    return None if row is None else StoredTerms(**row)
