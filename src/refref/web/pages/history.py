"""History: what the Stripe account holds, comparisons with the books, statements, the catalogue, and the intake."""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.decisions import REASONS
from refref.core.refusals import Refused
from refref.core.words import percent
from refref.db import catalog_syncs, event_polls, history, statements
from refref.db.history import HistoryRun
from refref.db.pool import Connection
from refref.db.reports import Page, readings
from refref.db.statements import Movement, StatedPayment
from refref.flows.catalog import start_sync
from refref.flows.readings import (
    cancel_reading,
    choose_intake,
    resume_reading,
    start_backfill,
    start_reconcile,
    start_statement,
)
from refref.web.pages.exports import Cell, csv_response
from refref.web.pages.history_words import CLASSES, STATES, SYNC_STATES, part_title, span_words
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, form_of

router = APIRouter(include_in_schema=False)

_SHOWN = 5
_MONTHS = 12
_PAYMENTS_HEADER = (
    "payment", "class", "reason", "when", "customer", "currency", "paid_minor", "refunded_minor", "out_of_band_minor",
    "charged_minor",
)  # fmt: skip
_MOVEMENTS_HEADER = (
    "movement", "type", "of_payments", "source", "payment", "currency", "amount_minor", "fee_minor", "known_minor",
    "known_currency",
)  # fmt: skip


@router.get("/history")
async def overview(request: Request, viewer: OnConnection) -> Response:
    """Everything that was read, what it found, and how events arrive."""
    return await _page(request, viewer)


@router.post("/history")
async def start(request: Request, viewer: OnConnection) -> Response:
    """Begin a backfill, a comparison, a statement, or a reading of the catalogue."""
    form = await form_of(request)
    try:
        if form.get("kind") == "catalog":
            ids = (viewer.organization_id, viewer.connection_id)
            async with viewer.transaction() as tx:
                await start_sync(tx, *ids, actor=viewer.actor, now=viewer.real_now)
            return RedirectResponse("/history", status_code=303)
        async with viewer.transaction() as tx:
            made = await _start(tx, viewer, form.get("kind", ""), form.get("from", ""), form.get("month", ""))
    except Refused as refused:
        return await _page(request, viewer, refused=refused)
    return RedirectResponse(f"/history/{made.run_id}", status_code=303)


@router.post("/history/intake")
async def set_intake(request: Request, viewer: OnConnection) -> Response:
    """Let the events list be the intake, or only look after the webhooks."""
    form = await form_of(request)
    is_polling = form.get("intake") == "polling"
    async with viewer.transaction() as tx:
        ids = (viewer.organization_id, viewer.connection_id)
        await choose_intake(tx, *ids, is_polling=is_polling, actor=viewer.actor, now=viewer.real_now)
    return RedirectResponse("/history", status_code=303)


@router.get("/history/{run_id}")
async def reading(request: Request, viewer: OnConnection, run_id: str) -> Response:
    """One reading: how far it is and what it found; a statement with its sums."""
    async with viewer.transaction() as tx:
        view = await readings.reading_view(tx, viewer.organization_id, run_id, viewer.real_now)
        if view is None or view.run.connection_id != viewer.connection_id:
            raise PageNotFound("reading")
        gaps = await history.gaps_of(tx, viewer.organization_id, run_id, 100)
        found = await readings.statement(tx, viewer.organization_id, run_id, viewer.real_now)
    return render(
        request,
        "reading.html",
        viewer,
        view=view,
        gaps=gaps,
        statement=found,
        states=STATES,
        classes=CLASSES,
        reasons=REASONS,
        part_title=part_title,
        span_words=span_words,
        percent=percent,
    )


@router.post("/history/{run_id}/cancel")
async def cancel(request: Request, viewer: OnConnection, run_id: str) -> Response:
    """Stop a reading."""
    async with viewer.transaction() as tx:
        await cancel_reading(tx, viewer.organization_id, run_id, actor=viewer.actor, now=viewer.real_now)
    return RedirectResponse(f"/history/{run_id}", status_code=303)


@router.post("/history/{run_id}/resume")
async def resume(request: Request, viewer: OnConnection, run_id: str) -> Response:
    """Go on with a reading where it was."""
    async with viewer.transaction() as tx:
        await resume_reading(tx, viewer.organization_id, run_id, actor=viewer.actor, now=viewer.real_now)
    return RedirectResponse(f"/history/{run_id}", status_code=303)


