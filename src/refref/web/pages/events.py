"""Stripe's events: the list with their state, the page of one with its raw JSON, and the replay of one."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.db import reports
from refref.db.pool import Connection
from refref.db.reports import EVENT_STATES, EventRow, Page
from refref.flows.explain import explain
from refref.flows.replay import replay_events
from refref.stripe.readers import REGISTRY
from refref.web.pages.exports import Cell, csv_response
from refref.web.pages.lists import Choice, Listing, Select, asked
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, one_of

router = APIRouter(include_in_schema=False)

_STATE_WORDS: dict[str, str] = {"pending": "Waiting"}
_HEADER = (
    "event",
    "type",
    "object",
    "state",
    "attempts",
    "error",
    "source",
    "api_version",
    "created_at",
    "received_at",
)


@router.get("/events")
async def events(request: Request, viewer: OnConnection) -> Response:
    """The list, filtered by state, type and search."""
    values, cursor = asked(request, "q", "state", "type"), request.query_params.get("cursor")
    async with viewer.transaction() as tx:
        page = await _fetch(tx, viewer, values, cursor, 50)
    types = [Choice(name, name) for name in sorted(REGISTRY)]
    listing = Listing(
        path="/events",
        values=values,
        selects=[
            Select(
                "state",
                "State",
                "Any state",
                [Choice(state, _STATE_WORDS.get(state, state.capitalize())) for state in EVENT_STATES],
            ),
            Select("type", "Type", "Any type", types),
        ],
        search_label="Event or object id",
        cursor=cursor,
        next_cursor=page.next_cursor,
    )
    return render(request, "events.html", viewer, page=page, listing=listing)


@router.get("/events.csv")
async def events_csv(request: Request, viewer: OnConnection) -> Response:
    """The same list, whole, as a file."""
    values = asked(request, "q", "state", "type")
    return csv_response(
        viewer, "events", _HEADER, lambda tx, cursor, limit: _fetch(tx, viewer, values, cursor, limit), _cells
    )


@router.get("/events/{event_id}")
async def event(request: Request, viewer: OnConnection, event_id: str) -> Response:
    """One event: what became of it, why, and exactly what Stripe sent."""
    async with viewer.transaction() as tx:
        found = await reports.event_by_id(tx, viewer.organization_id, viewer.connection_id, event_id)
        if found is None:
            raise PageNotFound("event")
        explanation = await explain(tx, viewer.organization_id, viewer.connection_id, event_id, viewer.now_s)
    return render(request, "event.html", viewer, event=found.event, body=found.body, explanation=explanation)


@router.post("/events/{event_id}/replay")
async def replay(request: Request, viewer: OnConnection, event_id: str) -> Response:
    """Put the event into the queue again; replaying one that was processed changes nothing in the books."""
    async with viewer.transaction() as tx:
        await replay_events(tx, viewer.organization_id, viewer.connection_id, event_ids=[event_id], only_parked=False)
    return RedirectResponse(request.url.path.removesuffix("/replay"), status_code=303)


async def _fetch(
    tx: Connection, viewer: Connected, values: dict[str, str], cursor: str | None, limit: int
) -> Page[EventRow]:
    return await reports.events_page(
        tx,
        viewer.organization_id,
        viewer.connection_id,
        state=one_of(values["state"], EVENT_STATES),
        type_prefix=values["type"],
        search=values["q"],
        cursor=cursor,
        limit=limit,
    )


def _cells(row: EventRow) -> list[Cell]:
    return [
        row.stripe_event_id,
        row.type,
        row.object_id,
        row.state,
        row.attempts,
        row.error,
        row.source,
        row.api_version,
        row.created_at,
        row.received_at,
    ]
