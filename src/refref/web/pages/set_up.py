"""Setting up for real use: the checklist, and the connection to Stripe with everything Stripe must be told."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.db import connections, programs, reports, setup
from refref.stripe.readers import events_to_enable
from refref.web.pages.rendering import render
from refref.web.pages.viewer import CONNECTION_COOKIE, Connected, SignedIn, Viewer, form_of

router = APIRouter(include_in_schema=False)

YEAR_S = 365 * 86_400


@router.get("/set-up")
async def checklist(request: Request, viewer: SignedIn) -> Response:
    """What is done and what is left, from the connection to the first sale."""
    return await _checklist(request, viewer)


@router.post("/connection")
async def switch_connection(request: Request, viewer: SignedIn) -> Response:
    """Look at another connection from now on."""
    response = RedirectResponse("/", status_code=303)
    remember_connection(request, response, (await form_of(request)).get("connection_id", ""), viewer)
    return response


def remember_connection(request: Request, response: Response, connection_id: str, viewer: Viewer) -> None:
    """Keep the choice in the browser; it gives no right to anything."""
    response.set_cookie(
        CONNECTION_COOKIE,
        connection_id,
        max_age=YEAR_S,
        secure=viewer.context.is_https,
        httponly=True,
        samesite="lax",
    )


def webhook_url(viewer: Connected) -> str:
    """Where Stripe must send the connection's events."""
    return f"{viewer.context.settings.base_url}/stripe/webhooks/{viewer.connection_id}"


async def _checklist(request: Request, viewer: Viewer) -> Response:
    context: dict[str, object] = {"events": events_to_enable()}
    if viewer.connection is not None:
        shown = Connected(viewer.context, viewer.session, viewer.connections, viewer.connection, viewer.real_now)
        scope = (viewer.organization_id, shown.connection_id)
        async with viewer.transaction() as tx:
            context |= {
                "webhook_url": webhook_url(shown),
                "webhook_secrets": await connections.valid_secrets(tx, *scope, "webhook", viewer.real_now),
                "api_keys": await connections.valid_secrets(tx, *scope, "api_key", viewer.real_now),
                "sums": await reports.overview_totals(tx, *scope, viewer.now),
                "programs": await programs.programs(tx, scope[0], connection_id=scope[1]),
                "published": {program.program_id for program in await setup.programs_of(tx, *scope)},
                "sales": (await reports.decisions_page(tx, *scope, limit=1)).rows,
            }
    return render(request, "set_up.html", viewer, status_code=200, **context)
