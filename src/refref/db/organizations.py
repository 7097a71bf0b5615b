"""Organizations: the tenants. A reference table, so its queries need no tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class Organization:
    organization_id: str
    name: str
    created_at: datetime


async def insert_organization(tx: Connection, organization_id: str, name: str, created_at: datetime) -> None:
    await tx.execute(
        "insert into organization (organization_id, name, created_at) values ($1, $2, $3)",
        organization_id,
        name,
        created_at,
    )


async def organization_by_id(tx: Connection, organization_id: str) -> Organization | None:
    row = await tx.fetchrow(
        "select organization_id, name, created_at from organization where organization_id = $1", organization_id
    )
    return None if row is None else Organization(**row)


async def all_organizations(tx: Connection) -> list[Organization]:
    """Every organization of this installation, oldest first; for the command line, never for a request."""
    rows = await tx.fetch("select organization_id, name, created_at from organization order by organization_id")
    return [Organization(**row) for row in rows]


async def lock_first_run(tx: Connection) -> bool:
    """Whether no organization exists yet; two first runs at once wait for each other until their transaction ends."""
    await tx.execute("select pg_advisory_xact_lock(hashtext('refref first run'))")
    return not await tx.fetchval("select exists (select from organization)")


async def is_first_run(tx: Connection) -> bool:
    """Whether no organization exists yet."""
    return not await tx.fetchval("select exists (select from organization)")
