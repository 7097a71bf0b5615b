"""Trying a custom event of a draft: on recent events, on the samples that come with RefRef, on pasted JSON."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.core.terms import QualifyingEvent, Terms
from refref.core.terms_check import faults_of
from refref.flows.custom_events import TriedEvent, try_custom_event, try_on_stored_events
from refref.sample_events import sample_events
from refref.web.pages.builder_desk import Desk, builder_page, numbered, open_desk
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, form_of, one_of

router = APIRouter(include_in_schema=False)

RECENT = 10
SOURCES = ("stored", "sample", "pasted")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the custom event is tried on: recent events, a sample by its type, or JSON."""

    on: str
    sample: str = ""
    pasted: str = ""


@router.get("/programs/{program_id}/draft/events/{number}/try")
async def try_page(request: Request, viewer: OnConnection, program_id: str, number: int) -> Response:
    """The panel, with recent events tried; with `on=sample` a sample."""
    desk, event = await _found(viewer, program_id, number)
    given = request.query_params
    asked = Asked(one_of(given.get("on"), SOURCES) or "stored", given.get("sample", "") or _first_sample(event))
    return await _tried(request, viewer, desk, number, asked)


@router.post("/programs/{program_id}/draft/events/{number}/try")
async def try_pasted(request: Request, viewer: OnConnection, program_id: str, number: int) -> Response:
    """The panel with pasted JSON tried. Nothing is stored."""
    desk, event = await _found(viewer, program_id, number)
    form = await form_of(request)
    return await _tried(request, viewer, desk, number, Asked("pasted", _first_sample(event), form.get("event", "")))


async def _found(viewer: Connected, program_id: str, number: int) -> tuple[Desk, QualifyingEvent]:
    desk = await open_desk(viewer, program_id)
    event = desk.terms.events[numbered(desk.terms.events, number, "event")]
    if event.custom is None:
        raise PageNotFound("custom event")
    return desk, event


async def _tried(request: Request, viewer: Connected, desk: Desk, number: int, asked: Asked) -> Response:
    event = desk.terms.events[number - 1]
    terms = _alone(desk.terms, event)
    tried: list[TriedEvent] = []
    refused: Refused | None = None
    try:
        tried = await _try(viewer, terms, event.event_id, asked)
    except Refused as error:
        refused = error
    return builder_page(
        request,
        "builder_try.html",
        viewer,
        desk,
        section="events",
        refused=refused,
        number=number,
        event=event,
        asked=asked,
        tried=tried,
        has_rules=any(rule.event == event.event_id for rule in desk.terms.rules),
        samples=list(sample_events()),
    )


async def _try(viewer: Connected, terms: Terms, event_id: str, asked: Asked) -> list[TriedEvent]:
    if asked.on == "pasted":
        return [try_custom_event(terms, event_id, asked.pasted.encode())]
    if asked.on == "sample":
        body = sample_events().get(asked.sample)
        if body is None:
            raise Refused("invalid_event", "RefRef has no sample of this type: choose another, or paste an event.")
        return [try_custom_event(terms, event_id, body)]
    async with viewer.transaction() as tx:
        return await try_on_stored_events(
            tx, viewer.organization_id, viewer.connection_id, terms, event_id, limit=RECENT
        )


def _alone(terms: Terms, event: QualifyingEvent) -> Terms:
    """The terms with this event and its rules alone, so that faults elsewhere in the draft do not matter here."""
    rules = tuple(rule for rule in terms.rules if rule.event == event.event_id)
    own = structs.replace(terms, events=(event,), rules=rules or Terms().rules, caps=())
    if any(not fault.field.startswith(("terms.rules", "terms.events")) for fault in faults_of(own)):
        return structs.replace(Terms(), events=own.events, rules=own.rules)
    return own


def _first_sample(event: QualifyingEvent) -> str:
    known = sample_events()
    wanted = event.custom.stripe_types if event.custom else ()
    return next((name for name in wanted if name in known), next(iter(known), ""))
