"""Backtests of a program: choose what to try, a bar that moves, and what came of it, with tables as CSV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.refusals import Refused
from refref.db import backtests as stored
from refref.db import catalog, drafts, programs
from refref.db.backtests import Backtest, Line
from refref.db.pool import Connection
from refref.db.programs import Program, StoredTerms
from refref.db.reports import Page
from refref.flows.backtest import cancel_backtest, start_backtest
from refref.flows.publishing import SINCE_EVER
from refref.web.pages.exports import csv_response
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, form_of

router = APIRouter(include_in_schema=False)

SHOWN = 25  # lines of a table on the page; the file has all
_HEADER = ("id", "name", "currency", "booked_minor", "draft_minor", "difference_minor", "changed_conversions")
_KINDS = {"participants": "participant", "products": "product"}


@dataclass(frozen=True, slots=True)
class Table:
    """One of the tables of a result: the largest differences, and whether there are more lines."""

    name: str  # as in the address of its file
    title: str
    rows: list[Line]
    has_more: bool


@router.get("/programs/{program_id}/backtests")
async def backtests(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """What can be tried, and what was tried before."""
    return await _choose(request, viewer, program_id, None)


@router.post("/programs/{program_id}/backtests")
async def start(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Start a backtest of what was chosen, and go to its page."""
    form = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            await _program(tx, viewer, program_id)
            made = await start_backtest(
                tx,
                viewer.organization_id,
                program_id,
                version=_version(form.get("what", "")),
                effective_at=_since(form.get("since", "")),
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _choose(request, viewer, program_id, refused)
    return RedirectResponse(f"/programs/{program_id}/backtests/{made.backtest_id}", status_code=303)


@router.get("/programs/{program_id}/backtests/{backtest_id}")
async def backtest(request: Request, viewer: OnConnection, program_id: str, backtest_id: str) -> Response:
    """How far one is, or what it found."""
    return await _result(request, viewer, program_id, backtest_id, None)


@router.post("/programs/{program_id}/backtests/{backtest_id}/cancel")
async def cancel(request: Request, viewer: OnConnection, program_id: str, backtest_id: str) -> Response:
    """Stop one that runs."""
    try:
        async with viewer.transaction() as tx:
            await _found(tx, viewer, program_id, backtest_id)
            await cancel_backtest(tx, viewer.organization_id, backtest_id, actor=viewer.actor, now=viewer.real_now)
    except Refused as refused:
        return await _result(request, viewer, program_id, backtest_id, refused)
    return RedirectResponse(f"/programs/{program_id}/backtests/{backtest_id}", status_code=303)


@router.get("/programs/{program_id}/backtests/{backtest_id}/{table}.csv")
async def table_file(viewer: OnConnection, program_id: str, backtest_id: str, table: str) -> Response:
    """Every line of a table (participants, products) as a file."""
    kind = _KINDS.get(table)
    if kind is None:
        raise PageNotFound("table")
    async with viewer.transaction() as tx:
        await _found(tx, viewer, program_id, backtest_id)

    async def fetch(tx: Connection, cursor: str | None, limit: int) -> Page[Line]:
        after = int(cursor or 0)
        rows = await stored.lines(tx, viewer.organization_id, backtest_id, kind, after=after, limit=limit + 1)
        if kind == "product":
            ids = [row.subject for row in rows]
            names = await catalog.names_of_items(tx, viewer.organization_id, viewer.connection_id, ids)
            rows = [replace(row, name=names.get(row.subject, "")) for row in rows]
        return Page(tuple(rows[:limit]), str(after + limit) if len(rows) > limit else None)

    def cells(row: Line) -> tuple[str | int, ...]:
        name = row.name or ("referred customers" if kind == "participant" and not row.subject else "")
        return (
            row.subject, name, row.currency, row.booked_minor, row.draft_minor, row.difference_minor, row.changed,
        )  # fmt: skip

    return csv_response(viewer, f"backtest-{table}", _HEADER, fetch, cells)


async def _choose(request: Request, viewer: Connected, program_id: str, refused: Refused | None) -> Response:
    async with viewer.transaction() as tx:
        program = await _program(tx, viewer, program_id)
        versions = await programs.terms_versions(tx, viewer.organization_id, program_id)
        draft = await drafts.draft_of(tx, viewer.organization_id, program_id)
        known = await stored.backtests(tx, viewer.organization_id, program_id, limit=20)
    return render(
        request,
        "backtests.html",
        viewer,
        status_code=422 if refused else 200,
        program=program,
        choices=_choices(versions, has_draft=draft is not None),
        known=known,
        since_ever=SINCE_EVER,
        refused=refused,
    )


def _choices(versions: list[StoredTerms], *, has_draft: bool) -> list[tuple[str, str]]:
    drafted = [("draft", "The draft")] if has_draft else []
    return drafted + [(str(row.version), f"Version {row.version}") for row in versions]


async def _result(
    request: Request, viewer: Connected, program_id: str, backtest_id: str, refused: Refused | None
) -> Response:
    async with viewer.transaction() as tx:
        program = await _program(tx, viewer, program_id)
        found = await _found(tx, viewer, program_id, backtest_id)
        tables = [
            await _table(tx, found, "participants", "Per participant"),
            await _table(tx, found, "products", "Per product"),
        ]
        sold = [row.subject for table in tables if table.name == "products" for row in table.rows]
        product_names = await catalog.names_of_items(tx, viewer.organization_id, viewer.connection_id, sold)
    return render(
        request,
        "backtest.html",
        viewer,
        status_code=422 if refused else 200,
        program=program,
        backtest=found,
        per_mille=1000 * found.steps_done // max(1, found.steps_total),
        report=None if found.report is None else msgspec.json.decode(found.report, type=dict[str, object]),
        tables=tables,
        product_names=product_names,
        since_ever=SINCE_EVER,
        refused=refused,
    )


async def _table(tx: Connection, found: Backtest, name: str, title: str) -> Table:
    rows = await stored.lines(tx, found.organization_id, found.backtest_id, _KINDS[name], limit=SHOWN + 1)
    return Table(name, title, rows[:SHOWN], len(rows) > SHOWN)


async def _program(tx: Connection, viewer: Connected, program_id: str) -> Program:
    found = await programs.program_by_id(tx, viewer.organization_id, program_id)
    if found is None or found.connection_id != viewer.connection_id:
        raise PageNotFound("program")
    return found


async def _found(tx: Connection, viewer: Connected, program_id: str, backtest_id: str) -> Backtest:
    found = await stored.backtest_by_id(tx, viewer.organization_id, backtest_id)
    if found is None or found.program_id != program_id or found.connection_id != viewer.connection_id:
        raise PageNotFound("backtest")
    return found


def _version(what: str) -> int | None:
    """The number of the version that was chosen; None for the draft. Raises Refused("unknown_version")."""
    if what in ("", "draft"):
        return None
    if not (what.isascii() and what.isdigit() and len(what) <= 9):
        raise Refused("unknown_version", "Choose the draft or a version.", "what")
    return int(what)


def _since(text: str) -> datetime | None:
    """The day from which on the terms are tried; None: since ever. Raises Refused("invalid_instant")."""
    if not text:
        return None
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time(), UTC)
    except ValueError as error:
        raise Refused("invalid_instant", "Give a day such as 2026-01-31, or none.", "since") from error
