"""Connections (one Stripe account in one mode) and their secrets, which rest here sealed by the vault."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection

_COLUMNS = (
    "organization_id, connection_id, name, mode, stripe_account_id, api_base, clock_ahead_s, status, created_at,"
    " access, oauth_scope"
)
_SEALED_COLUMNS = (
    "organization_id, connection_id, secret_id, kind, key_id, nonce, ciphertext, hint, created_at, expires_at,"
    " stripe_endpoint_id"
)


@dataclass(frozen=True, slots=True)
class StripeConnection:
    """One Stripe account in one mode (`test`, `live`). `clock_ahead_s`: how far its test clock runs ahead of ours."""

    organization_id: str
    connection_id: str
    name: str
    mode: str
    stripe_account_id: str | None
    api_base: str | None  # None is Stripe itself
    clock_ahead_s: int
    status: str  # active; degraded: calls are refused; disabled: let be
    created_at: datetime
    access: str = "key"  # its own key, or "platform": the platform's key and the account's id
    oauth_scope: str | None = None  # read_only, read_write


@dataclass(frozen=True, slots=True, repr=False)
class ConnectionSecret:
    """A sealed secret of `kind` webhook (whsec_…) or api_key; `hint` is its last four characters."""

    organization_id: str
    connection_id: str
    secret_id: str
    kind: str
    key_id: str
    nonce: bytes
    ciphertext: bytes
    hint: str
    created_at: datetime
    expires_at: datetime | None
    stripe_endpoint_id: str | None = None  # whose deliveries it signs, where RefRef made the endpoint


async def insert_connection(tx: Connection, made: StripeConnection) -> None:
    """Add the connection and its public webhook path."""
    await tx.execute(
        f"insert into connection ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",  # noqa: S608 - a constant
        made.organization_id,
        made.connection_id,
        made.name,
        made.mode,
        made.stripe_account_id,
        made.api_base,
        made.clock_ahead_s,
        made.status,
        made.created_at,
        made.access,
        made.oauth_scope,
    )
    await tx.execute(
        "insert into webhook_path (connection_id, organization_id) values ($1, $2)",
        made.connection_id,
        made.organization_id,
    )


async def connection_by_id(tx: Connection, organization_id: str, connection_id: str) -> StripeConnection | None:
    row = await tx.fetchrow(
        f"select {_COLUMNS} from connection where organization_id = $1 and connection_id = $2",  # noqa: S608 - a constant
        organization_id,
        connection_id,
    )
    return None if row is None else StripeConnection(**row)


async def lock_connection(tx: Connection, organization_id: str, connection_id: str) -> StripeConnection | None:
    """The connection as it is now; nobody else changes it or its secrets until the transaction ends."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} from connection where organization_id = $1 and connection_id = $2 for no key update",  # noqa: S608 - a constant
        organization_id,
        connection_id,
    )
    return None if row is None else StripeConnection(**row)


async def connections(
    tx: Connection, organization_id: str, *, before: str | None = None, limit: int = 100
) -> list[StripeConnection]:
    """The newest connections first, those older than the id `before`."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from connection where organization_id = $1 and ($2::text is null or connection_id < $2)"  # noqa: S608 - a constant
        " order by connection_id desc limit $3",
        organization_id,
        before,
        limit,
    )
    return [StripeConnection(**row) for row in rows]


async def update_clock_ahead(tx: Connection, organization_id: str, connection_id: str, clock_ahead_s: int) -> None:
    await tx.execute(
        "update connection set clock_ahead_s = $3 where organization_id = $1 and connection_id = $2",
        organization_id,
        connection_id,
        clock_ahead_s,
    )


async def connection_of_account(
    tx: Connection, organization_id: str, stripe_account_id: str, mode: str
) -> StripeConnection | None:
    """The organization's connection to a Stripe account in one mode; of several the oldest that is in use."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} from connection where organization_id = $1 and stripe_account_id = $2 and mode = $3"  # noqa: S608 - a constant
        " order by status = 'disabled', connection_id limit 1",
        organization_id,
        stripe_account_id,
        mode,
    )
    return None if row is None else StripeConnection(**row)


