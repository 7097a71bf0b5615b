"""/v1/readings and /v1/event_poll: history from Stripe's lists (backfill, reconcile, statement); the events list."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.db import event_polls, history, statements
from refref.db.history import HistoryRun
from refref.db.pool import Connection
from refref.db.reports import readings
from refref.db.reports.readings import ReadingView, Statement
from refref.flows.readings import (
    cancel_reading,
    choose_intake,
    reading_of,
    resume_reading,
    start_backfill,
    start_reconcile,
    start_statement,
)
from refref.web.api.call import Reading, Writing
from refref.web.api.models import Out
from refref.web.api.paging import Cursor, Limit, PageOf, before_id, present_rows
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["history"], generate_unique_id_function=operation_id)

ConnectionId = Annotated[str | None, Query(description="Needed when there are several connections.")]
Kind = Literal["backfill", "reconcile", "statement"]


class ReadingPartOut(Out):
    """One list. In a reconciliation `gap_count` are objects that the books lacked or had otherwise; in a statement the
    movements without a payment."""

    part: str = Field(examples=["invoices"])
    read_count: int
    gap_count: int
    stored_count: int = Field(description="How many of them went into the inbox.")
    is_done: bool
    skipped: str | None = Field(description="Why the list was left out.")


class ReadingOut(BaseModel):
    run_id: str
    kind: Kind
    connection_id: str
    status: Literal["waiting", "running", "done", "failed", "cancelled"]
    from_at: datetime | None
    until_at: datetime
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None = Field(description="Why it waits or failed.")
    done_bps: int = Field(description="How much is read, in hundredths of a percent.")
    seconds_left: int | None = Field(description="About how long it still takes.")
    duration_s: int
    parts: list[ReadingPartOut]


class ReadingIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Kind
    connection_id: str | None = None
    from_at: datetime | None = Field(default=None, description="backfill, reconcile: from when on; null: the default.")
    until_at: datetime | None = Field(default=None, description="reconcile: until when; null: now.")
    month: str | None = Field(default=None, description="statement: the calendar month.", examples=["2026-03"])


class GapOut(Out):
    part: str
    stripe_id: str
    detail: str = Field(examples=["missing"])


class StatedPaymentOut(Out):
    payment_key: str
    payment_class: Literal["rewarded", "reversed", "waiting", "excluded", "not_attributed"]
    reason: str
    occurred_at: datetime
    referee_id: str
    currency: str
    paid_minor: int
    refunded_minor: int
    off_stripe_minor: int = Field(description="Of what was paid, what came out of band.")
    charged_minor: int | None = Field(
        description="What its charges took through Stripe; null: none is known. It ties where this and "
        "`off_stripe_minor` make `paid_minor`."
    )


class MovementOut(Out):
    stripe_id: str
    type: str
    is_sale: bool = Field(description="Money of payments; payouts, fees and transfers are not.")
    source_id: str
    payment_key: str = Field(description="The payment behind it; empty: nothing explains it.")
    currency: str
    amount_minor: int
    fee_minor: int
    known_minor: int | None = Field(
        description="What the books hold of its source, without sign, in `known_currency`; null: nothing."
    )
    known_currency: str


class TieOut(Out):
    """A currency's payments of the month beside their charges."""

    currency: str
    count: int
    paid_minor: int
    off_stripe_minor: int
    charged_minor: int
    untied_count: int = Field(description="Payments whose charges do not make what was paid.")
    unknown_count: int = Field(description="Paid through Stripe, and no charge of them is known.")
    unknown_minor: int
    unmoved_count: int = Field(description="Charged, and no movement of the balance in this month.")
    unmoved_minor: int


class ClassSumOut(Out):
    payment_class: str
    reason: str
    currency: str
    count: int
    paid_minor: int
    refunded_minor: int


class MoneySumOut(Out):
    type: str
    is_sale: bool
    currency: str
    count: int
    net_minor: int
    explained_count: int


class ExplainedOut(Out):
    currency: str
    moved_minor: int
    explained_minor: int
    explained_bps: int
    count: int
    explained_count: int


