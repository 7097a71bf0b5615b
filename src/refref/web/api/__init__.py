"""The JSON API under /v1 and its OpenAPI document. Presents and parses; every write is a flow, every list a report."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from refref import __version__
from refref.web.api import (
    backtests,
    bonds,
    books,
    catalog,
    connections,
    custom_events,
    doctor,
    events,
    history,
    overview,
    participants,
    payouts,
    programs,
    rates,
    reviews,
    setup,
    simulator,
    terms,
)
from refref.web.api.schema import finish_schema

ROUTERS = (
    setup.router,
    connections.router,
    programs.router,
    terms.router,
    backtests.router,
    custom_events.router,
    catalog.router,
    participants.router,
    books.router,
    overview.router,
    bonds.router,
    reviews.router,
    payouts.router,
    events.router,
    doctor.router,
    rates.router,
    history.router,
    simulator.router,
)


def register(site: FastAPI) -> None:
    """Add the routes of the API and the document that describes them."""
    for router in ROUTERS:
        site.include_router(router)

    def openapi() -> dict[str, Any]:
        if site.openapi_schema is None:
            site.openapi_schema = finish_schema(
                get_openapi(
                    title="RefRef",
                    version=__version__,
                    openapi_version="3.1.0",
                    summary="Referral and affiliate programs around Stripe",
                    routes=site.routes,
                )
            )
        return site.openapi_schema

    async def openapi_json(_request: Request) -> Response:
        return JSONResponse(site.openapi())

    site.router.add_route("/openapi.json", openapi_json, include_in_schema=False)
    site.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to change the document


def document() -> dict[str, Any]:
    """The OpenAPI document, without a running installation."""
    site = FastAPI(openapi_url=None)
    register(site)
    return site.openapi()
