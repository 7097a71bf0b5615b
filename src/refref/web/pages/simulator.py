"""The simulator: choose or write a story, choose the terms, play it, and read what each sale earns. Stores nothing."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.core.terms import Terms
from refref.db import drafts
from refref.db import programs as stored
from refref.flows.terms_to_play import terms_to_play
from refref.simulator.apart import Answered, Asked, FaultShown, play_apart
from refref.simulator.shelf import library, story_named
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, form_of

router = APIRouter(include_in_schema=False)
OWN_TERMS = ""
_FIRST = "saas-with-trial"
_DRAFT = ":draft"


@router.get("/simulator")
async def simulator(request: Request, viewer: OnConnection, story: str = _FIRST, terms: str = OWN_TERMS) -> Response:
    """The form with a story of the library."""
    found = story_named(story)
    if found is None:
        raise PageNotFound("story")
    return await _page(request, viewer, story=story, text=found.text, terms=terms)


@router.post("/simulator")
async def play(request: Request, viewer: OnConnection) -> Response:
    """Play what was given, under the terms that were chosen."""
    form = await form_of(request)
    text, terms = form.get("text", "").replace("\r\n", "\n"), form.get("terms", OWN_TERMS)
    try:
        answered = await _played(viewer, text, terms)
    except Refused as refused:
        answered = Answered("faulty", faults=(FaultShown(1, "", refused.sentence),))
    return await _page(request, viewer, story=form.get("story", ""), text=text, terms=terms, answered=answered)


async def _played(viewer: Connected, text: str, chosen: str) -> Answered:
    if chosen != OWN_TERMS:
        program_id, is_draft = chosen.removesuffix(_DRAFT), chosen.endswith(_DRAFT)
        found, whose = await _terms_of(viewer, program_id, is_draft=is_draft)
        return await play_apart(Asked(text, found, whose))
    answered = await play_apart(Asked(text))
    if answered.code != "program":
        return answered
    found, whose = await _terms_of(viewer, answered.program_id, is_draft=False)
    return await play_apart(Asked(text, found, whose))


async def _terms_of(viewer: Connected, program_id: str, *, is_draft: bool) -> tuple[Terms, str]:
    async with viewer.transaction() as tx:
        return await terms_to_play(tx, viewer.organization_id, program_id, is_draft=is_draft)


async def _page(
    request: Request, viewer: Connected, *, story: str, text: str, terms: str, answered: Answered | None = None
) -> Response:
    faults = answered.faults if answered is not None else ()
    lines = text.split("\n")
    return render(
        request,
        "simulator.html",
        viewer,
        status_code=422 if faults else 200,
        stories=[(one.name, one.title) for one in library()],
        about={one.name: one.about for one in library()}.get(story, ""),
        story=story,
        text=text,
        terms=terms,
        choices=await _choices(viewer),
        faults=[(fault, lines[fault.line - 1] if fault.line <= len(lines) else "") for fault in faults],
        played=answered.played if answered is not None else None,
    )


async def _choices(viewer: Connected) -> list[tuple[str, str]]:
    """The terms that can be chosen: the story's own, and those of the connection's programs."""
    choices = [(OWN_TERMS, "The story's own")]
    async with viewer.transaction() as tx:
        for program in await stored.programs(tx, viewer.organization_id, connection_id=viewer.connection_id):
            newest = await stored.latest_terms(tx, viewer.organization_id, program.program_id)
            if newest is not None:
                choices.append((program.program_id, f"{program.name}, version {newest.version}"))
            if await drafts.draft_of(tx, viewer.organization_id, program.program_id) is not None:
                choices.append((f"{program.program_id}{_DRAFT}", f"{program.name}, the draft"))
    return choices
