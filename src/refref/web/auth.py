"""Who asks: the session cookie of pages, the bearer key of the API, and the checks that a form comes from our own page.

The one dependency `authorize` runs before every route; it looks the route up in PERMISSIONS and fails closed.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.refusals import Refused
from refref.db import api_keys
from refref.db.sessions import WebSession
from refref.flows.api_keys import matches, prefix_of
from refref.web.context import context_of
from refref.web.permissions import PERMISSIONS, PUBLIC, allows
from refref.web.sessions import current_session

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
API_PREFIX = "/v1/"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts, for which organization, with which role (owner, admin, viewer). `actor` is what the audit log keeps."""

    organization_id: str
    actor: str
    role: str


class SignInRequired(Exception):
    """A page was asked for without a session; the answer leads to the sign-in page and back."""


async def authorize(request: Request) -> None:
    """Let the request pass.

    Raises SignInRequired or Refused: unauthenticated, forbidden, invalid_csrf_token, foreign_origin.
    """
    path = request.scope["route"].path
    method = "GET" if request.method == "HEAD" else request.method
    needed = PERMISSIONS[method, path]  # a route without an entry is a bug: it answers 500 to everybody
    if path.startswith(API_PREFIX):
        caller = await _caller_of_key(request)
    else:
        if request.method not in SAFE_METHODS:
            _check_origin(request)
        session = await current_session(request)
        if needed is PUBLIC:
            return
        if session is None:
            raise SignInRequired
        if request.method not in SAFE_METHODS:
            await _check_csrf_token(request, session)
        caller = Caller(session.organization_id, f"user:{session.user_id}", session.role)
    request.state.caller = caller
    request.state.organization_id, request.state.actor = caller.organization_id, caller.actor
    if not allows(caller.role, needed):
        raise Refused("forbidden", f"This needs the role {needed}; yours is {caller.role}.")


def current_caller(request: Request) -> Caller:
    """Who acts; only on routes that are not public."""
    return cast(Caller, request.state.caller)


def sign_in_redirect(request: Request) -> Response:
    """Leads to the sign-in page; a page that was asked for by GET is returned to."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = "/sign-in" if request.method != "GET" or target == "/" else f"/sign-in?next={quote(target, safe='/')}"
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    return RedirectResponse(address, status_code=303)


async def _caller_of_key(request: Request) -> Caller:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    secret = secret.strip()
    prefix = prefix_of(secret) if scheme.lower() == "bearer" else None
    if prefix is not None:
        database = context_of(request).database
        async with database.reference() as tx:
            organization_id = await api_keys.organization_of_prefix(tx, prefix)
        if organization_id is not None:
            async with database.tenant(organization_id) as tx:
                known = await api_keys.valid_key_hash(tx, organization_id, prefix)
            if known is not None and matches(secret, known):
                return Caller(organization_id, f"key:{known.api_key_id}", known.role)
    raise Refused("unauthenticated", "Send an API key that is valid here: Authorization: Bearer rrk_….")


def _check_origin(request: Request) -> None:
    """Refuse what a page of another site sends; programs that are no browsers send no Origin."""
    origin = request.headers.get("origin")
    if origin is None:
        if request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}:
            return
    elif origin == _origin(context_of(request).settings.base_url):
        return
    # Taken apart by hand: urlsplit would fail on a malformed one.
    if origin is not None and origin.partition("://")[2] == request.headers.get("host"):
        return
    raise Refused("foreign_origin", "This form was sent from another site. Open the page here and send it again.")


async def _check_csrf_token(request: Request, session: WebSession) -> None:
    given = request.headers.get("x-csrf-token")
    if given is None:
        field = (await request.form()).get("csrf_token")
        given = field if isinstance(field, str) else ""
    if not hmac.compare_digest(given.encode(), session.csrf_token.encode()):
        raise Refused("invalid_csrf_token", "This form is out of date. Reload the page and send it again.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
