"""Programs: the list, and the page of one with its status, its terms in words, its texts and its budgets."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.core.terms_words import sentences_of
from refref.db import drafts
from refref.db import programs as stored
from refref.db.programs import StoredTerms
from refref.flows.program_budgets import program_budgets
from refref.flows.programs import (
    archive_program,
    duplicate_program,
    pause_program,
    resume_program,
    update_program,
)
from refref.flows.terms_names import names_in
from refref.web.pages import builder_words
from refref.web.pages.builder_desk import go, require_program_in_view
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, form_of

router = APIRouter(include_in_schema=False)

_CHANGES = {"pause": pause_program, "resume": resume_program, "archive": archive_program}
_PERIODS = {"month": "this month", "quarter": "this quarter", "year": "this year", "ever": "in all"}


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
        names = await names_in(
            tx, viewer.organization_id, viewer.connection_id, [version.terms for version in terms.values() if version]
        )
    words = {program_id: sentences_of(version.terms, names) for program_id, version in terms.items() if version}
    return render(
        request,
        "programs.html",
        viewer,
        programs=known,
        terms=terms,
        sentences=words,
        statuses=builder_words.STATUSES,
    )


@router.get("/programs/{program_id}")
async def program(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """One program."""
    return await _program_page(request, viewer, program_id)


@router.post("/programs/{program_id}/status")
async def change_status(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Pause, resume or archive a program."""
    form = await form_of(request)
    try:
        change = _CHANGES.get(form.get("action", ""))
        if change is None:
            raise Refused("invalid_choice", "Choose pause, resume or archive.", "action")
        async with viewer.transaction() as tx:
            await require_program_in_view(tx, viewer, program_id)
            await change(tx, viewer.organization_id, program_id, actor=viewer.actor, now=viewer.real_now)
    except Refused as refused:
        return await _program_page(request, viewer, program_id, refused)
    return go(f"/programs/{program_id}")


@router.post("/programs/{program_id}/duplicate")
async def duplicate(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Make another program with its texts and, as a draft, its terms."""
    async with viewer.transaction() as tx:
        await require_program_in_view(tx, viewer, program_id)
        made, _ = await duplicate_program(
            tx, viewer.organization_id, program_id, actor=viewer.actor, now=viewer.real_now
        )
    return go(f"/programs/{made.program_id}")


@router.post("/programs/{program_id}/texts")
async def change_texts(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Change the name and what participants read."""
    form = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            await require_program_in_view(tx, viewer, program_id)
            await update_program(
                tx,
                viewer.organization_id,
                program_id,
                name=form.get("name"),
                eligibility_text=form.get("eligibility_text", "").replace("\r\n", "\n"),
                terms_text=form.get("terms_text", "").replace("\r\n", "\n"),
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _program_page(request, viewer, program_id, refused)
    return go(f"/programs/{program_id}")


async def _program_page(
    request: Request, viewer: Connected, program_id: str, refused: Refused | None = None
) -> Response:
    async with viewer.transaction() as tx:
        found = await require_program_in_view(tx, viewer, program_id)
        versions = await stored.terms_versions(tx, viewer.organization_id, program_id)
        draft = await drafts.draft_of(tx, viewer.organization_id, program_id)
        changes = await stored.status_changes(tx, viewer.organization_id, program_id)
        in_force = _in_force(versions, viewer)
        names = await names_in(tx, viewer.organization_id, viewer.connection_id, [in_force.terms] if in_force else [])
        used = await program_budgets(tx, viewer.organization_id, program_id, in_force, viewer.now)
    return render(
        request,
        "program.html",
        viewer,
        status_code=422 if refused else 200,
        program=found,
        in_force=in_force,
        to_come=[version for version in versions if version.effective_at > viewer.now],
        draft=draft,
        changes=list(reversed(changes)),
        sentences=sentences_of(in_force.terms, names) if in_force else [],
        budgets=used,
        periods=_PERIODS,
        builder_words=builder_words,
        refused=refused,
    )


def _in_force(versions: list[StoredTerms], viewer: Connected) -> StoredTerms | None:
    """The version that holds now, on the connection's clock; None when the first one is yet to come."""
    return next((version for version in versions if version.effective_at <= viewer.now), None)
