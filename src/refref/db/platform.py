"""What a platform keeps: people on their way through Stripe's OAuth, whose accounts are connected, and stray events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from refref.db.inbox import Arrival
from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class OAuthAttempt:
    """A person who was sent to Stripe. The hashes are of the state and of the browser session's token."""

    organization_id: str
    state_hash: bytes
    session_hash: bytes
    user_id: str
    mode: str
    scope: str
    created_at: datetime
    expires_at: datetime


async def insert_attempt(tx: Connection, made: OAuthAttempt) -> None:
    """Keep an attempt, and forget those that are long over."""
    await tx.execute(
        "delete from oauth_attempt where organization_id = $1 and expires_at < $2::timestamptz - interval '1 day'",
        made.organization_id,
        made.created_at,
    )
    await tx.execute(
        "insert into oauth_attempt (organization_id, state_hash, session_hash, user_id, mode, scope, created_at,"
        " expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        made.organization_id,
        made.state_hash,
        made.session_hash,
        made.user_id,
        made.mode,
        made.scope,
        made.created_at,
        made.expires_at,
    )


async def mark_attempt_used(
    tx: Connection, organization_id: str, state_hash: bytes, session_hash: bytes, now: datetime
) -> OAuthAttempt | None:
    """Use an attempt up, once; None when it is unknown, another session's, used or over."""
    row = await tx.fetchrow(
        """
        update oauth_attempt set used_at = $4
        where organization_id = $1 and state_hash = $2 and session_hash = $3 and used_at is null and expires_at > $4
        returning organization_id, state_hash, session_hash, user_id, mode, scope, created_at, expires_at
        """,
        organization_id,
        state_hash,
        session_hash,
        now,
    )
    return None if row is None else OAuthAttempt(**row)


async def add_account(
    tx: Connection, organization_id: str, connection_id: str, stripe_account_id: str, mode: str
) -> None:
    """From now on the account's events on the platform's endpoint are the connection's."""
    await tx.execute(
        "insert into connected_account (stripe_account_id, mode, connection_id, organization_id)"
        " values ($1, $2, $3, $4) on conflict do nothing",
        stripe_account_id,
        mode,
        connection_id,
        organization_id,
    )


async def remove_account(tx: Connection, organization_id: str, connection_id: str) -> None:
    """The platform's endpoint no longer feeds the connection."""
    await tx.execute(
        "delete from connected_account where organization_id = $1 and connection_id = $2",
        organization_id,
        connection_id,
    )


async def is_connected(tx: Connection, organization_id: str, connection_id: str) -> bool:
    """Whether the account of the connection is still with the platform, as far as anybody told."""
    found: bool = await tx.fetchval(
        "select exists (select from connected_account where organization_id = $1 and connection_id = $2)",
        organization_id,
        connection_id,
    )
    return found


async def connections_of_account(connection: Connection, stripe_account_id: str, mode: str) -> list[tuple[str, str]]:
    """Whose account it is: (organization_id, connection_id); several when several organizations connected it."""
    rows = await connection.fetch(
        "select organization_id, connection_id from connected_account where stripe_account_id = $1 and mode = $2"
        " order by connection_id",
        stripe_account_id,
        mode,
    )
    return [(row[0], row[1]) for row in rows]


async def lock_account(tx: Connection, stripe_account_id: str, mode: str) -> None:
    """Let nobody connect the account, or keep an event of it aside, until the transaction ends."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 1))", f"account {stripe_account_id} {mode}")


async def keep_stray_event(tx: Connection, arrival: Arrival, stripe_account_id: str) -> list[tuple[str, str]]:
    """Keep an event of an account that nobody has connected; a known one is left alone.

    Where somebody has just connected it, nothing is kept: returns whose it is, as `connections_of_account`.
    """
    mode = "live" if arrival.livemode else "test"
    await lock_account(tx, stripe_account_id, mode)
    owners = await connections_of_account(tx, stripe_account_id, mode)
    if owners:
        return owners
    await tx.execute(
        "insert into platform_event (mode, stripe_account_id, stripe_event_id, type, object_id, api_version,"
        " created_at, body) values ($1, $2, $3, $4, $5, $6, to_timestamp($7), $8) on conflict do nothing",
        mode,
        stripe_account_id,
        arrival.stripe_event_id,
        arrival.type,
        arrival.object_id,
        arrival.api_version,
        arrival.created_at,
        arrival.body,
    )
    return []


async def remove_stray_events(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    stripe_account_id: str,
    mode: str,
    stored_types: Collection[str],
) -> list[Arrival]:
    """The events that came before the account was connected, taken out, as arrivals of its connection."""
    rows = await tx.fetch(
        "delete from platform_event where stripe_account_id = $1 and mode = $2 returning stripe_event_id, type,"
        " object_id, api_version, extract(epoch from created_at)::bigint as created_at, body",
        stripe_account_id,
        mode,
    )
    return [
        Arrival(
            organization_id=organization_id,
            connection_id=connection_id,
            stripe_event_id=row["stripe_event_id"],
            type=row["type"],
            object_id=row["object_id"],
            api_version=row["api_version"],
            livemode=mode == "live",
            state="accepted" if row["type"] in stored_types else "ignored",
            reason=None,
            source="webhook",
            created_at=row["created_at"],
            body=row["body"],
        )
        for row in rows
    ]


async def delete_stray_events(tx: Connection, kept_days: int, limit: int) -> int:
    """Forget at most so many of the events that came longer ago than that; returns how many."""
    count: int = await tx.fetchval(
        """
        with gone as (
          delete from platform_event where ctid = any (array(
            select ctid from platform_event where received_at < now() - make_interval(days => $1)
            order by received_at limit $2 for update skip locked))
          returning 1
        ) select count(*) from gone
        """,
        kept_days,
        limit,
    )
    return count


@dataclass(frozen=True, slots=True)
class StrayAccount:
    """A Stripe account ("": the platform's own) of which events came although nobody has connected it."""

    stripe_account_id: str
    mode: str
    event_count: int
    last_at: datetime


async def stray_accounts(connection: Connection, since: datetime, limit: int) -> Sequence[StrayAccount]:
    """Accounts that nobody has connected, of events since an instant, for the operator; the latest first."""
    rows = await connection.fetch(
        "select stripe_account_id, mode, count(*), max(received_at) from platform_event where received_at > $1"
        " group by 1, 2 order by 4 desc limit $2",
        since,
        limit,
    )
    return [StrayAccount(*row) for row in rows]
