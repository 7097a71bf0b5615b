"""Participants: the list and its CSV file, adding one, and the page of one with codes, profile, balances, rewards."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.refusals import Refused
from refref.db import programs, reports
from refref.db.pool import Connection
from refref.db.profiles import profiles_of
from refref.db.reports import Page, ParticipantRow, ParticipantStatus
from refref.flows import participants as flows
from refref.flows.profiles import set_profile
from refref.web.money_format import decimal_text
from refref.web.pages.exports import Cell, csv_response
from refref.web.pages.lists import Choice, Listing, Select, asked, select_of_programs
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, form_of, one_of

router = APIRouter(include_in_schema=False)

STATUSES: tuple[ParticipantStatus, ...] = ("active", "paused")
PROFILE_FIELDS = ("groups", "country", "metadata")
_HEADER = ("participant_id", "name", "email", "kind", "status", "program", "codes", "referrals", "since", "balances")


@router.get("/participants")
async def participants(request: Request, viewer: OnConnection) -> Response:
    """The list, filtered by status, program and search."""
    values, cursor = asked(request, "q", "status", "program"), request.query_params.get("cursor")
    async with viewer.transaction() as tx:
        page = await _fetch(tx, viewer, values, cursor, 50)
        known = await programs.programs(tx, viewer.organization_id, connection_id=viewer.connection_id)
    statuses = [Choice(status, status.capitalize()) for status in STATUSES]
    listing = Listing(
        path="/participants",
        values=values,
        selects=[Select("status", "Status", "Any status", statuses), *select_of_programs(known, values)],
        search_label="Name, e-mail or code",
        cursor=cursor,
        next_cursor=page.next_cursor,
    )
    return render(request, "participants.html", viewer, page=page, listing=listing, programs=known)


@router.get("/participants.csv")
async def participants_csv(request: Request, viewer: OnConnection) -> Response:
    """The same list, whole, as a file."""
    values = asked(request, "q", "status", "program")
    return csv_response(
        viewer, "participants", _HEADER, lambda tx, cursor, limit: _fetch(tx, viewer, values, cursor, limit), _cells
    )


@router.get("/participants/new")
async def new_participant(request: Request, viewer: OnConnection) -> Response:
    """The form."""
    return await _form(request, viewer, {"kind": "affiliate"})


@router.post("/participants/new")
async def create(request: Request, viewer: OnConnection) -> Response:
    """Add a participant with a refcode."""
    form = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            made, _ = await flows.create_participant(
                tx,
                viewer.organization_id,
                program_id=form.get("program_id", ""),
                kind=form.get("kind", ""),
                name=form.get("name", ""),
                email=form.get("email", ""),
                refcode=form.get("refcode") or None,
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _form(request, viewer, dict(form), refused)
    return RedirectResponse(f"/participants/{made.participant_id}", status_code=303)


@router.get("/participants/{participant_id}")
async def participant(request: Request, viewer: OnConnection, participant_id: str) -> Response:
    """One participant."""
    return await _participant_page(request, viewer, participant_id)


@router.post("/participants/{participant_id}/codes")
async def add_code(request: Request, viewer: OnConnection, participant_id: str) -> Response:
    """Let one more refcode or promotion code attribute to the participant."""
    form = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            await flows.add_code(
                tx,
                viewer.organization_id,
                participant_id,
                code_kind=form.get("code_kind", ""),
                code=form.get("code", ""),
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _participant_page(request, viewer, participant_id, refused, dict(form))
    return RedirectResponse(f"/participants/{participant_id}", status_code=303)


@router.post("/participants/{participant_id}/codes/deactivate")
async def deactivate_code(request: Request, viewer: OnConnection, participant_id: str) -> Response:
    """End a code."""
    code = (await form_of(request)).get("code", "")
    async with viewer.transaction() as tx:
        await flows.deactivate_code(
            tx, viewer.organization_id, participant_id, code, actor=viewer.actor, now=viewer.real_now
        )
    return RedirectResponse(f"/participants/{participant_id}", status_code=303)


@router.post("/participants/{participant_id}/profile")
async def change_profile(request: Request, viewer: OnConnection, participant_id: str) -> Response:
    """Say what groups, country and metadata the participant has from now on."""
    form = await form_of(request)
    try:
        metadata = _pairs(form.get("metadata", ""))
        async with viewer.transaction() as tx:
            await set_profile(
                tx,
                viewer.organization_id,
                participant_id,
                groups=[name.strip() for name in form.get("groups", "").split(",") if name.strip()],
                country=form.get("country", "").upper(),
                metadata=metadata,
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _participant_page(request, viewer, participant_id, refused, dict(form))
    return RedirectResponse(f"/participants/{participant_id}#profile", status_code=303)


def _pairs(text: str) -> dict[str, str]:
    """Metadata as it is typed, a `key=value` in each line. Raises Refused("invalid_metadata")."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not all("=" in line for line in lines):
        raise Refused("invalid_metadata", "Write each key with its value on a line of its own: tier=gold.", "metadata")
    parts = [line.partition("=") for line in lines]
    return {key.strip(): value.strip() for key, _, value in parts}


