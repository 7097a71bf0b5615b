"""Stripe's events as they arrived, with the state that follows from the inbox. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import asyncpg

from refref.db import bodies
from refref.db.pool import Connection
from refref.db.reports.paging import Filter, Page, clamp_limit, decode_number, page_of

EventState = Literal["pending", "parked", "done", "ignored", "quarantined"]
EVENT_STATES: tuple[EventState, ...] = get_args(EventState)


@dataclass(frozen=True, slots=True)
class EventRow:
    stripe_event_id: str
    event_seq: int
    type: str
    object_id: str
    state: EventState
    source: str  # webhook, poll, told, backfill, reconcile
    api_version: str | None
    created_at: datetime  # by Stripe
    received_at: datetime
    attempts: int
    due_at: datetime | None  # when a pending event is tried again; None: now
    error_code: str | None  # why parked or retried
    error: str | None  # the sentence; for a quarantined event the reason


@dataclass(frozen=True, slots=True)
class EventDetail:
    event: EventRow
    body: bytes  # the raw bytes that Stripe signed


_COLUMNS = """
  e.stripe_event_id, e.event_seq, e.type, e.object_id, e.source, e.api_version, e.created_at, e.received_at,
  case when e.state in ('ignored', 'quarantined') then e.state
       when i.event_seq is null then 'done' else i.state end as state,
  coalesce(i.attempts, 0) as attempts, nullif(i.due_at, '-infinity') as due_at,
  i.error_code, coalesce(i.error, e.reason) as error
"""
_FROM = """
  from stripe_event e
  left join inbox i on i.organization_id = e.organization_id and i.connection_id = e.connection_id
       and i.event_seq = e.event_seq
"""
_PAGE = "select" + _COLUMNS + _FROM + " where {where} order by e.event_seq desc limit {limit}"
_ONE = (
    "select e.body,"
    + _COLUMNS
    + _FROM
    + " where e.organization_id = $1 and e.connection_id = $2 and e.stripe_event_id = $3"
)
_STATE_CONDITIONS: dict[str, str] = {
    "pending": "i.state = 'pending'",
    "parked": "i.state = 'parked'",
    "done": "e.state = 'accepted' and i.event_seq is null",
    "ignored": "e.state = 'ignored'",
    "quarantined": "e.state = 'quarantined'",
}


async def events_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    state: EventState | None = None,
    type_prefix: str | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[EventRow]:
    """Events, the latest arrival first. `search` is looked for in event ids, object ids and types."""
    limit = clamp_limit(limit)
    wanted = Filter(_PAGE)
    wanted.add("e.organization_id = ? and e.connection_id = ?", organization_id, connection_id)
    if state:
        wanted.add(_STATE_CONDITIONS[state])
    wanted.add_given("starts_with(e.type, ?)", type_prefix)
    wanted.add_search(("e.stripe_event_id", "e.object_id", "e.type"), search)
    if cursor:
        wanted.add("e.event_seq < ?", decode_number(cursor))
    sql, values = wanted.query(limit)
    return page_of(await tx.fetch(sql, *values), limit, _event_row, ["event_seq"])


async def event_by_id(
    tx: Connection, organization_id: str, connection_id: str, stripe_event_id: str
) -> EventDetail | None:
    """One event with its raw body; None when this connection has none of that id."""
    row = await tx.fetchrow(_ONE, organization_id, connection_id, stripe_event_id)
    return None if row is None else EventDetail(_event_row(row), bodies.decompress(row["body"]))


def _event_row(row: asyncpg.Record) -> EventRow:
    return EventRow(**{name: row[name] for name in EventRow.__slots__})
