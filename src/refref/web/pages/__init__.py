"""The merchant's pages: server-rendered, one module per noun. They read db.reports and write through flows."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from refref.web.pages import (
    approvals,
    audit,
    backtests,
    binding,
    builder,
    builder_custom,
    builder_events,
    builder_history,
    builder_people,
    builder_rules,
    builder_settings,
    builder_values,
    builder_wizard,
    customers,
    doctor,
    events,
    history,
    integrations,
    overview,
    participants,
    payments,
    payouts,
    programs,
    rates,
    rewards,
    set_up,
    settings,
    sign_in,
    simulator,
    why,
)
from refref.web.pages.rendering import WEB, render
from refref.web.pages.viewer import ConnectionNeeded, PageNotFound

_MODULES = (
    sign_in,
    set_up,
    overview,
    payments,
    rewards,
    approvals,
    payouts,
    binding,  # /referrals/upload
    customers,
    participants,
    backtests,
    builder_wizard,  # before the pages of one program: /programs/new is none
    programs,
    builder,
    builder_events,
    builder_custom,
    builder_people,
    builder_values,
    builder_rules,
    builder_settings,  # after those whose paths are longer
    builder_history,
    events,
    doctor,
    history,
    integrations,
    settings,
    audit,
    rates,
    simulator,
    why,
)


def register(site: FastAPI) -> None:
    """Add the pages and their static files to the app."""
    for module in _MODULES:
        site.include_router(module.router)
    site.mount("/static", _CachedFiles(directory=WEB / "static"))
    site.add_exception_handler(ConnectionNeeded, _on_connection_needed)
    site.add_exception_handler(PageNotFound, _on_page_not_found)


def error_page(request: Request, status: int, title: str, detail: str) -> Response:
    """The page that a refusal or failure ends in."""
    return render(request, "error.html", None, status_code=status, title=title, detail=detail, status=status)


class _CachedFiles(StaticFiles):
    """Static files whose address carries their digest: a browser never asks twice."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def _on_connection_needed(_request: Request, _error: Exception) -> Response:
    return RedirectResponse("/set-up", status_code=303)


def _on_page_not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, PageNotFound)
    detail = f"There is no such {error.what} on this connection. It may belong to another one of your connections."
    return error_page(request, 404, f"This {error.what} is not here", detail)
