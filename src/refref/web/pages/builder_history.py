"""The versions of a program's terms in words, what differs between any two, and the terms as a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from refref.core.terms import Terms
from refref.core.terms_document import ProgramPart, TermsDocument, document_to_yaml
from refref.core.terms_words import differences, sentences_of
from refref.db import audit, users
from refref.db.audit import AuditEntry
from refref.flows.terms_names import names_in
from refref.web.pages.builder_desk import Desk, builder_page, open_desk
from refref.web.pages.viewer import OnConnection, PageNotFound

router = APIRouter(include_in_schema=False)

MOST_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version: when it holds from, when and by whom it was published, and what it says."""

    version: int
    effective_at: datetime
    created_at: datetime
    publisher: str
    state: str  # in_force, to_come, past
    sentences: list[str]


@router.get("/programs/{program_id}/versions")
async def versions(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Every version, the newest first; with `from` and `to` what differs between two, or the draft."""
    desk = await open_desk(viewer, program_id)
    async with viewer.transaction() as tx:
        names = await names_in(
            tx,
            viewer.organization_id,
            viewer.connection_id,
            [desk.terms, *(version.terms for version in desk.versions)],
        )
        published = await audit.entries_of(
            tx, viewer.organization_id, subject=program_id, actions=["terms.publish"], limit=MOST_ENTRIES
        )
        members = await users.members(tx, viewer.organization_id)
    people = {f"user:{member.user_id}": member.name or member.email for member in members}
    in_force = next((version.version for version in desk.versions if version.effective_at <= viewer.now), None)
    rows = [
        VersionRow(
            version.version,
            version.effective_at,
            version.created_at,
            _publisher(published, version.version, people),
            "in_force" if version.version == in_force else "to_come" if version.effective_at > viewer.now else "past",
            sentences_of(version.terms, names),
        )
        for version in desk.versions
    ]
    old, new = _chosen(request, desk)
    changes = None
    if old and new:
        changes = differences(_terms_named(desk, old), _terms_named(desk, new), names)
    return builder_page(
        request,
        "builder_history.html",
        viewer,
        desk,
        section="history",
        rows=rows,
        known=[*(["draft"] if desk.draft else []), *(str(version.version) for version in desk.versions)],
        old=old,
        new=new,
        changes=changes,
    )


@router.get("/programs/{program_id}/terms.yaml")
async def terms_file(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """The program with its newest terms (`version`: others, or the draft), as `refref terms apply` reads them."""
    desk = await open_desk(viewer, program_id)
    name = request.query_params.get("version", "") or (str(desk.newest.version) if desk.newest else "draft")
    terms = _terms_named(desk, name)
    program = desk.program
    part = ProgramPart(program.name, program.program_id, program.eligibility_text, program.terms_text)
    head = f"{program.name}: {'draft' if name == 'draft' else f'version {name}'} of the terms"
    filename = f"terms-{program.program_id}-{name}.yaml"
    return PlainTextResponse(
        document_to_yaml(TermsDocument(part, terms), head),
        media_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )


def _chosen(request: Request, desk: Desk) -> tuple[str, str]:
    """Which two are compared: as asked, else the newest two."""
    given = request.query_params
    if given.get("from") and given.get("to"):
        return given["from"], given["to"]
    newest = [str(version.version) for version in desk.versions[:2]]
    if desk.draft and newest:
        return newest[0], "draft"
    return (newest[1], newest[0]) if len(newest) == 2 else ("", "")


def _terms_named(desk: Desk, name: str) -> Terms:
    if name == "draft" and desk.draft is not None:
        return desk.draft.terms
    found = next((version.terms for version in desk.versions if str(version.version) == name), None)
    if found is None:
        raise PageNotFound("version")
    return found


def _publisher(entries: list[AuditEntry], version: int, people: dict[str, str]) -> str:
    for entry in entries:
        if json.loads(entry.details).get("version") == version:
            if entry.actor.startswith("key:"):
                return "an API key"
            return people.get(entry.actor, "the command line" if entry.actor == "system" else "somebody who left")
    return ""
