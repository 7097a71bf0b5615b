"""Qualifying events of a draft: the list, one added, changed, or taken out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from refref.core.criteria_form import FIELDS
from refref.core.refusals import Refused
from refref.core.rule_words import EVENT_PHRASES, capital
from refref.core.terms import MONEY_KINDS, QualifyingEvent, Terms
from refref.db.event_types import recent_types
from refref.sample_events import sample_events
from refref.web.pages.builder_desk import (
    NOT_READ,
    Desk,
    FormView,
    builder_page,
    change_draft,
    form_view,
    go,
    id_from,
    numbered,
    open_desk,
)
from refref.web.pages.builder_words import KINDS
from refref.web.pages.condition_form import CHOICES
from refref.web.pages.terms_form import read_struct, values_of
from refref.web.pages.viewer import Connected, OnConnection, form_of, one_of

router = APIRouter(include_in_schema=False)

_FIELDS = tuple(name for name in QualifyingEvent.__struct_fields__ if name != "event_id")


@dataclass(frozen=True, slots=True)
class EventRow:
    """A qualifying event in the list: what narrows it, the rules that it feeds, and how much is to be mended."""

    number: int
    event: QualifyingEvent
    details: list[str]
    rules: list[str]
    fault_count: int


@router.get("/programs/{program_id}/draft/events")
async def events(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Every qualifying event."""
    desk = await open_desk(viewer, program_id)
    return _list(request, viewer, desk)


@router.get("/programs/{program_id}/draft/events/new")
async def new_event(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """The kinds to choose from; with `kind` the form of a new event."""
    desk = await open_desk(viewer, program_id)
    kind = one_of(request.query_params.get("kind"), tuple(KINDS))
    if kind is None:
        return builder_page(request, "builder_event_kinds.html", viewer, desk, section="events")
    form = FormView({**values_of(_blank()), "kind": kind, "custom.per_customer": "once"})
    return await _form(request, viewer, desk, form, None)


@router.post("/programs/{program_id}/draft/events/new")
async def add_event(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Add an event to the draft."""
    return await _save(request, viewer, program_id, None)


@router.get("/programs/{program_id}/draft/events/{number}")
async def event(request: Request, viewer: OnConnection, program_id: str, number: int) -> Response:
    """The form of one event."""
    desk = await open_desk(viewer, program_id)
    place = numbered(desk.terms.events, number, "event")
    path = f"terms.events.{place}"
    form = form_view(desk.terms.events[place], desk.faults_below(path), path)
    return await _form(request, viewer, desk, form, number)


@router.post("/programs/{program_id}/draft/events/{number}")
async def change_event(request: Request, viewer: OnConnection, program_id: str, number: int) -> Response:
    """Change an event of the draft."""
    return await _save(request, viewer, program_id, number)


@router.post("/programs/{program_id}/draft/events/{number}/remove")
async def remove_event(request: Request, viewer: OnConnection, program_id: str, number: int) -> Response:
    """Take an event out. Rules that name it are then at fault and say so."""
    form = await form_of(request)

    def without(terms: Terms) -> Terms:
        place = numbered(terms.events, number, "event")
        return structs.replace(terms, events=terms.events[:place] + terms.events[place + 1 :])

    try:
        await change_draft(viewer, program_id, form, without)
    except Refused as refused:
        return _list(request, viewer, await open_desk(viewer, program_id), refused)
    return go(f"/programs/{program_id}/draft/events")


async def _save(request: Request, viewer: Connected, program_id: str, number: int | None) -> Response:
    form = await form_of(request)
    faults: dict[str, str] = {}
    made: list[QualifyingEvent] = []

    def put(terms: Terms) -> Terms:
        if number is None:
            before = _blank(id_from(form.get("name", "") or form.get("kind", ""), _ids(terms), "event"))
        else:
            before = terms.events[numbered(terms.events, number, "event")]
        made.append(read_struct(_relevant(form), before, faults, _FIELDS))
        if faults:
            raise NOT_READ
        if number is None:
            return structs.replace(terms, events=(*terms.events, made[0]))
        events = (*terms.events[: number - 1], made[0], *terms.events[number:])
        return structs.replace(terms, events=events)

    try:
        terms = await change_draft(viewer, program_id, form, put)
    except Refused as refused:
        desk = await open_desk(viewer, program_id)
        return await _form(request, viewer, desk, FormView(form, faults), number, refused)
    desk = await open_desk(viewer, program_id)
    place = len(terms.events) - 1 if number is None else number - 1
    address = f"{desk.path}/events/{place + 1}"
    if desk.faults_below(f"terms.events.{place}"):
        return go(address)
    return go(f"{address}/try" if made[0].kind == "custom" else f"{desk.path}/events")


def _relevant(form: Mapping[str, str]) -> dict[str, str]:
    """The inputs that matter for the kind chosen; without JavaScript the others are shown, too."""
    kind = form.get("kind", "")
    kept = dict(form)
    if kind == "custom":
        kept["custom.is_set"] = "on"
    else:
        kept = {name: value for name, value in kept.items() if not name.startswith("custom.")}
    if kind not in MONEY_KINDS and kind != "custom":
        kept |= {"min_net": "", "min_payments": "1", "prorations": "include"}
    if kind == "signup":
        kept |= {"products": "", "excluded_products": ""}
    kept.setdefault("min_payments", "1")
    kept.setdefault("prorations", "include")
    return kept


def _blank(event_id: str = "new") -> QualifyingEvent:
    return QualifyingEvent(event_id=event_id)


def _ids(terms: Terms) -> list[str]:
    return [event.event_id for event in terms.events]


def _list(request: Request, viewer: Connected, desk: Desk, refused: Refused | None = None) -> Response:
    rows = [
        EventRow(
            place + 1,
            event,
            [capital(words) for phrase in EVENT_PHRASES if (words := phrase(event, desk.names))],
            [rule.name or rule.rule_id for rule in desk.terms.rules if rule.event == event.event_id],
            len(desk.faults_below(f"terms.events.{place}")),
        )
        for place, event in enumerate(desk.terms.events)
    ]
    return builder_page(request, "builder_events.html", viewer, desk, section="events", refused=refused, rows=rows)


async def _form(
    request: Request,
    viewer: Connected,
    desk: Desk,
    form: FormView,
    number: int | None,
    refused: Refused | None = None,
) -> Response:
    async with viewer.transaction() as tx:
        seen = await recent_types(tx, viewer.organization_id, viewer.connection_id)
    known = [name for name, _ in seen]
    event = None if number is None else desk.terms.events[numbered(desk.terms.events, number, "event")]
    return builder_page(
        request,
        "builder_event.html",
        viewer,
        desk,
        section="events",
        form=form,
        refused=refused,
        number=number,
        event=event,
        seen_types=known,
        sample_types=[name for name in sample_events() if name not in known],
        condition_choices=CHOICES,
        condition_fields=FIELDS,
    )
