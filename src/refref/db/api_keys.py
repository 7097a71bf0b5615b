"""API keys: only a hash is stored; the public prefix finds the organization before any tenant is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection

_COLUMNS = "organization_id, api_key_id, prefix, name, role, created_at, revoked_at"


@dataclass(frozen=True, slots=True)
class ApiKey:
    organization_id: str
    api_key_id: str
    prefix: str
    name: str
    role: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, repr=False)
class ApiKeyHash:
    api_key_id: str
    role: str
    key_hash: bytes


async def insert_api_key(tx: Connection, key: ApiKey, key_hash: bytes) -> None:
    await tx.execute(
        "insert into api_key_prefix (prefix, organization_id) values ($1, $2)", key.prefix, key.organization_id
    )
    await tx.execute(
        "insert into api_key (organization_id, api_key_id, prefix, key_hash, name, role, created_at)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        key.organization_id,
        key.api_key_id,
        key.prefix,
        key_hash,
        key.name,
        key.role,
        key.created_at,
    )


async def organization_of_prefix(tx: Connection, prefix: str) -> str | None:
    """The organization a key's prefix belongs to; says nothing about the rest of the key."""
    found: str | None = await tx.fetchval("select organization_id from api_key_prefix where prefix = $1", prefix)
    return found


async def valid_key_hash(tx: Connection, organization_id: str, prefix: str) -> ApiKeyHash | None:
    """The hash of the key with this prefix, None when it was revoked."""
    row = await tx.fetchrow(
        "select api_key_id, role, key_hash from api_key"
        " where organization_id = $1 and prefix = $2 and revoked_at is null",
        organization_id,
        prefix,
    )
    return None if row is None else ApiKeyHash(**row)


async def api_keys(tx: Connection, organization_id: str, *, before: str | None, limit: int) -> list[ApiKey]:
    """The newest keys first, those older than the id `before`."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from api_key where organization_id = $1 and ($2::text is null or api_key_id < $2)"  # noqa: S608 - a constant
        " order by api_key_id desc limit $3",
        organization_id,
        before,
        limit,
    )
    return [ApiKey(**row) for row in rows]


async def api_key_by_id(tx: Connection, organization_id: str, api_key_id: str) -> ApiKey | None:
    row = await tx.fetchrow(
        f"select {_COLUMNS} from api_key where organization_id = $1 and api_key_id = $2",  # noqa: S608 - a constant
        organization_id,
        api_key_id,
    )
    return None if row is None else ApiKey(**row)


async def revoke_api_key(tx: Connection, organization_id: str, api_key_id: str, at: datetime) -> None:
    """Mark the key as revoked and forget its prefix."""
    await tx.execute(
        "with revoked as (update api_key set revoked_at = $3 where organization_id = $1 and api_key_id = $2"
        " and revoked_at is null returning prefix)"
        " delete from api_key_prefix where organization_id = $1 and prefix in (select prefix from revoked)",
        organization_id,
        api_key_id,
        at,
    )
