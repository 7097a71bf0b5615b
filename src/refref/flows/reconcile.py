"""Reconcile: events of Stripe's list as far as Stripe keeps them (30 days), objects beyond; and what was found.

What is missing goes through the same inbox as everything else. Objects are compared in flows/backfill.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from refref.core.periods import DAY_S
from refref.db import history, inbox
from refref.db.connections import StripeConnection
from refref.db.history import Gap, HistoryRun
from refref.db.inbox import Arrival
from refref.db.pool import Connection
from refref.flows.arrivals import arrival_of, strange_to
from refref.stripe.envelope import EventRefused, parse_event_head
from refref.stripe.listing import Row, created_of

KEPT_S = 30 * DAY_S
# A span that begins later follows what was read within the last 30 days (flows.readings.OVERLAP is the difference), so
# that events tell of every change since.
_RECENT_S = 36 * DAY_S
_YEAR_S = 365 * DAY_S
# What may change, or be known of, at any time after it was made; of a payment, within a year.
_WHOLE = frozenset({"customers", "subscriptions", "refunds", "disputes", "credit_notes"})
_OF_A_YEAR = frozenset({"invoices", "sessions", "payment_intents", "charges"})
_encode = msgspec.json.Encoder().encode


def bounds_of(run: HistoryRun, part: str, now_s: int) -> tuple[int | None, int]:
    """From when until when a list is read, by the creation of its objects, in seconds; `now_s` by Stripe's clock.

    What was made before the span may have changed in it: a debit that arrived, a dispute that was decided, an invoice
    paid late. Events tell it, as long as Stripe keeps them; where the span goes back further, so do the lists.
    """
    from_s, until_s = run.from_s, run.until_s
    if run.kind != "reconcile" or from_s is None:
        return from_s, until_s
    if part == "events":
        return max(from_s, now_s - KEPT_S), until_s
    if from_s < now_s - _RECENT_S:
        if part in _WHOLE:
            return None, until_s
        if part in _OF_A_YEAR:
            return from_s - _YEAR_S, until_s
    return from_s, until_s


async def take_events_page(
    tx: Connection, run: HistoryRun, connection: StripeConnection, rows: Sequence[Row], cursor_id: str
) -> int:
    """Store a page of the events list for a reconciliation and move its cursor; returns how many events were new."""
    new = await take_events(tx, connection, rows)
    read = [arrival for arrival in new if arrival.state == "accepted"]
    await history.note_gaps(tx, run, [Gap("events", arrival.stripe_event_id, arrival.type) for arrival in read])
    await history.advance(
        tx,
        run,
        "events",
        cursor_id=cursor_id,
        read=len(rows),
        gaps=len(read),
        stored=len(read),
        reached_at=created_of(rows[-1]) if rows else None,
        is_done=not cursor_id,
    )
    return len(read)


async def take_events(tx: Connection, connection: StripeConnection, rows: Sequence[Row]) -> list[Arrival]:
    """Store events of the list as webhooks are stored; returns those that were not known. What is no event is left
    out; one that is there already stays one."""
    arrivals = [arrival for row in rows if (arrival := _arrival(connection, row)) is not None]
    ids = [arrival.stripe_event_id for arrival in arrivals]
    known = await inbox.known_event_ids(tx, connection.organization_id, connection.connection_id, ids)
    new = [arrival for arrival in arrivals if arrival.stripe_event_id not in known]
    if new:
        await inbox.accept(tx, new)
        await inbox.wake_pumps(tx)
    return new


def _arrival(connection: StripeConnection, row: Row) -> Arrival | None:
    body = _encode(row)
    try:
        head = parse_event_head(body)
    except EventRefused:
        return None
    strange = strange_to(head, connection.mode, connection.stripe_account_id)
    return arrival_of(connection.organization_id, connection.connection_id, head, body, source="poll", strange=strange)
