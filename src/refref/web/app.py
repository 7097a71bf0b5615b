"""The app factory: webhooks go straight to the intake, health checks are answered here, all else goes to FastAPI.

Pages and API are two FastAPI apps. The API's is made when it is first asked for, so that the first page comes sooner.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

import structlog
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from refref.core.refusals import Refused
from refref.db.failures import UNREACHABLE, UNSTORABLE
from refref.vault import Vault
from refref.web import pages
from refref.web.auth import SignInRequired, authorize, sign_in_redirect
from refref.web.context import Context
from refref.web.intake import Intake
from refref.web.limits import AttemptLimiter
from refref.web.middleware import Guard
from refref.web.problems import Problem, make_problem, problem_of, problem_of_status, problem_response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from refref.db.pool import Database
    from refref.settings import Settings

WEBHOOKS = "/stripe/webhooks/"
READY_WITHIN_S = 3.0

log = structlog.get_logger("refref.web")


class App:
    """The whole web process as one ASGI app. `pages` and `api` are its FastAPI parts."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.pages = make_site(context)
        pages.register(self.pages)
        self._intake = Intake(context.database, context.vault)
        self._guarded = Guard(self._site, is_https=context.is_https)

    @cached_property
    def api(self) -> FastAPI:
        """The API, made when it is first needed."""
        from refref.web import api

        site = make_site(self.context)
        api.register(site)
        return site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith(WEBHOOKS):
                await self._intake(scope, receive, send)
                return
            if path in {"/healthz", "/readyz"}:
                await (await self._health(path))(scope, receive, send)
                return
        await self._guarded(scope, receive, send)

    async def _site(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and is_api_path(scope["path"])
        await (self.api if is_api else self.pages)(scope, receive, send)

    async def close(self) -> None:
        """Store what the intake still holds; call it before the database is closed."""
        await self._intake.close()

    async def _health(self, path: str) -> Response:
        """`/healthz`: the process lives. `/readyz`: it reaches the database."""
        if path == "/readyz" and not await self._reaches_database():
            return PlainTextResponse("the database cannot be reached\n", status_code=503)
        return PlainTextResponse("ok\n")

    async def _reaches_database(self) -> bool:
        """Whether the database answers within a few seconds; one that is frozen does not even refuse."""

        async def ask() -> None:
            async with self.context.database.plain() as connection:
                await connection.execute("select 1")

        asked = asyncio.create_task(ask())
        await asyncio.wait({asked}, timeout=READY_WITHIN_S)
        if not asked.done():
            asked.cancel()
            return False
        error = asked.exception()
        if error is not None and not isinstance(error, UNREACHABLE):
            raise error
        return error is None


def create_app(settings: Settings, database: Database) -> App:
    """Make the app on an open database. Imports nothing that is not needed to answer."""
    return App(
        Context(
            settings=settings,
            database=database,
            vault=Vault(settings.master_keys, settings.platforms),
            sign_in_limiter=AttemptLimiter(limit=5, window_s=15 * 60),
        )
    )


def make_site(context: Context) -> FastAPI:
    """A FastAPI app without routes yet: each of them will pass `authorize` first."""
    site = FastAPI(
        openapi_url=None,
        dependencies=[Depends(authorize)],
    )
    site.state.context = context
    site.state.database = context.database
    site.add_exception_handler(Refused, _on_refused)
    site.add_exception_handler(SignInRequired, _on_sign_in_required)
    site.add_exception_handler(RequestValidationError, _on_invalid)
    site.add_exception_handler(HTTPException, _on_status)
    for unreachable in UNREACHABLE:
        site.add_exception_handler(unreachable, _on_unreachable)
    for unstorable in UNSTORABLE:
        site.add_exception_handler(unstorable, _on_unstorable)
    site.add_exception_handler(Exception, _on_bug)
    return site


def is_api_path(path: str) -> bool:
    """Whether a path belongs to the API, and its errors are JSON."""
    return path.startswith("/v1/") or path in {"/v1", "/openapi.json"}


def _answer(request: Request, problem: Problem) -> Response:
    if not is_api_path(request.url.path):
        return pages.error_page(request, problem.status, problem.title, problem.detail)
    return problem_response(problem, {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None)


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _answer(request, problem_of(error))


async def _on_sign_in_required(request: Request, _error: Exception) -> Response:
    return sign_in_redirect(request)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] == "json_invalid":
        return _answer(request, make_problem("bad_request", f"The body is not JSON: {first['msg']}."))
    field = ".".join(place[1:]) or place[0]
    return _answer(request, make_problem("invalid_request", f"{field}: {first['msg']}.", field))


async def _on_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _answer(request, problem_of_status(error.status_code))
    response.headers.update(error.headers or {})
    return response


async def _on_unreachable(request: Request, error: Exception) -> Response:
    log.warning("database unreachable", error=type(error).__name__, request_id=request.state.request_id)
    detail = "RefRef cannot reach its database. Try again in a moment."
    return _answer(request, make_problem("database_unreachable", detail))


async def _on_unstorable(request: Request, error: Exception) -> Response:
    log.warning("unstorable value", error=type(error).__name__, request_id=request.state.request_id)
    return _answer(request, make_problem("bad_request", "The request holds a value that cannot be stored."))


async def _on_bug(request: Request, error: Exception) -> Response:
    request_id = request.state.request_id
    log.error("bug", request_id=request_id, exc_info=error)
    detail = f"This should not happen. Tell the operator of this RefRef the request id {request_id}."
    return _answer(request, make_problem("internal_error", detail))
