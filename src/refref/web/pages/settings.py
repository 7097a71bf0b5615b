"""Settings: the test clock of the connection in view, API keys (shown once), and who may sign in."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.refusals import Refused
from refref.db import api_keys, connections, users
from refref.flows.api_keys import CreatedApiKey, create_api_key, revoke_api_key
from refref.flows.connections import set_clock_ahead
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, form_of

router = APIRouter(include_in_schema=False)

DAY_S = 86_400


@router.get("/settings")
async def settings(request: Request, viewer: OnConnection) -> Response:
    """Everything that can be set."""
    return await _settings_page(request, viewer)


@router.post("/settings/test-clock")
async def move_test_clock(request: Request, viewer: OnConnection) -> Response:
    """Let the clock of a connection in test mode run so many days further ahead."""
    days = (await form_of(request)).get("days", "")
    further = int(days) * DAY_S if days.isdecimal() and len(days) < 6 else 0
    try:
        async with viewer.transaction() as tx:
            await set_clock_ahead(
                tx,
                viewer.organization_id,
                viewer.connection_id,
                viewer.connection.clock_ahead_s + further,
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _settings_page(request, viewer, refused)
    return RedirectResponse("/settings", status_code=303)


@router.post("/settings/api-keys")
async def make_api_key(request: Request, viewer: OnConnection) -> Response:
    """Make an API key and show it, this once."""
    form = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            created = await create_api_key(
                tx,
                viewer.organization_id,
                name=form.get("name", ""),
                role=form.get("role", ""),
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _settings_page(request, viewer, refused)
    return await _settings_page(request, viewer, created=created)


@router.post("/settings/api-keys/{api_key_id}/revoke")
async def end_api_key(request: Request, viewer: OnConnection, api_key_id: str) -> Response:
    """End an API key at once."""
    async with viewer.transaction() as tx:
        await revoke_api_key(tx, viewer.organization_id, api_key_id, actor=viewer.actor, now=viewer.real_now)
    return RedirectResponse("/settings", status_code=303)


async def _settings_page(
    request: Request, viewer: Connected, refused: Refused | None = None, created: CreatedApiKey | None = None
) -> Response:
    scope = (viewer.organization_id, viewer.connection_id)
    async with viewer.transaction() as tx:
        fresh = await connections.connection_by_id(tx, *scope)
        context: dict[str, object] = {
            "connection": fresh,
            "keys": await api_keys.api_keys(tx, scope[0], before=None, limit=100),
            "members": await users.members(tx, scope[0]),
        }
    return render(
        request,
        "settings.html",
        viewer,
        status_code=422 if refused else 200,
        refused=refused,
        created=created,
        **context,
    )
