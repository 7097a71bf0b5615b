"""Programs: the list, a new one, and the page of one with its terms in words and the form of the next version."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.refusals import Refused
from refref.core.terms import Terms
from refref.core.terms_words import sentences_of
from refref.db import drafts
from refref.db import programs as stored
from refref.db.drafts import TermsDraft
from refref.db.programs import StoredTerms
from refref.flows.programs import create_program, publish_terms
from refref.web.pages.rendering import render
from refref.web.pages.terms_form import form_of_terms, given_terms, instant_of_form, terms_of_form
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, form_of

router = APIRouter(include_in_schema=False)


@router.get("/programs")
async def programs(request: Request, viewer: OnConnection) -> Response:
    """Every program of the connection with the terms in force."""
    async with viewer.transaction() as tx:
        known = await stored.programs(tx, viewer.organization_id, connection_id=viewer.connection_id)
        latest = {
            program.program_id: await stored.terms_versions(tx, viewer.organization_id, program.program_id)
            for program in known
        }
    terms = {program_id: _in_force(versions, viewer) for program_id, versions in latest.items()}
    words = {program_id: sentences_of(version.terms) for program_id, version in terms.items() if version}
    return render(request, "programs.html", viewer, programs=known, terms=terms, sentences=words)


@router.get("/programs/new")
async def new_program(request: Request, viewer: OnConnection) -> Response:
    """The form, with the product's defaults."""
    return render(request, "program_new.html", viewer, values=form_of_terms(Terms()), refused=None)


@router.post("/programs/new")
async def create(request: Request, viewer: OnConnection) -> Response:
    """Make a program with its first terms."""
    form = await form_of(request)
    try:
        terms, effective_at = terms_of_form(form, Terms()), instant_of_form(form)
        async with viewer.transaction() as tx:
            made, _ = await create_program(
                tx,
                viewer.organization_id,
                connection_id=viewer.connection_id,
                name=form.get("name", ""),
                terms=terms,
                effective_at=effective_at,
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return render(request, "program_new.html", viewer, status_code=422, values=given_terms(form), refused=refused)
    return RedirectResponse(f"/programs/{made.program_id}", status_code=303)


@router.get("/programs/{program_id}")
async def program(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """One program: the terms in force, every version, and the form of the next."""
    return await _program_page(request, viewer, program_id)


@router.post("/programs/{program_id}/terms")
async def publish(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Publish the next version of the terms."""
    form = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            last = await stored.latest_terms(tx, viewer.organization_id, program_id)
            draft = await drafts.draft_of(tx, viewer.organization_id, program_id)
            before = _terms_to_begin_with(last, draft)
            await publish_terms(
                tx,
                viewer.organization_id,
                program_id,
                terms=terms_of_form(form, before),
                effective_at=instant_of_form(form),
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _program_page(request, viewer, program_id, refused, given_terms(form))
    return RedirectResponse(f"/programs/{program_id}", status_code=303)


async def _program_page(
    request: Request,
    viewer: Connected,
    program_id: str,
    refused: Refused | None = None,
    values: dict[str, str] | None = None,
) -> Response:
    async with viewer.transaction() as tx:
        found = await stored.program_by_id(tx, viewer.organization_id, program_id)
        if found is None or found.connection_id != viewer.connection_id:
            raise PageNotFound("program")
        versions = await stored.terms_versions(tx, viewer.organization_id, program_id)
        draft = await drafts.draft_of(tx, viewer.organization_id, program_id)
    read = {version.version: version.terms for version in versions}
    return render(
        request,
        "program.html",
        viewer,
        status_code=422 if refused else 200,
        program=found,
        versions=versions,
        in_force=_in_force(versions, viewer),
        sentences={number: sentences_of(terms) for number, terms in read.items()},
        values=values or form_of_terms(_terms_to_begin_with(versions[0] if versions else None, draft)),
        refused=refused,
    )


def _in_force(versions: list[StoredTerms], viewer: Connected) -> StoredTerms | None:
    """The version that holds now, on the connection's clock; None when the first one is yet to come."""
    return next((version for version in versions if version.effective_at <= viewer.now), None)


def _terms_to_begin_with(newest: StoredTerms | None, draft: TermsDraft | None) -> Terms:
    """What the form changes: the newest version, else the draft of the first."""
    if newest is not None:
        return newest.terms
    return Terms() if draft is None else draft.terms
