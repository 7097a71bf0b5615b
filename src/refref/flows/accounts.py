"""Organizations, users and sessions: signing up, adding users, opening and closing sessions.

Passwords arrive hashed (refref.passwords): hashing takes too long for a transaction.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from refref.core.refusals import Refused
from refref.db import audit, organizations, sessions, users
from refref.db.pool import Connection, enter_tenant
from refref.flows.checks import check_choice, check_email, check_name
from refref.ids import new_id

SESSION_LIFETIME = timedelta(days=14)
ROLES = ("owner", "admin", "viewer")


@dataclass(frozen=True, slots=True)
class SignedUp:
    organization_id: str
    user_id: str


@dataclass(frozen=True, slots=True, repr=False)
class OpenedSession:
    """A new session; `token` goes into the cookie and is stored nowhere."""

    token: str
    csrf_token: str
    expires_at: datetime


async def sign_up(
    tx: Connection,
    *,
    organization_name: str,
    email: str,
    name: str,
    password_hash: str,
    now: datetime,
    is_allowed: bool = False,
) -> SignedUp:
    """Make an organization and its owner. `tx` is bound to no tenant; afterwards it is bound to the new one.

    Only the first run of an installation may, unless `is_allowed`. Raises Refused: sign_up_closed, invalid_name,
    invalid_email, email_taken.
    """
    organization_name = check_name(organization_name, "organization_name")
    email = check_email(email, "email")
    is_first = await organizations.lock_first_run(tx)
    if not (is_first or is_allowed):
        raise Refused("sign_up_closed", "This RefRef is set up already. Ask its owner for an account.")
    made = SignedUp(new_id("organization"), new_id("user"))
    await organizations.insert_organization(tx, made.organization_id, organization_name, now)
    await enter_tenant(tx, made.organization_id)
    if not await users.insert_user(tx, made.user_id, email, name.strip(), password_hash, now):
        raise Refused("email_taken", "There is an account with this e-mail already. Sign in instead.", "email")
    await users.insert_membership(tx, made.user_id, made.organization_id, "owner")
    await audit.record(
        tx,
        made.organization_id,
        at=now,
        actor=f"user:{made.user_id}",
        action="organization.create",
        subject=made.organization_id,
    )
    return made


async def create_user(
    tx: Connection,
    organization_id: str,
    *,
    email: str,
    name: str,
    role: str,
    password_hash: str,
    actor: str,
    now: datetime,
) -> str:
    """Add a user to an organization and return the id. Raises Refused: invalid_email, invalid_role, email_taken."""
    email = check_email(email, "email")
    check_choice(role, ROLES, "role")
    if await organizations.organization_by_id(tx, organization_id) is None:
        raise Refused("unknown_organization", "There is no organization with this id.", "organization_id")
    user_id = new_id("user")
    if not await users.insert_user(tx, user_id, email, name.strip(), password_hash, now):
        raise Refused("email_taken", "There is an account with this e-mail already.", "email")
    await users.insert_membership(tx, user_id, organization_id, role)
    await audit.record(
        tx, organization_id, at=now, actor=actor, action="user.create", subject=user_id, details={"role": role}
    )
    return user_id


async def change_password(
    tx: Connection, organization_id: str, user_id: str, *, password_hash: str, actor: str, now: datetime
) -> None:
    """Give a user a new password and end every session of theirs. Raises Refused: unknown_user."""
    if await users.member_by_id(tx, organization_id, user_id) is None:
        raise Refused("unknown_user", "There is no user with this id in the organization.", "user_id")
    await users.update_password_hash(tx, user_id, password_hash)
    await sessions.delete_sessions_of_user(tx, user_id)
    await audit.record(tx, organization_id, at=now, actor=actor, action="user.change_password", subject=user_id)


async def open_session(
    tx: Connection, organization_id: str, user_id: str, *, replaces_token: str | None, now: datetime
) -> OpenedSession:
    """Sign a user in, whose password the edge has verified; a session the browser had before ends."""
    opened = OpenedSession(secrets.token_urlsafe(32), secrets.token_urlsafe(32), now + SESSION_LIFETIME)
    if replaces_token:
        await sessions.delete_session(tx, hash_token(replaces_token))
    await sessions.delete_ended_sessions(tx, now)
    await sessions.insert_session(
        tx,
        hash_token(opened.token),
        user_id=user_id,
        organization_id=organization_id,
        csrf_token=opened.csrf_token,
        created_at=now,
        expires_at=opened.expires_at,
    )
    await audit.record(tx, organization_id, at=now, actor=f"user:{user_id}", action="session.open", subject=user_id)
    return opened


async def close_session(tx: Connection, organization_id: str, user_id: str, token: str, now: datetime) -> None:
    """Sign out: the session is gone, whatever copies of its cookie there are."""
    await sessions.delete_session(tx, hash_token(token))
    await audit.record(tx, organization_id, at=now, actor=f"user:{user_id}", action="session.close", subject=user_id)


def hash_token(token: str) -> bytes:
    """What is stored of a session's token; its 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
