"""Idempotency keys of API writes: the answer given to a request, kept sealed for a day and given again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    request_hash: bytes
    status: int
    response: bytes  # sealed by the edge


async def stored_answer(tx: Connection, organization_id: str, key: str, made_after: datetime) -> StoredAnswer | None:
    """The answer stored under `key`; a second request with it waits here until the first one's transaction ends."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 1))", organization_id, key)
    row = await tx.fetchrow(
        "select request_hash, status, response from idempotency_key"
        " where organization_id = $1 and key = $2 and created_at > $3",
        organization_id,
        key,
        made_after,
    )
    return None if row is None else StoredAnswer(**row)


async def store_answer(
    tx: Connection, organization_id: str, key: str, answer: StoredAnswer, created_at: datetime
) -> None:
    """Keep the answer in the transaction of the write itself; takes the place of an outdated one."""
    await tx.execute(
        "insert into idempotency_key (organization_id, key, request_hash, status, response, created_at)"
        " values ($1, $2, $3, $4, $5, $6) on conflict (organization_id, key) do update set"
        " request_hash = excluded.request_hash, status = excluded.status, response = excluded.response,"
        " created_at = excluded.created_at",
        organization_id,
        key,
        answer.request_hash,
        answer.status,
        answer.response,
        created_at,
    )


async def delete_outdated(tx: Connection, organization_id: str, made_before: datetime) -> None:
    await tx.execute(
        "delete from idempotency_key where organization_id = $1 and created_at <= $2", organization_id, made_before
    )
