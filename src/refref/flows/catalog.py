"""The catalogue of a connection: a full reading begins, takes in a page, goes on to the next part, ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from refref.core.catalog import CatalogItem
from refref.core.refusals import Refused
from refref.db import audit, catalog, catalog_syncs, connections
from refref.db.catalog import PARTS, CatalogSync
from refref.db.pool import Connection
from refref.stripe.errors import FailureClass, StripeFailure

MOST_ATTEMPTS = 12
_LONG_PAUSE_S = 3600


async def start_sync(
    tx: Connection, organization_id: str, connection_id: str, *, actor: str, now: datetime
) -> CatalogSync:
    """Have the whole catalogue read, unless that is going on already; returns the reading.

    Raises Refused: unknown_connection, api_key_required.
    """
    connection = await connections.connection_by_id(tx, organization_id, connection_id)
    if connection is None:
        raise Refused("unknown_connection", "There is no connection with this id.", "connection_id")
    is_by_key = connection.access == "key"
    if is_by_key and not await connections.valid_secrets(tx, organization_id, connection_id, "api_key", now):
        raise Refused("api_key_required", "The connection has no Stripe key: add one.", "connection_id")
    there = now + timedelta(seconds=connection.clock_ahead_s)
    if await catalog_syncs.insert_sync(tx, organization_id, connection_id, started_by=actor, started_at=there):
        await audit.record(tx, organization_id, at=now, actor=actor, action="catalog.sync", subject=connection_id)
    found = await catalog_syncs.latest_sync(tx, organization_id, connection_id)
    assert found is not None
    return found


async def take_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    sync: CatalogSync,
    items: Sequence[CatalogItem],
    *,
    next_id: str,
    now: datetime,
) -> None:
    """Store a page of the part that is being read; at the part's end note what is gone and go on to the next part.

    `next_id`: where the part goes on, "" at its end; `now`: on the connection's clock.
    """
    await catalog.store_items(tx, organization_id, connection_id, items)
    deleted = 0
    if not next_id:
        deleted = await catalog.mark_missing(
            tx, organization_id, connection_id, sync.part, unseen_since=sync.started_at
        )
    await _go_on(tx, organization_id, connection_id, sync, next_id, len(items), deleted, None, now)


async def take_failure(
    tx: Connection, organization_id: str, connection_id: str, sync: CatalogSync, failure: StripeFailure, now: datetime
) -> None:
    """What becomes of a reading that Stripe refused: tried again, without the part, or ended.

    Where the thing at which it stood was deleted, the part is read from its beginning.
    """
    if failure.failure is FailureClass.PERMISSION:
        error = f"The key may not list {sync.part.replace('_', ' ')}: {failure}"
        await _go_on(tx, organization_id, connection_id, sync, "", 0, 0, error, now)
        return
    if failure.failure is FailureClass.NOT_FOUND and sync.cursor_id:
        await catalog_syncs.update_part_start(tx, organization_id, connection_id, sync.sync_no)
        return
    if failure.policy.is_repeatable and sync.attempts < MOST_ATTEMPTS:
        pause_s = max(min(2**sync.attempts, _LONG_PAUSE_S), failure.retry_after_s or 0)
        await catalog_syncs.postpone_sync(
            tx, organization_id, connection_id, sync.sync_no, error=str(failure), pause_s=pause_s
        )
        return
    await catalog_syncs.fail_sync(tx, organization_id, connection_id, sync.sync_no, error=str(failure), finished_at=now)


async def _go_on(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    sync: CatalogSync,
    next_id: str,
    read: int,
    deleted: int,
    error: str | None,
    now: datetime,
) -> None:
    names = [part for part, _ in PARTS]
    following = [*names, ""][names.index(sync.part) + 1]
    part = sync.part if next_id else following
    await catalog_syncs.update_progress(
        tx,
        organization_id,
        connection_id,
        sync.sync_no,
        part=part,
        cursor_id=next_id,
        read=read,
        deleted=deleted,
        error=error,
        finished_at=None if part else now,
    )