async def update_access(tx: Connection, changed: StripeConnection) -> None:
    """Store how a connection reaches Stripe: its access, scope, account and status."""
    await tx.execute(
        "update connection set access = $3, oauth_scope = $4, stripe_account_id = $5, status = $6"
        " where organization_id = $1 and connection_id = $2",
        changed.organization_id,
        changed.connection_id,
        changed.access,
        changed.oauth_scope,
        changed.stripe_account_id,
        changed.status,
    )


async def update_api_base(tx: Connection, organization_id: str, connection_id: str, api_base: str) -> None:
    await tx.execute(
        "update connection set api_base = $3 where organization_id = $1 and connection_id = $2",
        organization_id,
        connection_id,
        api_base,
    )


async def insert_secret(tx: Connection, made: ConnectionSecret) -> None:
    await tx.execute(
        f"insert into connection_secret ({_SEALED_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",  # noqa: S608 - a constant
        made.organization_id,
        made.connection_id,
        made.secret_id,
        made.kind,
        made.key_id,
        made.nonce,
        made.ciphertext,
        made.hint,
        made.created_at,
        made.expires_at,
        made.stripe_endpoint_id,
    )


async def valid_secrets(
    tx: Connection, organization_id: str, connection_id: str, kind: str, now: datetime
) -> list[ConnectionSecret]:
    """The secrets of one kind that still hold, the newest first."""
    rows = await tx.fetch(
        f"select {_SEALED_COLUMNS} from connection_secret where organization_id = $1 and connection_id = $2"  # noqa: S608 - a constant
        " and kind = $3 and (expires_at is null or expires_at > $4) order by secret_id desc",
        organization_id,
        connection_id,
        kind,
        now,
    )
    return [ConnectionSecret(**row) for row in rows]


async def held_kinds(tx: Connection, organization_id: str, now: datetime) -> dict[str, set[str]]:
    """The kinds of secrets that hold, by connection; one that has none is left out."""
    rows = await tx.fetch(
        "select connection_id, array_agg(distinct kind) as kinds from connection_secret where organization_id = $1"
        " and (expires_at is null or expires_at > $2) group by 1",
        organization_id,
        now,
    )
    return {row["connection_id"]: set(row["kinds"]) for row in rows}


async def all_secrets(tx: Connection, organization_id: str) -> list[ConnectionSecret]:
    """Every secret of the organization, for re-encryption; waits for whoever changes one."""
    rows = await tx.fetch(
        f"select {_SEALED_COLUMNS} from connection_secret where organization_id = $1 for update",  # noqa: S608 - a constant
        organization_id,
    )
    return [ConnectionSecret(**row) for row in rows]


async def expire_secret(
    tx: Connection, organization_id: str, connection_id: str, secret_id: str, expires_at: datetime
) -> None:
    """End a secret at `expires_at`, or earlier where it ends earlier already."""
    await tx.execute(
        "update connection_secret set expires_at = least(expires_at, $4)"
        " where organization_id = $1 and connection_id = $2 and secret_id = $3",
        organization_id,
        connection_id,
        secret_id,
        expires_at,
    )


async def reseal_secret(tx: Connection, changed: ConnectionSecret) -> None:
    """Store the same secret under another master key."""
    await tx.execute(
        "update connection_secret set key_id = $4, nonce = $5, ciphertext = $6"
        " where organization_id = $1 and connection_id = $2 and secret_id = $3",
        changed.organization_id,
        changed.connection_id,
        changed.secret_id,
        changed.key_id,
        changed.nonce,
        changed.ciphertext,
    )


async def delete_expired_secrets(tx: Connection, organization_id: str, now: datetime) -> None:
    await tx.execute(
        "delete from connection_secret where organization_id = $1 and expires_at <= $2", organization_id, now
    )
