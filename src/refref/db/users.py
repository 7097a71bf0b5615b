"""Users and their roles in organizations. Reference tables: a person may belong to several organizations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What signing in compares with; `organization_id` is the user's first organization."""

    user_id: str
    password_hash: str
    organization_id: str


@dataclass(frozen=True, slots=True)
class Member:
    user_id: str
    organization_id: str
    email: str
    name: str
    role: str
    created_at: datetime


async def insert_user(
    tx: Connection, user_id: str, email: str, name: str, password_hash: str, created_at: datetime
) -> bool:
    """Add a user; False when the e-mail, in any case of letters, is taken."""
    made = await tx.fetchval(
        "insert into user_account (user_id, email, name, password_hash, created_at) values ($1, $2, $3, $4, $5)"
        " on conflict ((lower(email))) do nothing returning true",
        user_id,
        email,
        name,
        password_hash,
        created_at,
    )
    return made is True


async def insert_membership(tx: Connection, user_id: str, organization_id: str, role: str) -> None:
    await tx.execute(
        "insert into membership (user_id, organization_id, role) values ($1, $2, $3)", user_id, organization_id, role
    )


async def credentials_by_email(tx: Connection, email: str) -> Credentials | None:
    row = await tx.fetchrow(
        "select u.user_id, u.password_hash, m.organization_id from user_account u join membership m using (user_id)"
        " where lower(u.email) = lower($1) order by m.organization_id limit 1",
        email,
    )
    return None if row is None else Credentials(**row)


async def update_password_hash(tx: Connection, user_id: str, password_hash: str) -> None:
    await tx.execute("update user_account set password_hash = $2 where user_id = $1", user_id, password_hash)


async def members(tx: Connection, organization_id: str) -> list[Member]:
    """The users of an organization, oldest first."""
    rows = await tx.fetch(
        "select u.user_id, m.organization_id, u.email, u.name, m.role, u.created_at"
        " from membership m join user_account u using (user_id) where m.organization_id = $1 order by u.user_id",
        organization_id,
    )
    return [Member(**row) for row in rows]


async def member_by_id(tx: Connection, organization_id: str, user_id: str) -> Member | None:
    row = await tx.fetchrow(
        "select u.user_id, m.organization_id, u.email, u.name, m.role, u.created_at"
        " from membership m join user_account u using (user_id) where m.organization_id = $1 and u.user_id = $2",
        organization_id,
        user_id,
    )
    return None if row is None else Member(**row)
