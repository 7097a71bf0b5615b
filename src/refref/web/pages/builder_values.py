"""What a condition may be compared with, to choose from: ids of products, prices, coupons, participants, and groups."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.db import catalog, reports
from refref.db.profiles import groups_of_program
from refref.web.pages.builder_desk import require_program_in_view
from refref.web.pages.builder_words import FOUND_BY
from refref.web.pages.rendering import render
from refref.web.pages.viewer import OnConnection

router = APIRouter(include_in_schema=False)

MOST_CHOICES = 40


@router.get("/programs/{program_id}/values")
async def values(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """A part of a page: values for the row whose inputs come along (`….field`), by a search, as buttons."""
    given = request.query_params
    field = next((value for name, value in given.items() if name.endswith(".field")), "")
    kind, search = FOUND_BY.get(field, ""), given.get("search", "")[:200]
    async with viewer.transaction() as tx:
        await require_program_in_view(tx, viewer, program_id)
        own = (viewer.organization_id, viewer.connection_id)
        if kind in ("participants", "groups"):
            page = await reports.participants_page(tx, *own, program_id=program_id, search=search, limit=MOST_CHOICES)
            groups = await groups_of_program(tx, viewer.organization_id, program_id)
            return render(
                request,
                "builder_people.html",
                viewer,
                is_groups=kind == "groups",
                groups=[name for name in groups if search.lower() in name.lower()],
                people=page.rows,
                has_more=page.next_cursor is not None,
                with_referrer=False,
            )
        found = await catalog.search_catalog(tx, *own, search, limit=MOST_CHOICES)
    return render(request, "builder_choices.html", viewer, found=found, kind=kind, only=kind)