class StatementOut(BaseModel):
    reading: ReadingOut
    month: str
    classes: list[ClassSumOut]
    money: list[MoneySumOut]
    explained: list[ExplainedOut]
    ties: list[TieOut]
    untied_payments: list[StatedPaymentOut] = Field(description="The first fifty, the farthest apart first.")
    untied_movements: list[MovementOut] = Field(description="The first fifty, the farthest apart first.")


class EventPollOut(Out):
    is_intake: bool = Field(description="No webhooks are needed: the events list is the intake.")
    cursor_at: int | None = Field(description="All events made before it are stored; seconds since 1970.")
    checked_at: datetime | None
    read_count: int
    new_count: int = Field(description="Events that no webhook had brought.")
    missed_at: datetime | None
    error: str | None


class EventPollIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    connection_id: str | None = None
    is_intake: bool


@router.get("/readings")
async def list_readings(
    call: Reading, kind: Kind, connection_id: ConnectionId = None, limit: Limit = 20, cursor: Cursor = None
) -> PageOf[ReadingOut]:
    """Backfills, reconciliations or statements of a connection."""
    before = before_id(cursor, "rdg")
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        rows = await readings.readings_page(tx, *own, kind, call.now, before=before, limit=limit + 1)
    return present_rows(rows, limit, present_reading, lambda row: row.run.run_id)


@router.post("/readings", status_code=201, response_model=ReadingOut)
async def start_reading(call: Writing, body: ReadingIn) -> Response:
    """Begin a backfill, a reconciliation or a statement; the worker reads. One of a kind runs at a time."""

    async def run(tx: Connection) -> ReadingOut:
        found = await call.connection(tx, body.connection_id)
        return await _seen(call, tx, await _start(call, tx, found.connection_id, body))

    return await call.write(201, run)


@router.get("/readings/{run_id}")
async def get_reading(call: Reading, run_id: str) -> ReadingOut:
    """How far a reading is, with an estimate."""
    async with call.transaction() as tx:
        return await _seen(call, tx, await reading_of(tx, call.organization_id, run_id))


@router.post("/readings/{run_id}/cancel", response_model=ReadingOut)
async def stop_reading(call: Writing, run_id: str) -> Response:
    """Stop a reading. What it stored stays, and it can go on later."""

    async def run(tx: Connection) -> ReadingOut:
        ended = await cancel_reading(tx, call.organization_id, run_id, actor=call.actor, now=call.now)
        return await _seen(call, tx, ended)

    return await call.write(200, run)


@router.post("/readings/{run_id}/resume", response_model=ReadingOut)
async def go_on_with_reading(call: Writing, run_id: str) -> Response:
    """Let a cancelled or failed reading go on where it was."""

    async def run(tx: Connection) -> ReadingOut:
        begun = await resume_reading(tx, call.organization_id, run_id, actor=call.actor, now=call.now)
        return await _seen(call, tx, begun)

    return await call.write(200, run)


@router.get("/readings/{run_id}/gaps")
async def list_gaps(call: Reading, run_id: str) -> list[GapOut]:
    """What a reconciliation found that the books lacked or had otherwise: the first thousand."""
    async with call.transaction() as tx:
        await reading_of(tx, call.organization_id, run_id)
        return [GapOut.model_validate(gap) for gap in await history.gaps_of(tx, call.organization_id, run_id)]


@router.get("/readings/{run_id}/statement")
async def get_statement(call: Reading, run_id: str) -> StatementOut:
    """The sums of a statement: payments by class, movements by type, and what of the money is explained."""
    async with call.transaction() as tx:
        found = await readings.statement(tx, call.organization_id, run_id, call.now)
    if found is None:
        raise _no_statement()
    return present_statement(found)