@router.post("/participants/{participant_id}/status")
async def change_status(request: Request, viewer: OnConnection, participant_id: str) -> Response:
    """Pause or resume."""
    flow = flows.pause_participant if (await form_of(request)).get("status") == "paused" else flows.resume_participant
    async with viewer.transaction() as tx:
        await flow(tx, viewer.organization_id, participant_id, actor=viewer.actor, now=viewer.real_now)
    return RedirectResponse(f"/participants/{participant_id}", status_code=303)


async def _form(
    request: Request, viewer: Connected, values: dict[str, str], refused: Refused | None = None
) -> Response:
    async with viewer.transaction() as tx:
        known = await programs.programs(tx, viewer.organization_id, connection_id=viewer.connection_id)
    status_code = 422 if refused else 200
    return render(
        request,
        "participant_new.html",
        viewer,
        status_code=status_code,
        programs=known,
        values=values,
        refused=refused,
    )


async def _participant_page(
    request: Request,
    viewer: Connected,
    participant_id: str,
    refused: Refused | None = None,
    values: dict[str, str] | None = None,
) -> Response:
    scope = (viewer.organization_id, viewer.connection_id)
    async with viewer.transaction() as tx:
        found = await reports.participant_by_id(tx, scope[0], participant_id, connection_id=scope[1])
        if found is None:
            raise PageNotFound("participant")
        codes = await reports.codes_of(tx, scope[0], participant_id)
        rewards = await reports.rewards_page(tx, *scope, participant_id=participant_id, limit=20)
        referrals = await reports.referrals_page(tx, *scope, participant_id=participant_id, limit=20)
        payouts = await reports.payouts_page(tx, *scope, participant_id=participant_id, limit=20)
        profiles = await profiles_of(tx, scope[0], [participant_id])
        newest = await programs.latest_terms(tx, scope[0], found.program_id)
    return render(
        request,
        "participant.html",
        viewer,
        status_code=422 if refused else 200,
        participant=found,
        has_terms=newest is not None,
        codes=codes,
        rewards=rewards,
        referrals=referrals,
        payouts=payouts,
        profiles=list(reversed(profiles)),
        profile_fields=PROFILE_FIELDS,
        refused=refused,
        values=values or {},
    )


async def _fetch(
    tx: Connection, viewer: Connected, values: dict[str, str], cursor: str | None, limit: int
) -> Page[ParticipantRow]:
    return await reports.participants_page(
        tx,
        viewer.organization_id,
        viewer.connection_id,
        status=one_of(values["status"], STATUSES),
        program_id=values["program"],
        search=values["q"],
        cursor=cursor,
        limit=limit,
    )


def _cells(row: ParticipantRow) -> list[Cell]:
    balances = "; ".join(
        f"{name} {decimal_text(amount, balance.currency)} {balance.currency.upper()}"
        for balance in row.balances
        for name, amount in (("pending", balance.pending_minor), ("payable", balance.payable_minor))
    )
    return [
        row.participant_id,
        row.name,
        row.email,
        row.kind,
        row.status,
        row.program_name,
        " ".join(row.codes),
        row.referral_count,
        row.created_at,
        balances,
    ]
