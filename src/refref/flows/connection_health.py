"""Connections that stop working and work again: problems noted and ended, the status that follows, what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from refref.core.connection_health import ENDED_BY_NEW_ACCESS, Health, status_of
from refref.db import audit, connection_health, connections, history
from refref.db.connection_health import CheckKind
from refref.db.connections import StripeConnection
from refref.db.pool import Connection
from refref.stripe.client import API_VERSION
from refref.stripe.errors import FailureClass

CHECK_AGAIN = timedelta(minutes=15)


async def record_health(
    tx: Connection, connection: StripeConnection, health: Health, *, actor: str, now: datetime
) -> StripeConnection:
    """Note what was found and end what was looked for in vain; the connection with the status that follows.

    What was refused while it was cut off is asked again when it is not any more. A connection that was ended while
    Stripe was asked stays ended, and nothing is noted.
    """
    where = (connection.organization_id, connection.connection_id)
    held = await connections.lock_connection(tx, *where)
    if held is None or held.status == "disabled":
        return replace(connection, status="disabled")
    connection = held
    over = sorted(health.looked_for - health.found.keys())
    ended = await connection_health.note_ended_problems(tx, *where, over, now)
    begun = await connection_health.note_new_problems(tx, *where, health.found, now)
    for action, codes in (("connection.problem", begun), ("connection.problem_over", ended)):
        if codes:
            await audit.record(
                tx, where[0], at=now, actor=actor, action=action, subject=where[1], details={"codes": " ".join(codes)}
            )
    still = [problem.code for problem in await connection_health.open_problems(tx, *where)]
    status = status_of(connection.status, still)
    if status != connection.status:
        await connection_health.update_status(tx, *where, status)
    if status == "active" and (status != connection.status or "permission_missing" in ended):
        await connection_health.update_needs_due(tx, *where)
        await history.update_due_now(tx, *where)
    return replace(connection, status=status)


async def record_refused_call(
    tx: Connection, connection: StripeConnection, refused: FailureClass, what: str, *, now: datetime
) -> None:
    """A call by itself was refused: of a key that is not accepted the watch makes sure at once, of a permission that is
    missing it is said what for."""
    if refused is FailureClass.AUTH:
        await connection_health.update_check_at(tx, connection.organization_id, connection.connection_id, now)
    elif refused is FailureClass.PERMISSION:
        await record_health(tx, connection, Health({"permission_missing": what}, frozenset()), actor="system", now=now)


async def restore_connection(tx: Connection, connection: StripeConnection, *, actor: str, now: datetime) -> None:
    """A connection has got another key or access: it is active, and goes on where it was cut off."""
    where = (connection.organization_id, connection.connection_id)
    await connections.update_access(tx, replace(connection, status="active"))
    await record_health(
        tx, replace(connection, status="active"), Health({}, frozenset(ENDED_BY_NEW_ACCESS)), actor=actor, now=now
    )
    await connection_health.update_needs_due(tx, *where)
    await history.update_due_now(tx, *where)
    await connection_health.update_check_at(tx, *where, now)


async def record_version(tx: Connection, connection: StripeConnection, *, now: datetime) -> None:
    """Note it when Stripe began to send another API version, and that it is over when it sends ours."""
    noted, newest = await connection_health.note_version(tx, connection.organization_id, connection.connection_id)
    if newest == API_VERSION:  # the one that is asked for, as after a repair
        await record_health(tx, connection, Health({}, frozenset({"version_changed"})), actor="system", now=now)
    elif noted is not None and newest is not None and noted != newest:
        found = {"version_changed": f"{noted} to {newest}"}
        await record_health(tx, connection, Health(found, frozenset()), actor="system", now=now)


async def keep_check(
    tx: Connection, connection: StripeConnection, kind: CheckKind, body: Mapping[str, Any], *, now: datetime
) -> None:
    """Keep what was seen, for the pages."""
    await connection_health.store_check(tx, connection.organization_id, connection.connection_id, kind, body, now)


async def plan_next_check(tx: Connection, connection: StripeConnection, *, now: datetime) -> None:
    """Look again in a quarter of an hour."""
    await connection_health.update_check_at(tx, connection.organization_id, connection.connection_id, now + CHECK_AGAIN)
