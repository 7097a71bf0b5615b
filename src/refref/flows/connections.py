"""Connections to Stripe: made, ended, their secrets added, rolled and re-encrypted, the test clock set ahead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from refref.core.connection_health import PROBLEMS
from refref.core.refusals import Refused
from refref.db import audit, catalog_syncs, connection_health, connections, platform
from refref.db.connections import ConnectionSecret, StripeConnection
from refref.db.pool import Connection
from refref.flows.checks import check_name
from refref.flows.connection_health import restore_connection
from refref.flows.readings import start_first_backfill
from refref.flows.stripe_keys import (
    check_account_id,
    check_api_base,
    check_api_key,
    check_mode,
    check_webhook_secret,
)
from refref.ids import new_id
from refref.vault import Place, Sealed, Vault, VaultError

MAX_OVERLAP = timedelta(days=7)
DEFAULT_OVERLAP = timedelta(hours=24)  # Stripe's own limit when it rolls a signing secret
MAX_CLOCK_AHEAD_S = 20 * 366 * 86_400


@dataclass(frozen=True, slots=True, repr=False)
class NewConnection:
    """What a person gives. Without a key the mode is needed; the webhook secret may follow when Stripe has shown it."""

    name: str
    mode: str | None = None
    api_key: str | None = None
    webhook_secret: str | None = None
    stripe_account_id: str | None = None
    api_base: str | None = None


def check_new_connection(given: NewConnection) -> NewConnection:
    """What was given, in order and with its mode. Raises Refused naming the field and the remedy."""
    name = check_name(given.name, "name")
    api_key = check_api_key(given.api_key) if given.api_key else None
    webhook_secret = check_webhook_secret(given.webhook_secret) if given.webhook_secret else None
    mode = check_mode(given.mode, api_key)
    account_id, api_base = check_account_id(given.stripe_account_id), check_api_base(given.api_base, mode)
    return NewConnection(name, mode, api_key, webhook_secret, account_id, api_base)


async def create_connection(
    tx: Connection, vault: Vault, organization_id: str, given: NewConnection, *, actor: str, now: datetime
) -> StripeConnection:
    """Make a connection and seal its secrets; its key was tried before. Raises Refused naming the field and the
    remedy."""
    given = check_new_connection(given)
    assert given.mode is not None
    made = StripeConnection(
        organization_id=organization_id,
        connection_id=new_id("connection"),
        name=given.name,
        mode=given.mode,
        stripe_account_id=given.stripe_account_id,
        api_base=given.api_base,
        clock_ahead_s=0,
        status="active",
        created_at=now,
    )
    if made.stripe_account_id is not None:
        await _refuse_double(tx, made)
    await connections.insert_connection(tx, made)
    for kind, secret in (("api_key", given.api_key), ("webhook", given.webhook_secret)):
        if secret is not None:
            await connections.insert_secret(tx, _seal(vault, made, kind, secret, now))
    if given.api_key is not None:
        await catalog_syncs.insert_sync(tx, organization_id, made.connection_id, started_by=actor, started_at=now)
        await start_first_backfill(tx, made, now)
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="connection.create",
        subject=made.connection_id,
        details={
            "mode": made.mode,
            "has_api_key": given.api_key is not None,
            "has_webhook_secret": given.webhook_secret is not None,
        },
    )
    return made


async def add_webhook_secret(
    tx: Connection,
    vault: Vault,
    organization_id: str,
    connection_id: str,
    *,
    webhook_secret: str,
    overlap: timedelta = DEFAULT_OVERLAP,
    stripe_endpoint_id: str | None = None,
    actor: str,
    now: datetime,
) -> ConnectionSecret:
    """Add a signing secret; the one before stays valid for `overlap`, any older one ends now.

    `stripe_endpoint_id`: the endpoint it belongs to, where RefRef made that.

    Raises Refused: unknown_connection, invalid_webhook_secret, webhook_secret_known, invalid_overlap.
    """
    secret = check_webhook_secret(webhook_secret)
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise Refused("invalid_overlap", "The secret before may stay valid for 0 to 168 hours.", "overlap_hours")
    connection = await _hold(tx, organization_id, connection_id)
    before = await connections.valid_secrets(tx, organization_id, connection_id, "webhook", now)
    if any(_is_same(vault, old, secret) for old in before):
        raise Refused("webhook_secret_known", "The connection has this signing secret already.", "webhook_secret")
    for number, old in enumerate(before):
        ends_at = now + overlap if number == 0 else now
        await connections.expire_secret(tx, organization_id, connection_id, old.secret_id, ends_at)
    made = replace(_seal(vault, connection, "webhook", secret, now), stripe_endpoint_id=stripe_endpoint_id)
    await connections.insert_secret(tx, made)
    await _record_secret(tx, made, actor, now)
    return made


async def replace_api_key(
    tx: Connection,
    vault: Vault,
    organization_id: str,
    connection_id: str,
    *,
    api_key: str,
    stripe_account_id: str | None = None,
    actor: str,
    now: datetime,
) -> ConnectionSecret:
    """Use another Stripe key from now on; the old one ends, and what was refused is asked again.

    `stripe_account_id`: whose key it is; None where Stripe did not tell, which only a connection without an account
    can do with. Raises Refused: unknown_connection, mode_mismatch, account_mismatch, account_connected,
    invalid_api_key.
    """
    secret = check_api_key(api_key)
    connection = await _hold(tx, organization_id, connection_id)
    check_mode(connection.mode, secret)
    account = connection.stripe_account_id
    if account not in (None, stripe_account_id):
        whose = f"of {stripe_account_id}" if stripe_account_id else "of an account that Stripe does not tell"
        raise Refused(
            "account_mismatch",
            f"This key is {whose}, the connection of {account}. Give a key of that account, or connect the other anew.",
            "api_key",
        )
    changed = replace(
        connection, access="key", oauth_scope=None, stripe_account_id=account or stripe_account_id, status="active"
    )
    if account is None and stripe_account_id is not None:
        await _refuse_double(tx, changed)
    for old in await connections.valid_secrets(tx, organization_id, connection_id, "api_key", now):
        await connections.expire_secret(tx, organization_id, connection_id, old.secret_id, now)
    made = _seal(vault, connection, "api_key", secret, now)
    await connections.insert_secret(tx, made)
    there = now + timedelta(seconds=connection.clock_ahead_s)
    await catalog_syncs.insert_sync(tx, organization_id, connection_id, started_by=actor, started_at=there)
    await start_first_backfill(tx, changed, now)
    await _record_secret(tx, made, actor, now)
    await restore_connection(tx, changed, actor=actor, now=now)
    return made


async def learn_account(
    tx: Connection, connection: StripeConnection, stripe_account_id: str | None, *, actor: str, now: datetime
) -> None:
    """Note whose account a connection is, now that its key tells. Raises Refused: account_mismatch,
    account_connected."""
    held = await _hold(tx, connection.organization_id, connection.connection_id)
    if stripe_account_id is None or held.stripe_account_id == stripe_account_id:
        return
    if held.stripe_account_id is not None:
        raise Refused(
            "account_mismatch",
            f"The key is of {stripe_account_id}, not of {held.stripe_account_id}. Store a key of that account.",
        )
    learned = replace(held, stripe_account_id=stripe_account_id)
    await _refuse_double(tx, learned)
    await connections.update_access(tx, learned)
    await audit.record(
        tx,
        held.organization_id,
        at=now,
        actor=actor,
        action="connection.learn_account",
        subject=held.connection_id,
        details={"stripe_account_id": stripe_account_id},
    )


async def disconnect(
    tx: Connection, organization_id: str, connection_id: str, *, actor: str, now: datetime
) -> StripeConnection:
    """End a connection: its secrets end now and it is let be. What was booked stays; another key takes it up again.

    Raises Refused("unknown_connection").
    """
    connection = await _hold(tx, organization_id, connection_id)
    for kind in ("api_key", "webhook"):
        for old in await connections.valid_secrets(tx, organization_id, connection_id, kind, now):
            await connections.expire_secret(tx, organization_id, connection_id, old.secret_id, now)
    await platform.remove_account(tx, organization_id, connection_id)
    ended = replace(connection, status="disabled")
    await connections.update_access(tx, ended)
    await connection_health.note_ended_problems(tx, organization_id, connection_id, sorted(PROBLEMS), now)
    await audit.record(tx, organization_id, at=now, actor=actor, action="connection.disconnect", subject=connection_id)
    return ended


def open_secret(vault: Vault, secret: ConnectionSecret) -> str:
    """A stored secret in the clear. Raises VaultError."""
    return _open(vault, secret)


async def rotate_secrets(tx: Connection, vault: Vault, organization_id: str, *, actor: str, now: datetime) -> int:
    """Re-encrypt every secret under the first master key, forget ended ones; returns how many changed.

    Raises VaultError when a secret cannot be opened: then nothing is changed.
    """
    await connections.delete_expired_secrets(tx, organization_id, now)
    changed = 0
    for secret in await connections.all_secrets(tx, organization_id):
        fresh = vault.rotate(_sealed(secret), _place(secret))
        if fresh is not None:
            resealed = replace(secret, key_id=fresh.key_id, nonce=fresh.nonce, ciphertext=fresh.ciphertext)
            await connections.reseal_secret(tx, resealed)
            changed += 1
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="connection_secret.rotate",
        subject=organization_id,
        details={"changed": changed, "key_id": vault.current_key_id},
    )
    return changed


async def set_clock_ahead(
    tx: Connection, organization_id: str, connection_id: str, clock_ahead_s: int, *, actor: str, now: datetime
) -> StripeConnection:
    """Let the test clock of a connection run ahead of ours; it never goes back, for books only grow.

    Raises Refused: unknown_connection, live_clock, clock_goes_back, invalid_clock.
    """
    connection = await require_connection(tx, organization_id, connection_id)
    if connection.mode != "test":
        raise Refused("live_clock", "Only a connection in test mode has a clock that can be set.", "clock_ahead_s")
    if clock_ahead_s < connection.clock_ahead_s:
        raise Refused(
            "clock_goes_back",
            f"The test clock is {connection.clock_ahead_s} seconds ahead and only moves forward.",
            "clock_ahead_s",
        )
    if clock_ahead_s > MAX_CLOCK_AHEAD_S:
        raise Refused("invalid_clock", "The test clock can be at most 20 years ahead.", "clock_ahead_s")
    await connections.update_clock_ahead(tx, organization_id, connection_id, clock_ahead_s)
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="connection.set_clock",
        subject=connection_id,
        details={"clock_ahead_s": clock_ahead_s},
    )
    return replace(connection, clock_ahead_s=clock_ahead_s)


async def move_sandbox(
    tx: Connection, organization_id: str, connection_id: str, api_base: str, *, actor: str, now: datetime
) -> StripeConnection:
    """Tell a connection to a sandbox where it runs now. Raises Refused: unknown_connection, invalid_api_base."""
    connection = await require_connection(tx, organization_id, connection_id)
    checked = check_api_base(api_base, connection.mode)
    if connection.api_base is None or checked is None:
        raise Refused("invalid_api_base", "This connection is to Stripe itself and stays there.", "api_base")
    if checked == connection.api_base:
        return connection
    await connections.update_api_base(tx, organization_id, connection_id, checked)
    await audit.record(
        tx, organization_id, at=now, actor=actor, action="connection.move_sandbox", subject=connection_id
    )
    return replace(connection, api_base=checked)


async def require_connection(tx: Connection, organization_id: str, connection_id: str) -> StripeConnection:
    """The connection; raises Refused("unknown_connection")."""
    found = await connections.connection_by_id(tx, organization_id, connection_id)
    if found is None:
        raise Refused("unknown_connection", "There is no connection with this id.", "connection_id")
    return found


async def _hold(tx: Connection, organization_id: str, connection_id: str) -> StripeConnection:
    """The connection, which nobody else changes meanwhile; raises Refused("unknown_connection")."""
    await require_connection(tx, organization_id, connection_id)
    held = await connections.lock_connection(tx, organization_id, connection_id)
    assert held is not None
    return held


async def _refuse_double(tx: Connection, made: StripeConnection) -> None:
    """One account in one mode is one connection, or every sale would count twice; also of two that come at once."""
    assert made.stripe_account_id is not None
    await platform.lock_account(tx, made.stripe_account_id, made.mode)
    same = await connections.connection_of_account(tx, made.organization_id, made.stripe_account_id, made.mode)
    if same is not None and same.connection_id != made.connection_id:
        raise Refused(
            "account_connected",
            f"{made.stripe_account_id} is connected in {made.mode} mode already: store the key at “{same.name}”"
            f"{', which was ended and goes on with it' if same.status == 'disabled' else ''}.",
            "api_key",
        )


def _place(secret: ConnectionSecret) -> Place:
    return Place(secret.organization_id, secret.connection_id, secret.secret_id)


def _sealed(secret: ConnectionSecret) -> Sealed:
    return Sealed(secret.key_id, secret.nonce, secret.ciphertext)


def _open(vault: Vault, secret: ConnectionSecret) -> str:
    return vault.open(_sealed(secret), _place(secret)).decode()


def _is_same(vault: Vault, known: ConnectionSecret, secret: str) -> bool:
    try:
        return _open(vault, known) == secret
    except VaultError:  # its master key is lost: giving the secrets anew is the way out
        return False


def _seal(vault: Vault, connection: StripeConnection, kind: str, secret: str, now: datetime) -> ConnectionSecret:
    secret_id = new_id("secret")
    place = Place(connection.organization_id, connection.connection_id, secret_id)
    sealed = vault.seal(secret.encode(), place)
    return ConnectionSecret(
        organization_id=connection.organization_id,
        connection_id=connection.connection_id,
        secret_id=secret_id,
        kind=kind,
        key_id=sealed.key_id,
        nonce=sealed.nonce,
        ciphertext=sealed.ciphertext,
        hint=secret[-4:],
        created_at=now,
        expires_at=None,
    )


async def _record_secret(tx: Connection, made: ConnectionSecret, actor: str, now: datetime) -> None:
    await audit.record(
        tx,
        made.organization_id,
        at=now,
        actor=actor,
        action="connection_secret.add",
        subject=made.connection_id,
        details={"secret_id": made.secret_id, "kind": made.kind},
    )
