"""Reads catalogues from Stripe's API, a page of each connection a turn, outside any transaction; resumes anywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from refref.core.catalog import CatalogItem
from refref.db import catalog_syncs, connections, setup
from refref.db.catalog import PARTS
from refref.db.pool import Database
from refref.flows.catalog import take_failure, take_page
from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.listing import LONGEST_PAUSE_S
from refref.stripe.readers import UnreadableEvent
from refref.stripe.readers.catalog import read_listed
from refref.vault import Vault
from refref.worker.gateways import gateway_of
from refref.worker.pace import Pace

log = structlog.get_logger("refref.catalog")


async def read_catalogs_due(database: Database, vault: Vault, now: Callable[[], int], pace: Pace | None = None) -> int:
    """Read the next page of each catalogue that is being read, at its connection's pace; returns how many pages."""
    pace = pace or Pace()
    async with database.plain() as connection:
        due = await catalog_syncs.connections_with_due_catalog(connection)
    pages = 0
    for organization_id, connection_id in due:
        pages += await _read_page(database, vault, organization_id, connection_id, now(), pace)
    return pages


async def _read_page(
    database: Database, vault: Vault, organization_id: str, connection_id: str, now: int, pace: Pace
) -> int:
    async with database.tenant(organization_id) as tx:
        sync = await catalog_syncs.locked_sync(tx, organization_id, connection_id)
        gateway = None if sync is None else await gateway_of(tx, vault, organization_id, connection_id)
        there = now + await setup.clock_ahead_s(tx, organization_id, connection_id)
        connection = await connections.connection_by_id(tx, organization_id, connection_id)
        if sync is None or connection is None:
            return 0
        if gateway is None:
            failure = StripeFailure(
                FailureClass.AUTH, None, "There is no key that opens.", status=None, request_id=None
            )
            await take_failure(tx, organization_id, connection_id, sync, failure, datetime.fromtimestamp(there, UTC))
            return 0
    name = dict(PARTS)[sync.part]
    bucket = pace.bucket_of(connection)
    await bucket.take()
    try:
        page: tuple[list[object], str] | StripeFailure = await gateway.list_page(f"/v1/{sync.part}", sync.cursor_id)
    except StripeFailure as failure:
        page = failure
        if failure.retry_after_s:
            bucket.pause(min(failure.retry_after_s, LONGEST_PAUSE_S))
    finally:
        await gateway.close()
    at = datetime.fromtimestamp(there, UTC)
    async with database.tenant(organization_id) as tx:
        # Another worker may have read the page meanwhile: then this one is of no use.
        held = await catalog_syncs.locked_sync(tx, organization_id, connection_id)
        if held is None or (held.sync_no, held.part, held.cursor_id) != (sync.sync_no, sync.part, sync.cursor_id):
            return 0
        if isinstance(page, StripeFailure):
            log.warning("the catalogue was not read", connection_id=connection_id, failure=page.failure.value)
            await take_failure(tx, organization_id, connection_id, held, page, at)
            return 0
        rows, next_id = page
        await take_page(
            tx, organization_id, connection_id, held, _items(rows, name, there, connection_id), next_id=next_id, now=at
        )
    return 1


def _items(rows: list[object], name: str, seen_at: int, connection_id: str) -> list[CatalogItem]:
    """What can be read of a page; what cannot is left out and told, since it is for people alone."""
    found: list[CatalogItem] = []
    for row in rows:
        try:
            found.append(read_listed(row, name, seen_at))
        except UnreadableEvent as refusal:
            log.warning("a thing of the catalogue cannot be read", connection_id=connection_id, reason=str(refusal))
    return found
