"""/v1/programs/{id}/backtests and /v1/backtests: draft terms over a program's own history, run by the worker."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.core.terms_check import terms_from_data
from refref.db import backtests
from refref.db.backtests import Backtest, Line
from refref.db.pool import Connection
from refref.flows import backtest as flow
from refref.web.api.call import Reading, Writing
from refref.web.api.models import TERMS_SCHEMA
from refref.web.api.paging import Cursor, Limit, PageOf, before_id, present_rows
from refref.web.api.schema import operation_id
from refref.web.api.terms import require_program

router = APIRouter(prefix="/v1", tags=["backtests"], generate_unique_id_function=operation_id)


class NewBacktestIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    terms: dict[str, Any] | None = Field(
        default=None, json_schema_extra=TERMS_SCHEMA, description="Terms to try; the draft's, unless given."
    )
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="A version to try, in place of terms."
    )
    effective_at: AwareDatetime | None = Field(default=None, description="Since ever, unless given.")


class BacktestOut(BaseModel):
    backtest_id: str
    program_id: str
    status: str = Field(description="waiting, running, done, failed or cancelled.")
    terms_source: str = Field(description="draft, version and its number, or given.")
    effective_at: datetime
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps_done: int = Field(description="Of steps_total; the stored events and conversions that were gone through.")
    steps_total: int
    error: str | None


class BacktestDetailOut(BacktestOut):
    terms: dict[str, Any]
    report: dict[str, Any] | None = Field(
        description="Once it is done: counts, money by currency (minor units; currencies are never added), reasons, "
        "and the largest changes, each with the booked decision and the one by these terms."
    )


class BacktestLineOut(BaseModel):
    subject: str = Field(description="A participant's id, empty for the referred customers; or a product's id.")
    name: str
    currency: str
    booked_minor: int
    draft_minor: int
    difference_minor: int
    changed: int = Field(description="How many conversions come out otherwise.")


@router.post("/programs/{program_id}/backtests", status_code=202, response_model=BacktestDetailOut)
async def start_backtest(call: Writing, program_id: str, body: NewBacktestIn) -> Response:
    """Try terms on the program's history. The worker runs it; nothing is booked."""
    terms = None if body.terms is None else terms_from_data(body.terms)

    async def run(tx: Connection) -> BacktestDetailOut:
        made = await flow.start_backtest(
            tx,
            call.organization_id,
            program_id,
            terms=terms,
            version=body.version,
            effective_at=body.effective_at,
            actor=call.actor,
            now=call.now,
        )
        return present_detail(made)

    return await call.write(202, run)


@router.get("/programs/{program_id}/backtests")
async def list_backtests(
    call: Reading, program_id: str, limit: Limit = 50, cursor: Cursor = None
) -> PageOf[BacktestOut]:
    """Backtests of a program, the newest first."""
    before = before_id(cursor, "btt")
    async with call.transaction() as tx:
        await require_program(tx, call.organization_id, program_id)
        rows = await backtests.backtests(tx, call.organization_id, program_id, before=before, limit=limit + 1)
    return present_rows(rows, limit, present_backtest, lambda row: row.backtest_id)


@router.get("/backtests/{backtest_id}")
async def get_backtest(call: Reading, backtest_id: str) -> BacktestDetailOut:
    """How far a backtest is and, once it is done, what it found."""
    async with call.transaction() as tx:
        return present_detail(await flow.require_backtest(tx, call.organization_id, backtest_id))


@router.get("/backtests/{backtest_id}/lines")
async def list_backtest_lines(
    call: Reading,
    backtest_id: str,
    by: Annotated[Literal["participant", "product"], Query(description="What each line is of.")] = "participant",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[BacktestLineOut]:
    """What each participant or product comes to, booked and by the terms, the largest difference first."""
    after = place_of(cursor)
    async with call.transaction() as tx:
        await flow.require_backtest(tx, call.organization_id, backtest_id)
        rows = await backtests.lines(tx, call.organization_id, backtest_id, by, after=after, limit=limit + 1)
    following = str(after + limit) if len(rows) > limit else None
    return PageOf(data=[present_line(row) for row in rows[:limit]], next_cursor=following)


@router.post("/backtests/{backtest_id}/cancel", response_model=BacktestDetailOut)
async def cancel_backtest(call: Writing, backtest_id: str) -> Response:
    """Stop a backtest that waits or runs."""

    async def run(tx: Connection) -> BacktestDetailOut:
        stopped = await flow.cancel_backtest(tx, call.organization_id, backtest_id, actor=call.actor, now=call.now)
        return present_detail(stopped)

    return await call.write(200, run)


def place_of(cursor: str | None) -> int:
    """After how many rows a page of lines starts. Raises Refused("invalid_cursor")."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
        raise Refused("invalid_cursor", "This cursor is not valid. Start from the first page.", "cursor")
    return int(cursor)


def present_backtest(row: Backtest) -> BacktestOut:
    """A backtest without what it found."""
    return BacktestOut(**_fields(row))


def present_detail(row: Backtest) -> BacktestDetailOut:
    """A backtest with its terms and its report."""
    report = None if row.report is None else msgspec.json.decode(row.report, type=dict[str, object])
    return BacktestDetailOut(**_fields(row), terms=msgspec.to_builtins(row.terms), report=report)


def _fields(row: Backtest) -> dict[str, Any]:
    return {name: getattr(row, name) for name in BacktestOut.model_fields}


def present_line(row: Line) -> BacktestLineOut:
    """One line."""
    return BacktestLineOut(
        subject=row.subject,
        name=row.name,
        currency=row.currency,
        booked_minor=row.booked_minor,
        draft_minor=row.draft_minor,
        difference_minor=row.difference_minor,
        changed=row.changed,
    )
