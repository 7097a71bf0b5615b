"""Doctor: the page that tells what is wrong with the connection in view and its books, and mends what it can."""

from __future__ import annotations

import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.refusals import Refused
from refref.flows.doctor import examine_books, examine_connection
from refref.flows.doctor_repairs import repair_fault
from refref.flows.invariants import check_invariants
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, form_of

router = APIRouter(include_in_schema=False)

AREAS = {
    "deliveries": "Missing webhooks",
    "attribution": "Attribution",
    "duplicates": "Duplicates",
    "stripe": "Stripe's side",
    "payouts": "Payouts",
    "books": "The books",
}
# Where a fix leads, beside a repair.
PLACES = {
    "/integrations": "Open the integrations",
    "/history": "Compare with Stripe",
    "/participants": "Open the participants",
    "/payouts": "Open the payouts",
    "/events?state=parked": "Open the events",
}
_ID = re.compile(r"\b(in|pi|ch|py|cs|cus|sub|evt|re|du|dp|cn|ptc|pyt|rwd)_[A-Za-z0-9_]{4,250}")
SEVERITIES = {"error": ("Error", "bad"), "warning": ("Warning", "wait"), "notice": ("Notice", "info")}


@router.get("/doctor")
async def doctor(request: Request, viewer: OnConnection) -> Response:
    """Examine the connection now."""
    return await _page(request, viewer)


@router.post("/doctor/repair")
async def repair(request: Request, viewer: OnConnection) -> Response:
    """Mend one fault, or say that its cause is mended."""
    values = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            await repair_fault(
                tx,
                viewer.organization_id,
                viewer.connection_id,
                values.get("code", ""),
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _page(request, viewer, refused)
    return RedirectResponse("/doctor", status_code=303)


def asked_of(evidence: str) -> str:
    """The first id in a piece of evidence, which “Why?” can be asked for; "" where there is none."""
    found = _ID.search(evidence)
    return found[0] if found else ""


async def _page(request: Request, viewer: Connected, refused: Refused | None = None) -> Response:
    async with viewer.transaction() as tx:
        found = await examine_connection(
            tx, viewer.organization_id, viewer.connection, viewer.context.vault, now=viewer.real_now
        )
        books = await examine_books(tx, viewer.organization_id)
        promises = await check_invariants(tx, viewer.organization_id)
    return render(
        request,
        "doctor.html",
        viewer,
        status_code=422 if refused else 200,
        refused=refused,
        found=found,
        diagnoses=[*books, *found.diagnoses],
        promise_count=len(promises),
        areas=AREAS,
        severities=SEVERITIES,
        places=PLACES,
        asked_of=asked_of,
    )
