"""Before sign-in: the first-run page, signing in and out, and the errors that a page can end in."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.refusals import Refused
from refref.web import sessions
from refref.web.pages.rendering import render
from refref.web.pages.viewer import form_of

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(request: Request) -> Response:
    """The form; who is signed in already goes on, and an installation without users shows its first-run page."""
    target = sessions.safe_next(request.query_params.get("next"))
    if await sessions.is_first_run(request):
        return RedirectResponse("/first-run", status_code=303)
    if await sessions.current_session(request) is not None:
        return RedirectResponse(target, status_code=303)
    return render(request, "sign_in.html", None, next=target, email="", refused=None)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Open a session and go where the person wanted to go."""
    form = await request.form()
    email, password = str(form.get("email", "")), str(form.get("password", ""))
    target = sessions.safe_next(str(form.get("next", "")))
    try:
        opened = await sessions.sign_in(request, email=email, password=password)
    except Refused as refused:
        status = 429 if refused.code == "too_many_attempts" else 401
        return render(request, "sign_in.html", None, status_code=status, next=target, email=email, refused=refused)
    response = RedirectResponse(target, status_code=303)
    sessions.set_session_cookie(request, response, opened)
    return response


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session."""
    await sessions.sign_out(request)
    response = RedirectResponse("/sign-in", status_code=303)
    sessions.clear_session_cookie(request, response)
    return response


@router.get("/first-run")
async def first_run_page(request: Request) -> Response:
    """The form that makes the organization and its owner, once per installation."""
    if not await sessions.is_first_run(request):
        return RedirectResponse("/sign-in", status_code=303)
    return render(request, "first_run.html", None, values={}, refused=None)


@router.post("/first-run")
async def first_run(request: Request) -> Response:
    """Make the organization and its owner, signed in."""
    password = str((await request.form()).get("password", ""))
    values = await form_of(request)
    try:
        opened = await sessions.sign_up(
            request,
            organization_name=values.get("organization_name", ""),
            email=values.get("email", ""),
            name=values.get("name", ""),
            password=password,
        )
    except Refused as refused:
        return render(request, "first_run.html", None, status_code=422, values=values, refused=refused)
    response = RedirectResponse("/set-up", status_code=303)
    sessions.set_session_cookie(request, response, opened)
    return response
