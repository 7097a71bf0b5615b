"""Reads Stripe's events list: as the intake where no webhook can arrive, else a few minutes behind the webhooks.

Day by day from the cursor on, so that what is stored stays stored whenever it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from refref.core.periods import DAY_S
from refref.db import connections, event_polls
from refref.db.connections import StripeConnection
from refref.db.event_polls import EventPoll
from refref.db.pool import Database
from refref.flows.connection_health import record_refused_call
from refref.flows.reconcile import KEPT_S, take_events
from refref.stripe.errors import StripeFailure
from refref.stripe.listing import EVENTS, MISSED_EVENTS, ListReader, StripeList
from refref.vault import Vault
from refref.worker.gateways import NO_KEY, gateway_of
from refref.worker.pace import Pace

INTAKE_EVERY_S = 15
CHECK_EVERY_S = 300
OVERLAP_S = 3600
TURN_S = 20.0
_BEHIND_S = 60  # webhooks of the last minute may still be on their way
_MISSED_S = 3 * DAY_S  # as long as Stripe tries to deliver
_MOST_MISSED_PAGES = 10
_LEASE_S = 900
_LONGEST_PAUSE_S = 3600

log = structlog.get_logger("refref.polling")


async def poll_events_due(
    database: Database, vault: Vault, now: Callable[[], int], pace: Pace, *, turn_s: float = TURN_S
) -> int:
    """Read the events list of each connection where it is due, for a turn each; returns how many events were new."""
    async with database.plain() as connection:
        due = await event_polls.due(connection)
    return sum([await _poll(database, vault, *ids, now, pace, turn_s) for ids in due])


async def _poll(
    database: Database,
    vault: Vault,
    organization_id: str,
    connection_id: str,
    now: Callable[[], int],
    pace: Pace,
    turn_s: float,
) -> int:
    async with database.tenant(organization_id) as tx:
        poll = await event_polls.take(tx, organization_id, connection_id, _LEASE_S)
        connection = await connections.connection_by_id(tx, organization_id, connection_id)
        gateway = None if poll is None else await gateway_of(tx, vault, organization_id, connection_id)
        if poll is not None and gateway is None:
            await event_polls.postpone(tx, organization_id, connection_id, NO_KEY, _LONGEST_PAUSE_S)
    if poll is None or connection is None or gateway is None:
        return 0
    until_at = now() + connection.clock_ahead_s + (1 if poll.is_intake else -_BEHIND_S)
    try:
        return await _read_events(database, pace.reader_of(gateway, connection), connection, poll, until_at, turn_s)
    except StripeFailure as failure:
        log.warning("events not read", connection_id=connection_id, failure=failure.failure.value)
        pause_s = _LONGEST_PAUSE_S
        if failure.policy.is_repeatable:
            pause_s = max(min(30 << min(poll.attempts, 10), _LONGEST_PAUSE_S), failure.retry_after_s or 0)
        async with database.tenant(organization_id) as tx:
            await event_polls.postpone(tx, organization_id, connection_id, str(failure), pause_s)
            await record_refused_call(tx, connection, failure.failure, "events", now=datetime.now(UTC))
        return 0
    finally:
        await gateway.close()


async def _read_events(
    database: Database, reader: ListReader, connection: StripeConnection, poll: EventPoll, until_at: int, turn_s: float
) -> int:
    """Store all events from the cursor (less the overlap) on, a day at a time, for a turn; then those that Stripe says
    it could not deliver."""
    ends_at = time.monotonic() + turn_s
    kept_from = until_at - KEPT_S
    # No webhook could bring what is older than the connection: it was not missed.
    since = 0 if poll.is_intake else int(connection.created_at.timestamp()) + connection.clock_ahead_s
    start = kept_from if poll.cursor_at is None else max(kept_from, poll.cursor_at - OVERLAP_S)
    new = 0
    while start < until_at:
        end = min(start + DAY_S, until_at)
        new += await _read_span(database, reader, connection, EVENTS, start, end, since)
        is_over = end < until_at and time.monotonic() >= ends_at
        next_in_s = INTAKE_EVERY_S if poll.is_intake else CHECK_EVERY_S
        if end < until_at:
            next_in_s = 0 if is_over else _LEASE_S
        async with database.tenant(connection.organization_id) as tx:
            await event_polls.move_cursor(tx, connection.organization_id, connection.connection_id, end, next_in_s)
        if is_over:
            return new  # another connection's list has its turn
        start = end
    if not poll.is_intake:
        missed_from = max(kept_from, until_at - _MISSED_S)
        new += await _read_span(
            database, reader, connection, MISSED_EVENTS, missed_from, until_at, since, most_pages=_MOST_MISSED_PAGES
        )
    return new


async def _read_span(
    database: Database,
    reader: ListReader,
    connection: StripeConnection,
    what: StripeList,
    from_at: int,
    until_at: int,
    since: int,
    *,
    most_pages: int | None = None,
) -> int:
    """Store what lies in a span; returns how many events made at `since` or later were new."""
    organization_id, connection_id = connection.organization_id, connection.connection_id
    new = pages = 0
    after = ""
    while True:
        page = await reader.page(what, from_at=from_at, until_at=until_at, after=after)
        async with database.tenant(organization_id) as tx:
            found = await take_events(tx, connection, page.rows)
            read = sum(arrival.state == "accepted" and arrival.created_at >= since for arrival in found)
            await event_polls.note_page(tx, organization_id, connection_id, len(page.rows), read)
        new += read
        pages += 1
        after = page.next_id
        if not after or pages == most_pages:
            return new
