"""Payouts: what was paid by hand, recording it, the page of one, and taking it back."""

from __future__ import annotations

from datetime import date

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.payouts import Step, payout_steps
from refref.core.refusals import Refused
from refref.db import payouts as payout_rows
from refref.db import programs, reports
from refref.db.pool import Connection
from refref.db.reports import Page, PayoutRow
from refref.flows import payouts as flows
from refref.web.money_format import decimal_text
from refref.web.pages.exports import Cell, csv_response
from refref.web.pages.lists import Listing, asked, select_of_programs
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, form_of

router = APIRouter(include_in_schema=False)

_FILTERS = ("q", "program", "participant", "currency")
_MOST_STEPS = 50
_HEADER = (
    *("payout_id", "paid_on", "currency", "amount", "participant_id", "participant", "program", "reference", "note"),
    *("recorded_at", "recorded_by", "undone_at", "undone_reason"),
)


@router.get("/payouts")
async def payouts(request: Request, viewer: OnConnection) -> Response:
    """The list, filtered by program, participant, currency and search."""
    values, cursor = asked(request, *_FILTERS), request.query_params.get("cursor")
    async with viewer.transaction() as tx:
        page = await _fetch(tx, viewer, values, cursor, 50)
        known = await programs.programs(tx, viewer.organization_id, connection_id=viewer.connection_id)
    listing = Listing(
        path="/payouts",
        values=values,
        selects=select_of_programs(known, values),
        search_label="Participant, reference, note or payout",
        cursor=cursor,
        next_cursor=page.next_cursor,
        hidden={name: values[name] for name in ("participant", "currency") if values[name]},
    )
    return render(request, "payouts.html", viewer, page=page, listing=listing)


@router.get("/payouts.csv")
async def payouts_csv(request: Request, viewer: OnConnection) -> Response:
    """The same list, whole, as a file."""
    values = asked(request, *_FILTERS)
    return csv_response(
        viewer, "payouts", _HEADER, lambda tx, cursor, limit: _fetch(tx, viewer, values, cursor, limit), _cells
    )


@router.get("/payouts/new")
async def new_payout(request: Request, viewer: OnConnection) -> Response:
    """The form for one participant and currency."""
    return await _form(request, viewer, asked(request, "participant", "currency"))


@router.post("/payouts/new")
async def record(request: Request, viewer: OnConnection) -> Response:
    """Record it."""
    form = dict(await form_of(request))
    try:
        async with viewer.transaction() as tx:
            made = await flows.record_payout(
                tx,
                viewer.organization_id,
                form.get("participant", ""),
                currency=form.get("currency", ""),
                amount_minor=_amount(form.get("amount_minor", "")),
                paid_on=_day(form.get("paid_on", "")),
                reference=form.get("reference", ""),
                note=form.get("note", ""),
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _form(request, viewer, form, refused)
    return RedirectResponse(f"/payouts/{made.payout_id}", status_code=303)


@router.get("/payouts/{payout_id}")
async def payout(request: Request, viewer: OnConnection, payout_id: str) -> Response:
    """One payout and the rewards that it paid."""
    return await _payout_page(request, viewer, payout_id)


@router.post("/payouts/{payout_id}/undo")
async def undo(request: Request, viewer: OnConnection, payout_id: str) -> Response:
    """Take a payout back."""
    reason = (await form_of(request)).get("reason", "")
    try:
        async with viewer.transaction() as tx:
            await flows.undo_payout(
                tx, viewer.organization_id, payout_id, reason=reason, actor=viewer.actor, now=viewer.real_now
            )
    except Refused as refused:
        return await _payout_page(request, viewer, payout_id, refused)
    return RedirectResponse(f"/payouts/{payout_id}", status_code=303)


def _amount(text: str) -> int | None:
    if text and not text.isdecimal():
        raise Refused("payout_amount", "Choose how much was paid.", "amount_minor")
    return int(text) if text else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise Refused("invalid_instant", "Give a day such as 2026-01-31.", "paid_on") from error


async def _form(
    request: Request, viewer: Connected, values: dict[str, str], refused: Refused | None = None
) -> Response:
    own = (viewer.organization_id, viewer.connection_id)
    steps: list[Step] = []
    async with viewer.transaction() as tx:
        found = await reports.participant_by_id(
            tx, own[0], values.get("participant", ""), connection_id=viewer.connection_id
        )
        if found is None:
            raise PageNotFound("participant")
        owed = [balance for balance in found.balances if balance.payable_minor > 0]
        currency = values.get("currency", "") or (owed[0].currency if owed else "")
        if currency:
            rewards = await payout_rows.payable_rewards(tx, *own, found.participant_id, currency)
            steps = payout_steps(rewards)
    return render(
        request,
        "payout_new.html",
        viewer,
        status_code=422 if refused else 200,
        participant=found,
        owed=owed,
        currency=currency,
        steps=steps[: _MOST_STEPS - 1] + steps[-1:] if len(steps) > _MOST_STEPS else steps,
        values=values,
        today=viewer.now.date(),
        refused=refused,
    )


async def _payout_page(request: Request, viewer: Connected, payout_id: str, refused: Refused | None = None) -> Response:
    async with viewer.transaction() as tx:
        found = await reports.payout_row(tx, viewer.organization_id, payout_id, connection_id=viewer.connection_id)
        if found is None:
            raise PageNotFound("payout")
        items = await reports.payout_items(tx, viewer.organization_id, payout_id)
    status_code = 422 if refused else 200
    return render(request, "payout.html", viewer, status_code=status_code, payout=found, items=items, refused=refused)


async def _fetch(
    tx: Connection, viewer: Connected, values: dict[str, str], cursor: str | None, limit: int
) -> Page[PayoutRow]:
    return await reports.payouts_page(
        tx,
        viewer.organization_id,
        viewer.connection_id,
        program_id=values["program"],
        participant_id=values["participant"],
        currency=values["currency"],
        search=values["q"],
        cursor=cursor,
        limit=limit,
    )


def _cells(row: PayoutRow) -> list[Cell]:
    return [
        row.payout_id,
        row.paid_on.isoformat(),
        row.currency.upper(),
        decimal_text(row.amount_minor, row.currency),
        row.participant_id,
        row.participant_name,
        row.program_name,
        row.reference,
        row.note,
        row.at,
        row.actor_name or row.actor,
        row.undone_at,
        row.undone_reason,
    ]
