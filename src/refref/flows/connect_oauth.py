"""Connecting by Stripe's OAuth: an attempt begins, its state is used up once, the account becomes a connection."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from refref.core.connection_health import Health
from refref.core.refusals import Refused
from refref.db import audit, catalog_syncs, connection_health, connections, inbox, platform
from refref.db.connections import StripeConnection
from refref.db.platform import OAuthAttempt
from refref.db.pool import Connection
from refref.flows.checks import check_choice, check_name
from refref.flows.connection_health import record_health, restore_connection
from refref.flows.readings import start_first_backfill
from refref.flows.stripe_keys import MODES
from refref.ids import new_id

SCOPES = ("read_only", "read_write")
DEAUTHORIZED = "account.application.deauthorized"
ATTEMPT_LIVES = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class ConnectedAccount:
    """What Stripe told for a code: whose account, in which mode, how far we may go. `api_base`: a sandbox's address."""

    stripe_account_id: str
    mode: str
    scope: str
    api_base: str | None


async def begin_oauth(
    tx: Connection,
    organization_id: str,
    *,
    user_id: str,
    session_hash: bytes,
    mode: str,
    scope: str,
    now: datetime,
) -> str:
    """Begin an attempt; returns its `state`, good once, for a quarter of an hour, in this browser session.

    Raises Refused("invalid_choice").
    """
    check_choice(mode, MODES, "mode")
    check_choice(scope, SCOPES, "scope")
    state = secrets.token_urlsafe(32)
    made = OAuthAttempt(
        organization_id=organization_id,
        state_hash=_hash(state),
        session_hash=session_hash,
        user_id=user_id,
        mode=mode,
        scope=scope,
        created_at=now,
        expires_at=now + ATTEMPT_LIVES,
    )
    await platform.insert_attempt(tx, made)
    return state


async def use_state(
    tx: Connection, organization_id: str, state: str, *, session_hash: bytes, now: datetime
) -> OAuthAttempt:
    """The attempt that a state belongs to, used up. Raises Refused("invalid_state"): replayed, foreign or too old."""
    found = await platform.mark_attempt_used(tx, organization_id, _hash(state), session_hash, now)
    if found is None:
        raise Refused(
            "invalid_state",
            "This answer of Stripe's belongs to no attempt of this browser, or was used before. Connect again.",
            "state",
        )
    return found


async def connect_account(
    tx: Connection,
    organization_id: str,
    account: ConnectedAccount,
    *,
    name: str,
    stored_types: Collection[str],
    actor: str,
    now: datetime,
) -> StripeConnection:
    """Make the account's connection, or let its present one be reached through the platform from now on.

    Events of the account that came before are put to its inbox. `stored_types`: the event types that are read.
    """
    await platform.lock_account(tx, account.stripe_account_id, account.mode)
    known = await connections.connection_of_account(tx, organization_id, account.stripe_account_id, account.mode)
    if known is None:
        connected = StripeConnection(
            organization_id=organization_id,
            connection_id=new_id("connection"),
            name=check_name(name, "name"),
            mode=account.mode,
            stripe_account_id=account.stripe_account_id,
            api_base=account.api_base,
            clock_ahead_s=0,
            status="active",
            created_at=now,
            access="platform",
            oauth_scope=account.scope,
        )
        await connections.insert_connection(tx, connected)
    else:
        connected = replace(known, access="platform", oauth_scope=account.scope, status="active")
        for old in await connections.valid_secrets(tx, organization_id, known.connection_id, "api_key", now):
            await connections.expire_secret(tx, organization_id, known.connection_id, old.secret_id, now)
        if account.api_base is not None and known.api_base is not None:
            await connections.update_api_base(tx, organization_id, known.connection_id, account.api_base)
    where = (organization_id, connected.connection_id, account.stripe_account_id, account.mode)
    await platform.add_account(tx, *where)
    waited = await platform.remove_stray_events(tx, *where, stored_types)
    if waited:
        await inbox.accept(tx, waited)
    await start_first_backfill(tx, connected, now)
    await restore_connection(tx, connected, actor=actor, now=now)
    own_endpoint = Health({}, frozenset({"endpoint_faulty"}))  # nothing depends on it any more
    await record_health(tx, connected, own_endpoint, actor=actor, now=now)
    there = now + timedelta(seconds=connected.clock_ahead_s)
    await catalog_syncs.insert_sync(tx, organization_id, connected.connection_id, started_by=actor, started_at=there)
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="connection.authorize",
        subject=connected.connection_id,
        details={"mode": account.mode, "scope": account.scope, "is_new": known is None},
    )
    return connected


async def end_what_was_taken_away(tx: Connection, connection: StripeConnection) -> None:
    """The account refuses the platform. Where the merchant did that, it comes back only by connecting it here again:
    access that is given to another organization of this RefRef is not this one's."""
    where = (connection.organization_id, connection.connection_id)
    told_at = await connection_health.last_received_at(tx, *where, DEAUTHORIZED)
    given = await audit.entries_of(tx, where[0], subject=where[1], actions=["connection.authorize"], limit=1)
    if told_at is not None and given and told_at > given[0].at:
        await platform.remove_account(tx, *where)


async def who_else_uses(tx: Connection, connection: StripeConnection) -> int | None:
    """How many other connections reach the account by the platform; None when this one does not."""
    if connection.stripe_account_id is None:
        return None
    owners = await platform.connections_of_account(tx, connection.stripe_account_id, connection.mode)
    mine = (connection.organization_id, connection.connection_id)
    if mine not in owners and connection.access != "platform":
        return None
    return len([owner for owner in owners if owner != mine])


def _hash(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
