"""Participants and their groups, to choose from in the forms of a draft."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.db import reports
from refref.db.profiles import groups_of_program
from refref.web.pages.builder_desk import require_program_in_view
from refref.web.pages.rendering import render
from refref.web.pages.viewer import OnConnection

router = APIRouter(include_in_schema=False)

MOST_CHOICES = 40


@router.get("/programs/{program_id}/people")
async def people(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """A part of a page: the program's participants by a search, or its groups (`kind=groups`), as buttons."""
    given = request.query_params
    is_groups, search = given.get("kind") == "groups", given.get("search", "")[:200]
    async with viewer.transaction() as tx:
        await require_program_in_view(tx, viewer, program_id)
        groups = await groups_of_program(tx, viewer.organization_id, program_id) if is_groups else []
        page = await reports.participants_page(
            tx,
            viewer.organization_id,
            viewer.connection_id,
            program_id=program_id,
            search=search,
            limit=MOST_CHOICES,
        )
    return render(
        request,
        "builder_people.html",
        viewer,
        is_groups=is_groups,
        groups=[name for name in groups if search.lower() in name.lower()],
        people=page.rows,
        has_more=page.next_cursor is not None,
        with_referrer=given.get("kind") == "split" and search.lower() in "whoever referred",
    )
