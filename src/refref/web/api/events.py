"""/v1/events with replay, /v1/explain, /v1/stripe_events."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.db import custom_events, reports
from refref.db.pool import Connection
from refref.db.reports import EventRow
from refref.flows.explain import explain
from refref.flows.replay import replay_events
from refref.web.api.call import Reading, Writing
from refref.web.api.models import (
    EventDetailOut,
    EventOut,
    ReplayedOut,
    StripeEventsOut,
)
from refref.web.api.paging import Cursor, Limit, PageOf, Search, present_page
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["events"], generate_unique_id_function=operation_id)


@router.get("/events")
async def list_events(
    call: Reading,
    connection_id: str | None = None,
    state: Literal["pending", "parked", "done", "ignored", "quarantined"] | None = None,
    type: Annotated[str | None, Query(description="The beginning of the event type.")] = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[EventOut]:
    """Stripe's events as they arrived, with what became of each."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.events_page(
            tx,
            *own,
            state=state,
            type_prefix=type,
            search=search,
            cursor=cursor,
            limit=limit,
        )
    return present_page(page, EventOut.model_validate)


@router.get("/events/{stripe_event_id}")
async def get_event(call: Reading, stripe_event_id: str, connection_id: str | None = None) -> EventDetailOut:
    """One event with its body."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        found = await reports.event_by_id(tx, *own, stripe_event_id)
    if found is None:
        raise _unknown_event()
    return EventDetailOut(body=json.loads(found.body), **_present(found.event).model_dump())


@router.post("/events/replay_parked", response_model=ReplayedOut)
async def replay_parked_events(call: Writing, connection_id: str | None = None) -> Response:
    """Try every parked event of a connection again."""

    async def run(tx: Connection) -> ReplayedOut:
        own = await call.books(tx, connection_id)
        count = await replay_events(tx, *own, event_ids=None, only_parked=True)
        return ReplayedOut(replayed=count)

    return await call.write(200, run)


@router.post("/events/{stripe_event_id}/replay", response_model=ReplayedOut)
async def replay_event(call: Writing, stripe_event_id: str, connection_id: str | None = None) -> Response:
    """Settle an event again. Doing so changes nothing that was right."""

    async def run(tx: Connection) -> ReplayedOut:
        own = await call.books(tx, connection_id)
        count = await replay_events(tx, *own, event_ids=[stripe_event_id], only_parked=False)
        if count == 0:
            raise _unknown_event()
        return ReplayedOut(replayed=count)

    return await call.write(200, run)


@router.get("/explain/{any_id}", response_model=dict[str, Any])
async def explain_id(
    call: Reading,
    any_id: Annotated[str, Path(min_length=1, max_length=254, description="Any id of RefRef or Stripe, or an e-mail.")],
    connection_id: str | None = None,
) -> Response:
    """Why a reward is what it is, or why there is none."""
    async with call.transaction() as tx:
        explanation = await explain(tx, call.organization_id, connection_id, any_id, int(call.now.timestamp()))
    return Response(msgspec.json.encode(explanation), media_type="application/json")


@router.get("/stripe_events")
async def list_stripe_events(
    call: Reading,
    connection_id: Annotated[
        str | None, Query(description="Also the types that this connection's custom events ask for.")
    ] = None,
) -> StripeEventsOut:
    """The event types to enable on the webhook endpoint in Stripe."""
    from refref.stripe.readers import events_to_enable  # with all readers behind it: not needed to start

    if connection_id is None:
        return StripeEventsOut(data=list(events_to_enable()))
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        custom = await custom_events.paths_by_type(tx, *own)
    return StripeEventsOut(data=list(events_to_enable(custom_types=custom)))


def _present(row: EventRow) -> EventOut:
    return EventOut.model_validate(row)


def _unknown_event() -> Refused:
    return Refused("unknown_event", "The connection knows no such event.", "stripe_event_id")
