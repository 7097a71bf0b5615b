"""Integrations: the connections to Stripe, how to make one, and the page of each: key, endpoint, problems, end."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.connecting.access import Acting, Desk
from refref.connecting.endpoints import end_connection, repair_webhooks, review_webhooks
from refref.connecting.keys import check_permissions, connect_stripe, connect_with_key, exchange_key
from refref.connecting.oauth import CALLBACK, send_to_stripe, take_back
from refref.connecting.watch import check_connection
from refref.core.endpoint_review import is_public
from refref.core.permission_table import WITHOUT_KEY
from refref.core.refusals import Refused
from refref.db import connection_health, connections, custom_events, reports
from refref.db.connections import StripeConnection
from refref.flows.connections import NewConnection, add_webhook_secret
from refref.stripe.oauth import STRIPE_CONNECT
from refref.stripe.readers import events_to_enable
from refref.web.middleware import content_security_policy
from refref.web.pages import connection_words
from refref.web.pages.rendering import render
from refref.web.pages.set_up import remember_connection
from refref.web.pages.viewer import PageNotFound, SignedIn, Viewer, form_of

router = APIRouter(include_in_schema=False)

PAST_PROBLEMS = 10


@router.get("/integrations")
async def integrations(request: Request, viewer: SignedIn) -> Response:
    """Every connection with its state, test and live side by side."""
    async with viewer.transaction() as tx:
        problems = await connection_health.open_problems(tx, viewer.organization_id)
        held = await connections.held_kinds(tx, viewer.organization_id, viewer.real_now)
    rows = [
        (
            connection,
            connection_words.reached_by(connection, held.get(connection.connection_id, ())),
            connection_words.connection_status(connection, problems, held.get(connection.connection_id, ())),
            connection.connection_id == getattr(viewer.connection, "connection_id", None),
        )
        for connection in viewer.connections
    ]
    return render(request, "integrations.html", viewer, rows=rows)


@router.get("/integrations/stripe/connect")
async def connect_page(request: Request, viewer: SignedIn) -> Response:
    """The three ways to connect."""
    return _connect_page(request, viewer)


@router.post("/integrations/stripe/connect")
async def connect(request: Request, viewer: SignedIn) -> Response:
    """Connect with a key, which is tried first, or with a signing secret alone."""
    form = await form_of(request)
    with_key = form.get("way") == "key"
    given = NewConnection(
        name=form.get("name", "") or "Stripe",
        mode=None if with_key else form.get("mode") or None,
        api_key=form.get("api_key", "") if with_key else None,
        webhook_secret=form.get("webhook_secret") or None,
        api_base=form.get("api_base") or None,
    )
    connect_way = connect_with_key if with_key else connect_stripe
    try:
        made, _ = await connect_way(_desk(viewer), _acting(viewer), given)
    except Refused as refused:
        kept = {name: value for name, value in form.items() if name in ("name", "mode", "way", "api_base")}
        return _connect_page(request, viewer, refused, kept)
    return _to_connection(request, viewer, made.connection_id)


@router.post("/integrations/stripe/authorize")
async def authorize(request: Request, viewer: SignedIn) -> Response:
    """Send the browser to Stripe, where the merchant approves."""
    form = await form_of(request)
    try:
        address = await send_to_stripe(
            _desk(viewer),
            _acting(viewer),
            user_id=viewer.session.user_id,
            session_hash=viewer.session.token_hash,
            mode=form.get("mode", ""),
            scope=form.get("scope", ""),
        )
    except Refused as refused:
        return _connect_page(request, viewer, refused, {"way": "oauth"})
    return RedirectResponse(address, status_code=303)


@router.get(CALLBACK)
async def come_back(request: Request, viewer: SignedIn, state: str = "", code: str = "", error: str = "") -> Response:
    """The browser comes back from Stripe with a code, or without one."""
    try:
        made = await take_back(
            _desk(viewer),
            _acting(viewer),
            session_hash=viewer.session.token_hash,
            state=state,
            code=code,
            error=error,
        )
    except Refused as refused:
        return _connect_page(request, viewer, refused, {"way": "oauth"})
    return _to_connection(request, viewer, made.connection_id)


@router.get("/integrations/stripe/{connection_id}")
async def connection_page(request: Request, viewer: SignedIn, connection_id: str) -> Response:
    """One connection: its state, what its key can do, its webhook endpoint, its secrets, its end."""
    return await _connection_page(request, viewer, connection_id)


@router.post("/integrations/stripe/{connection_id}/check")
async def check(request: Request, viewer: SignedIn, connection_id: str) -> Response:
    """Ask Stripe now: the account, each permission, the endpoint."""
    desk, acting = _desk(viewer), _acting(viewer)
    try:
        connection = await check_connection(desk, acting, connection_id)
        async with viewer.transaction() as tx:
            held = (await connections.held_kinds(tx, viewer.organization_id, viewer.real_now)).get(connection_id, ())
        if connection.access == "platform" or "api_key" in held:
            await check_permissions(desk, acting, connection_id)
        if connection.access == "key" and "api_key" in held:
            await review_webhooks(desk, acting, connection_id)
    except Refused as refused:
        return await _connection_page(request, viewer, connection_id, refused)
    return _back(connection_id)


@router.post("/integrations/stripe/{connection_id}/key")
async def change_key(request: Request, viewer: SignedIn, connection_id: str) -> Response:
    """Try another key and use it from now on."""
    form = await form_of(request)
    try:
        await exchange_key(_desk(viewer), _acting(viewer), connection_id, form.get("api_key", ""))
    except Refused as refused:
        return await _connection_page(request, viewer, connection_id, refused)
    return _back(connection_id)


@router.post("/integrations/stripe/{connection_id}/endpoint")
async def repair(request: Request, viewer: SignedIn, connection_id: str) -> Response:
    """Make the webhook endpoint or mend it; with `roll` also exchange its secret."""
    form = await form_of(request)
    try:
        await repair_webhooks(_desk(viewer), _acting(viewer), connection_id, roll_secret=form.get("do") == "roll")
    except Refused as refused:
        return await _connection_page(request, viewer, connection_id, refused)
    return _back(connection_id)


@router.post("/integrations/stripe/{connection_id}/secret")
async def add_secret(request: Request, viewer: SignedIn, connection_id: str) -> Response:
    """Store the signing secret of an endpoint that was made by hand; the one before stays valid for a day."""
    form = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            await add_webhook_secret(
                tx,
                viewer.context.vault,
                viewer.organization_id,
                connection_id,
                webhook_secret=form.get("webhook_secret", ""),
                overlap=timedelta(hours=24),
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _connection_page(request, viewer, connection_id, refused)
    return _back(connection_id)


@router.post("/integrations/stripe/{connection_id}/disconnect")
async def disconnect(request: Request, viewer: SignedIn, connection_id: str) -> Response:
    """End the connection; the books stay."""
    _, left = await end_connection(_desk(viewer), _acting(viewer), connection_id)
    return await _connection_page(request, viewer, connection_id, left=left)


def _desk(viewer: Viewer) -> Desk:
    return Desk(viewer.context.database, viewer.context.vault, viewer.context.settings.base_url)


def _acting(viewer: Viewer) -> Acting:
    return Acting(viewer.organization_id, viewer.actor, viewer.real_now)


def _back(connection_id: str) -> Response:
    return RedirectResponse(f"/integrations/stripe/{connection_id}", status_code=303)


def _to_connection(request: Request, viewer: Viewer, connection_id: str) -> Response:
    response = _back(connection_id)
    remember_connection(request, response, connection_id, viewer)
    return response


def _connect_page(
    request: Request, viewer: Viewer, refused: Refused | None = None, values: dict[str, str] | None = None
) -> Response:
    platforms = viewer.context.settings.platforms
    response = render(
        request,
        "integration_connect.html",
        viewer,
        status_code=422 if refused else 200,
        refused=refused,
        values=values or {},
        platform_modes=[platform.mode for platform in platforms],
        without_key=WITHOUT_KEY,
    )
    if platforms:  # the form's answer leads to Stripe, which the policy must let it
        targets = " ".join(sorted({platform.api_base or STRIPE_CONNECT for platform in platforms}))
        policy = content_security_policy(request.state.csp_nonce)
        response.headers["content-security-policy"] = policy.replace(
            "form-action 'self'", f"form-action 'self' {targets}"
        )
    return response


async def _connection_page(
    request: Request,
    viewer: Viewer,
    connection_id: str,
    refused: Refused | None = None,
    left: str | None = None,
) -> Response:
    where = (viewer.organization_id, connection_id)
    async with viewer.transaction() as tx:
        connection: StripeConnection | None = await connections.connection_by_id(tx, *where)
        if connection is None:
            raise PageNotFound("connection")
        still = await connection_health.open_problems(tx, *where)
        problems = await connection_health.recent_problems(tx, *where, PAST_PROBLEMS)
        held = (await connections.held_kinds(tx, viewer.organization_id, viewer.real_now)).get(connection_id, ())
        context: dict[str, object] = {
            "webhook_secrets": await connections.valid_secrets(tx, *where, "webhook", viewer.real_now),
            "stripe_keys": await connections.valid_secrets(tx, *where, "api_key", viewer.real_now),
            "permissions": await connection_health.seen_check(tx, *where, "permissions"),
            "endpoint": await connection_health.seen_check(tx, *where, "endpoint"),
            "events": events_to_enable(custom_types=await custom_events.paths_by_type(tx, *where)),
            "sums": await reports.overview_totals(tx, *where, viewer.now),
        }
    webhook_url = f"{viewer.context.settings.base_url}/stripe/webhooks/{connection_id}"
    return render(
        request,
        "integration_stripe.html",
        viewer,
        status_code=422 if refused else 200,
        shown=connection,
        strip_of=connection,
        state=connection_words.connection_status(connection, still, held),
        open_problems=still,
        past_problems=[problem for problem in problems if problem.ended_at is not None],
        webhook_url=webhook_url,
        is_reachable=connection.api_base is not None or is_public(webhook_url),
        has_mail=viewer.context.settings.mail is not None,
        without_key=WITHOUT_KEY,
        problem_kind=connection_words.problem_kind,
        permission_states=connection_words.PERMISSION_STATES,
        refused=refused,
        left=left,
        **context,
    )