@router.get("/history/{run_id}/payments.csv")
async def payments_csv(request: Request, viewer: OnConnection, run_id: str) -> Response:
    """Every payment of a statement with its class."""
    await _require_statement(viewer, run_id)

    async def fetch(tx: Connection, cursor: str | None, limit: int) -> Page[StatedPayment]:
        rows = await statements.payments(tx, viewer.organization_id, run_id, after=cursor or "", limit=limit)
        return Page(tuple(rows), rows[-1].payment_key if len(rows) == limit else None)

    return csv_response(viewer, "statement-payments", _PAYMENTS_HEADER, fetch, _payment_cells)


@router.get("/history/{run_id}/movements.csv")
async def movements_csv(request: Request, viewer: OnConnection, run_id: str) -> Response:
    """Every movement of Stripe's balance in a statement with the payment behind it."""
    await _require_statement(viewer, run_id)

    async def fetch(tx: Connection, cursor: str | None, limit: int) -> Page[Movement]:
        rows = await statements.movements(tx, viewer.organization_id, run_id, after=cursor or "", limit=limit)
        return Page(tuple(rows), rows[-1].stripe_id if len(rows) == limit else None)

    return csv_response(viewer, "statement-movements", _MOVEMENTS_HEADER, fetch, _movement_cells)


async def _require_statement(viewer: Connected, run_id: str) -> None:
    async with viewer.transaction() as tx:
        found = await history.run_by_id(tx, viewer.organization_id, run_id)
    if found is None or found.kind != "statement" or found.connection_id != viewer.connection_id:
        raise PageNotFound("statement")


async def _start(tx: Connection, viewer: Connected, kind: str, begins: str, month: str) -> HistoryRun:
    ids = (viewer.organization_id, viewer.connection_id)
    from_at = _day(begins) if begins else None
    if kind == "backfill":
        return await start_backfill(tx, *ids, from_at=from_at, actor=viewer.actor, now=viewer.real_now)
    if kind == "statement":
        return await start_statement(tx, *ids, month=month, actor=viewer.actor, now=viewer.real_now)
    return await start_reconcile(tx, *ids, from_at=from_at, actor=viewer.actor, now=viewer.real_now)


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(f"{text} +0000", "%Y-%m-%d %z")
    except ValueError:
        raise Refused("invalid_span", "Give a day such as 2026-01-31.", "from") from None


async def _page(request: Request, viewer: Connected, *, refused: Refused | None = None) -> Response:
    ids = (viewer.organization_id, viewer.connection_id)
    async with viewer.transaction() as tx:
        found = {
            kind: await readings.readings_page(tx, *ids, kind, viewer.real_now, limit=_SHOWN)
            for kind in ("backfill", "reconcile", "statement")
        }
        poll = await event_polls.poll_of(tx, *ids)
        sync = await catalog_syncs.latest_sync(tx, *ids)
    return render(
        request,
        "history.html",
        viewer,
        found=found,
        poll=poll,
        sync=sync,
        sync_states=SYNC_STATES,
        part_title=part_title,
        months=_months(viewer.now),
        states=STATES,
        refused=refused,
        status_code=200 if refused is None else 422,
    )


def _months(now: datetime) -> list[str]:
    """The last twelve calendar months, the running one last."""
    found = [now.replace(day=1)]
    while len(found) < _MONTHS:
        found.append((found[-1] - timedelta(days=1)).replace(day=1))
    return [f"{month:%Y-%m}" for month in found]


def _payment_cells(row: StatedPayment) -> list[Cell]:
    return [
        row.payment_key,
        row.payment_class,
        row.reason,
        row.occurred_at,
        row.referee_id,
        row.currency,
        row.paid_minor,
        row.refunded_minor,
        row.off_stripe_minor,
        "" if row.charged_minor is None else row.charged_minor,
    ]


def _movement_cells(row: Movement) -> list[Cell]:
    return [
        row.stripe_id,
        row.type,
        "yes" if row.is_sale else "no",
        row.source_id,
        row.payment_key,
        row.currency,
        row.amount_minor,
        row.fee_minor,
        "" if row.known_minor is None else row.known_minor,
        row.known_currency,
    ]
