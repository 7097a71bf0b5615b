"""Programs, the history of their status, and the numbered versions of their terms.

Neither a version nor a change of status is ever changed (the role has no right to).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import msgspec

from refref.core.terms import Terms
from refref.db.pool import Connection

_COLUMNS = "organization_id, program_id, connection_id, name, status, created_at, eligibility_text, terms_text"
_TERMS_COLUMNS = "organization_id, program_id, version, effective_at, body, created_at"


@dataclass(frozen=True, slots=True)
class Program:
    organization_id: str
    program_id: str
    connection_id: str
    name: str
    status: str  # active, paused, archived
    created_at: datetime
    eligibility_text: str = ""  # who may take part, for people
    terms_text: str = ""  # the small print, for people


@dataclass(frozen=True, slots=True)
class StatusChange:
    """From `at` on, on the connection's clock, the program was so."""

    at: datetime
    status: str


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
        f"insert into program ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8)",  # noqa: S608 - a constant
        made.organization_id,
        made.program_id,
        made.connection_id,
        made.name,
        made.status,
        made.created_at,
        made.eligibility_text,
        made.terms_text,
    )


async def update_texts(
    tx: Connection, organization_id: str, program_id: str, *, name: str, eligibility_text: str, terms_text: str
) -> None:
    """Change what people read of a program."""
    await tx.execute(
        "update program set name = $3, eligibility_text = $4, terms_text = $5"
        " where organization_id = $1 and program_id = $2",
        organization_id,
        program_id,
        name,
        eligibility_text,
        terms_text,
    )


async def insert_status(tx: Connection, organization_id: str, program_id: str, change: StatusChange) -> None:
    """Add to the history of a locked program, and make it the program's status."""
    await tx.execute(
        """
        with added as (
          insert into program_status (organization_id, program_id, status_no, at, status)
          select $1, $2, coalesce(max(status_no), 0) + 1, $3, $4 from program_status
          where organization_id = $1 and program_id = $2
        )
        update program set status = $4 where organization_id = $1 and program_id = $2
        """,
        organization_id,
        program_id,
        change.at,
        change.status,
    )


async def status_changes(tx: Connection, organization_id: str, program_id: str) -> list[StatusChange]:
    """The history of a program's status, the oldest change first."""
    rows = await tx.fetch(
        "select at, status from program_status where organization_id = $1 and program_id = $2 order by at, status_no",
        organization_id,
        program_id,
    )
    return [StatusChange(**row) for row in rows]


async def programs_named(tx: Connection, organization_id: str, connection_id: str, name: str) -> list[Program]:
    """The programs of a connection with a name, but for archived ones."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from program where organization_id = $1 and connection_id = $2 and name = $3"  # noqa: S608 - a constant
        " and status <> 'archived' order by program_id",
        organization_id,
        connection_id,
        name,
    )
    return [Program(**row) for row in rows]


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
        f"insert into terms ({_TERMS_COLUMNS})"  # noqa: S608 - a constant
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
        f"select {_TERMS_COLUMNS} from terms"  # noqa: S608 - a constant
        " where organization_id = $1 and program_id = $2 order by version desc",
        organization_id,
        program_id,
    )
    return [StoredTerms(**row) for row in rows]


async def terms_version(tx: Connection, organization_id: str, program_id: str, version: int) -> StoredTerms | None:
    """One version of a program's terms."""
    row = await tx.fetchrow(
        f"select {_TERMS_COLUMNS} from terms where organization_id = $1 and program_id = $2 and version = $3",  # noqa: S608 - a constant
        organization_id,
        program_id,
        version,
    )
    return None if row is None else StoredTerms(**row)


async def terms_of_versions(
    tx: Connection, organization_id: str, wanted: Collection[tuple[str, int]]
) -> dict[tuple[str, int], Terms]:
    """The terms of versions, as (program, number); unknown ones are left out."""
    rows = await tx.fetch(
        """
        select t.program_id, t.version, t.body from unnest($2::text[], $3::int[]) as w (program_id, version)
        join terms t on t.organization_id = $1 and t.program_id = w.program_id and t.version = w.version
        """,
        organization_id,
        [program_id for program_id, _ in wanted],
        [version for _, version in wanted],
    )
    return {(row[0], row[1]): msgspec.json.decode(row[2], type=Terms) for row in rows}


async def latest_terms(tx: Connection, organization_id: str, program_id: str) -> StoredTerms | None:
    """The newest version; None while the program has only a draft."""
    row = await tx.fetchrow(
        f"select {_TERMS_COLUMNS} from terms"  # noqa: S608 - a constant
        " where organization_id = $1 and program_id = $2 order by version desc limit 1",
        organization_id,
        program_id,
    )
    return None if row is None else StoredTerms(**row)
