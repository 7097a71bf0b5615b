"""Why: the explanation of anything, by any Stripe or RefRef id or an e-mail address."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.flows.explain import explain
from refref.web.pages.rendering import render
from refref.web.pages.viewer import OnConnection

router = APIRouter(include_in_schema=False)


@router.get("/why")
async def ask(request: Request, viewer: OnConnection) -> Response:
    """The search box's target: the explanation of `id`, or what can be asked."""
    asked_for = request.query_params.get("id", "").strip()
    if not asked_for:
        return render(request, "why_empty.html", viewer)
    async with viewer.transaction() as tx:
        explanation = await explain(tx, viewer.organization_id, viewer.connection_id, asked_for, viewer.now_s)
    status_code = 404 if explanation.get("kind") == "unknown" else 200
    return render(
        request, "why.html", viewer, status_code=status_code, asked_for=explanation["id"], explanation=explanation
    )
