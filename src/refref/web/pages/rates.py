"""Settings > Currencies: up to when rates are known, one rate with its origin, and uploads with a preview."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import date

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from refref.core.rates import LOOK_BACK_DAYS, Missing, Rate
from refref.core.refusals import Refused
from refref.db import rates as rate_rows
from refref.ecb_file import bundled_history
from refref.flows.rates import Preview, TakenIn, import_rates, look_up_rate, preview_rates
from refref.web.pages.rendering import render
from refref.web.pages.viewer import SignedIn, Viewer, form_of

router = APIRouter(include_in_schema=False)

UPLOADS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file that was sent, or that comes back from its preview."""

    source: str
    file_name: str
    content: bytes

    @property
    def content_base64(self) -> str:
        return base64.b64encode(self.content).decode()


@router.get("/settings/currencies")
async def currencies(request: Request, viewer: SignedIn) -> Response:
    """What is known; with `from`, `to` and `on` also one rate."""
    return await _page(request, viewer)


@router.post("/settings/currencies/preview")
async def preview_file(request: Request, viewer: SignedIn) -> Response:
    """Show what a file would change; nothing is stored."""
    try:
        given = await _given_file(request)
        async with viewer.transaction() as tx:
            preview = await preview_rates(tx, viewer.organization_id, source=given.source, content=given.content)
    except Refused as refused:
        return await _page(request, viewer, refused=refused)
    return await _page(request, viewer, given=given, preview=preview)


@router.post("/settings/currencies/upload")
async def upload_file(request: Request, viewer: SignedIn) -> Response:
    """Take in the file that was previewed."""
    try:
        given = await _given_file(request)
        async with viewer.transaction() as tx:
            taken = await import_rates(
                tx,
                viewer.organization_id,
                source=given.source,
                file_name=given.file_name,
                content=given.content,
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _page(request, viewer, refused=refused)
    return await _page(request, viewer, taken=taken)


async def _given_file(request: Request) -> GivenFile:
    """The file of the form: chosen just now, or the one that was previewed. Raises Refused("invalid_rates")."""
    form = await form_of(request)
    sent = (await request.form()).get("file")
    if isinstance(sent, UploadFile):
        content = await sent.read()
        await sent.close()
        return GivenFile(form.get("source", ""), sent.filename or "", content)
    try:
        content = base64.b64decode(form.get("content", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("invalid_rates", "Choose the file again.", "file") from error
    return GivenFile(form.get("source", ""), form.get("file_name", ""), content)


async def _page(
    request: Request,
    viewer: Viewer,
    *,
    refused: Refused | None = None,
    given: GivenFile | None = None,
    preview: Preview | None = None,
    taken: TakenIn | None = None,
) -> Response:
    asked = {name: request.query_params.get(name, "").strip().lower() for name in ("from", "to", "on")}
    asked["on"] = asked["on"] or viewer.now.date().isoformat()
    found: Rate | Missing | None = None
    async with viewer.transaction() as tx:
        if asked["from"] or asked["to"]:
            try:
                found = await look_up_rate(tx, viewer.organization_id, asked["from"], asked["to"], _day(asked["on"]))
            except Refused as refusal:
                refused = refusal
        book = await rate_rows.rate_book(tx, viewer.organization_id)
        uploads = await rate_rows.uploads(tx, viewer.organization_id, limit=UPLOADS_SHOWN)
    return render(
        request,
        "currencies.html",
        viewer,
        status_code=422 if refused else 200,
        bundled_last_day=bundled_history().last_day,
        ecb_last_day=book.ecb.last_day,
        days_behind=(viewer.now.date() - book.ecb.last_day).days,
        look_back_days=LOOK_BACK_DAYS,
        own=[
            (source, target, date.fromordinal(min(days)), date.fromordinal(max(days)), len(days))
            for (source, target), days in sorted(book.given.items())
        ],
        uploads=uploads,
        asked=asked,
        found=found if isinstance(found, Rate) else None,
        missing=found if isinstance(found, Missing) else None,
        refused=refused,
        given=given,
        preview=preview,
        taken=taken,
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refused("invalid_instant", "Give a day such as 2026-01-31.", "on") from error
