"""Sessions at the edge: who is signed in, signing up, in and out, and the cookie.

Limits attempts and verifies passwords outside of transactions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from refref.core.refusals import Refused
from refref.db import organizations, sessions, users
from refref.db.sessions import WebSession
from refref.flows import accounts
from refref.flows.accounts import SESSION_LIFETIME, OpenedSession, hash_token
from refref.passwords import hash_password, verify_password
from refref.web.context import context_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def current_session(request: Request) -> WebSession | None:
    """The session of a page's request, None when nobody is signed in; looked up once per request."""
    if not hasattr(request.state, "session"):
        request.state.session = None
        token = request.cookies.get(session_cookie_name(request))
        if token:
            context = context_of(request)
            async with context.database.reference() as tx:
                request.state.session = await sessions.session_by_token_hash(tx, hash_token(token), context.now())
    return cast("WebSession | None", request.state.session)


def session_cookie_name(request: Request) -> str:
    """With https the browser itself vouches that nobody else set the cookie (the __Host- prefix)."""
    return "__Host-refref_session" if context_of(request).is_https else "refref_session"


def safe_next(target: str | None) -> str:
    """Where to go after signing in: a path of ours, else the first page."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    has_control = any(ord(character) < 0x21 or character == "\\" for character in target)
    return "/" if has_control else target


async def is_first_run(request: Request) -> bool:
    """Whether this installation has no organization yet, so that the set-up page is shown."""
    async with context_of(request).database.reference() as tx:
        return await organizations.is_first_run(tx)


async def sign_up(request: Request, *, organization_name: str, email: str, name: str, password: str) -> OpenedSession:
    """Set the installation up and sign its owner in. Raises Refused: sign_up_closed, weak_password, invalid_*."""
    context = context_of(request)
    if not await is_first_run(request):
        raise Refused("sign_up_closed", "This RefRef is set up already. Ask its owner for an account.")
    password_hash = await hash_password(password)
    now = context.now()
    async with context.database.reference() as tx:
        made = await accounts.sign_up(
            tx, organization_name=organization_name, email=email, name=name, password_hash=password_hash, now=now
        )
    async with context.database.tenant(made.organization_id) as tx:
        return await accounts.open_session(tx, made.organization_id, made.user_id, replaces_token=None, now=now)


async def sign_in(request: Request, *, email: str, password: str) -> OpenedSession:
    """Sign somebody in. Raises Refused: wrong_credentials, too_many_attempts."""
    context = context_of(request)
    address = request.client.host if request.client else ""
    key = f"{email.strip().lower()[:254]} {address}"
    context.sign_in_limiter.check(key)
    async with context.database.reference() as tx:
        known = await users.credentials_by_email(tx, email.strip())
    context.sign_in_limiter.fail(key)  # counted before the slow check, so that many at once do not slip through
    if not await verify_password(password, known.password_hash if known else None) or known is None:
        raise Refused("wrong_credentials", "This e-mail and password do not belong together.")
    context.sign_in_limiter.forgive(key)
    async with context.database.tenant(known.organization_id) as tx:
        return await accounts.open_session(
            tx,
            known.organization_id,
            known.user_id,
            replaces_token=request.cookies.get(session_cookie_name(request)),
            now=context.now(),
        )


async def sign_out(request: Request) -> None:
    """End the session of this request; the caller clears the cookie."""
    context = context_of(request)
    session = await current_session(request)
    if session is None:
        return
    token = request.cookies[session_cookie_name(request)]
    async with context.database.tenant(session.organization_id) as tx:
        await accounts.close_session(tx, session.organization_id, session.user_id, token, context.now())


def set_session_cookie(request: Request, response: Response, opened: OpenedSession) -> None:
    """Give the browser its session."""
    response.set_cookie(
        session_cookie_name(request),
        opened.token,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        path="/",
        secure=context_of(request).is_https,
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(request: Request, response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        session_cookie_name(request), path="/", secure=context_of(request).is_https, httponly=True, samesite="lax"
    )
