"""Web sessions: who is signed in. Only the hash of a session's token is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection


@dataclass(frozen=True, slots=True, repr=False)
class WebSession:
    """A session that is still valid, with the person and the organization it acts for."""

    token_hash: bytes
    user_id: str
    organization_id: str
    csrf_token: str
    expires_at: datetime
    email: str
    name: str
    role: str
    organization_name: str


async def insert_session(
    tx: Connection,
    token_hash: bytes,
    *,
    user_id: str,
    organization_id: str,
    csrf_token: str,
    created_at: datetime,
    expires_at: datetime,
) -> None:
    await tx.execute(
        "insert into web_session (token_hash, user_id, organization_id, csrf_token, created_at, expires_at)"
        " values ($1, $2, $3, $4, $5, $6)",
        token_hash,
        user_id,
        organization_id,
        csrf_token,
        created_at,
        expires_at,
    )


async def session_by_token_hash(tx: Connection, token_hash: bytes, now: datetime) -> WebSession | None:
    """The session of a token, None when it ended or the user left the organization."""
    row = await tx.fetchrow(
        "select s.token_hash, s.user_id, s.organization_id, s.csrf_token, s.expires_at, u.email, u.name, m.role,"
        " o.name as organization_name from web_session s join user_account u using (user_id)"
        " join membership m on m.user_id = s.user_id and m.organization_id = s.organization_id"
        " join organization o on o.organization_id = s.organization_id"
        " where s.token_hash = $1 and s.expires_at > $2",
        token_hash,
        now,
    )
    return None if row is None else WebSession(**row)


async def delete_session(tx: Connection, token_hash: bytes) -> None:
    await tx.execute("delete from web_session where token_hash = $1", token_hash)


async def delete_sessions_of_user(tx: Connection, user_id: str) -> None:
    await tx.execute("delete from web_session where user_id = $1", user_id)


async def delete_ended_sessions(tx: Connection, now: datetime) -> None:
    await tx.execute("delete from web_session where expires_at <= $1", now)