@router.get("/readings/{run_id}/payments")
async def list_stated_payments(
    call: Reading, run_id: str, limit: Limit = 50, cursor: Cursor = None
) -> PageOf[StatedPaymentOut]:
    """A statement's payments, each in exactly one class."""
    async with call.transaction() as tx:
        await _require_statement(call, tx, run_id)
        rows = await statements.payments(tx, call.organization_id, run_id, after=cursor or "", limit=limit + 1)
    return present_rows(rows, limit, StatedPaymentOut.model_validate, lambda row: row.payment_key)


@router.get("/readings/{run_id}/movements")
async def list_movements(call: Reading, run_id: str, limit: Limit = 50, cursor: Cursor = None) -> PageOf[MovementOut]:
    """A statement's movements of Stripe's balance, each with the payment behind it."""
    async with call.transaction() as tx:
        await _require_statement(call, tx, run_id)
        rows = await statements.movements(tx, call.organization_id, run_id, after=cursor or "", limit=limit + 1)
    return present_rows(rows, limit, MovementOut.model_validate, lambda row: row.stripe_id)


@router.get("/event_poll")
async def get_event_poll(call: Reading, connection_id: ConnectionId = None) -> EventPollOut:
    """How the reading of Stripe's events list stands."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        return EventPollOut.model_validate(await event_polls.poll_of(tx, *own))


@router.put("/event_poll", response_model=EventPollOut)
async def set_event_poll(call: Writing, body: EventPollIn) -> Response:
    """Let the events list be the intake, for where no webhook can arrive; or only look after the webhooks."""

    async def run(tx: Connection) -> EventPollOut:
        own = await call.books(tx, body.connection_id)
        await choose_intake(tx, *own, is_polling=body.is_intake, actor=call.actor, now=call.now)
        return EventPollOut.model_validate(await event_polls.poll_of(tx, *own))

    return await call.write(200, run)


async def _start(call: Writing, tx: Connection, connection_id: str, body: ReadingIn) -> HistoryRun:
    ids = (call.organization_id, connection_id)
    for name in ("from_at", "until_at"):
        value = getattr(body, name)
        if value is not None and value.tzinfo is None:
            raise Refused("invalid_span", "Give instants with their offset, such as 2026-01-31T00:00:00Z.", name)
    if body.kind == "backfill":
        return await start_backfill(tx, *ids, from_at=body.from_at, actor=call.actor, now=call.now)
    if body.kind == "statement":
        return await start_statement(tx, *ids, month=body.month or "", actor=call.actor, now=call.now)
    return await start_reconcile(tx, *ids, from_at=body.from_at, until_at=body.until_at, actor=call.actor, now=call.now)


async def _require_statement(call: Reading, tx: Connection, run_id: str) -> None:
    if (await reading_of(tx, call.organization_id, run_id)).kind != "statement":
        raise _no_statement()


def _no_statement() -> Refused:
    return Refused("unknown_reading", "There is no statement with this id.", "run_id")


async def _seen(call: Reading, tx: Connection, run: HistoryRun) -> ReadingOut:
    view = await readings.reading_view(tx, run.organization_id, run.run_id, call.now)
    assert view is not None  # it was just found
    return present_reading(view)


def present_reading(view: ReadingView) -> ReadingOut:
    """A reading for programs."""
    run = view.run
    shown = {name: getattr(run, name) for name in ReadingOut.model_fields if hasattr(run, name)}
    return ReadingOut(
        **shown,
        done_bps=view.done_bps,
        seconds_left=view.seconds_left,
        duration_s=view.duration_s,
        parts=[ReadingPartOut.model_validate(part) for part in view.parts],
    )


def present_statement(found: Statement) -> StatementOut:
    """A statement for programs."""
    return StatementOut(
        reading=present_reading(found.view),
        month=found.month,
        classes=[ClassSumOut.model_validate(row) for row in found.classes],
        money=[MoneySumOut.model_validate(row) for row in found.money],
        explained=[ExplainedOut.model_validate(row) for row in found.explained],
        ties=[TieOut.model_validate(row) for row in found.ties],
        untied_payments=[StatedPaymentOut.model_validate(row) for row in found.untied_payments],
        untied_movements=[MovementOut.model_validate(row) for row in found.untied_movements],
    )
