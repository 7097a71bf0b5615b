"""/v1/payouts: payments that the merchant made by other means, recorded and undone. Moves no money."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.db import reports
from refref.db.pool import Connection
from refref.db.reports import PayoutRow
from refref.flows import payouts as flows
from refref.web.api.call import Reading, Writing
from refref.web.api.models import Amount, Out, amount
from refref.web.api.paging import Cursor, Limit, PageOf, Search, present_page
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["payouts"], generate_unique_id_function=operation_id)


class PayoutOut(Out):
    payout_id: str
    participant_id: str
    participant_name: str
    program_id: str
    amount: Amount
    paid_on: date
    reference: str
    note: str
    actor: str
    at: datetime
    undone_at: datetime | None
    undone_reason: str | None


class PayoutItemOut(Out):
    reward_id: str
    payment_key: str
    amount: Amount = Field(description="Negative: what had gone back of the reward after it was paid.")


class PayoutDetailOut(PayoutOut):
    items: list[PayoutItemOut]


class NewPayoutIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    participant_id: str
    currency: str = Field(examples=["usd"])
    amount_minor: int | None = Field(
        default=None, gt=0, description="Left out: all that is payable. Else whole rewards, the oldest first."
    )
    paid_on: date | None = Field(default=None, description="Today, unless given.")
    reference: str = Field(default="", description="Of the bank transfer, for one.")
    note: str = ""


class UndoPayoutIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(description="Why; it is kept.")


@router.get("/payouts")
async def list_payouts(
    call: Reading,
    connection_id: str | None = None,
    participant_id: str | None = None,
    program_id: str | None = None,
    currency: str | None = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[PayoutOut]:
    """Payouts, the latest recorded first, those undone included."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.payouts_page(
            tx,
            *own,
            participant_id=participant_id,
            program_id=program_id,
            currency=currency,
            search=search,
            cursor=cursor,
            limit=limit,
        )
    return present_page(page, lambda row: PayoutOut(**_fields(row)))


@router.post("/payouts", status_code=201, response_model=PayoutDetailOut)
async def record_payout(call: Writing, body: NewPayoutIn) -> Response:
    """Record that a participant was paid. What went back of rewards paid before is set off."""

    async def run(tx: Connection) -> PayoutDetailOut:
        made = await flows.record_payout(
            tx,
            call.organization_id,
            body.participant_id,
            currency=body.currency,
            amount_minor=body.amount_minor,
            paid_on=body.paid_on,
            reference=body.reference,
            note=body.note,
            actor=call.actor,
            now=call.now,
        )
        return await _detail(tx, call.organization_id, made.payout_id)

    return await call.write(201, run)


@router.get("/payouts/{payout_id}")
async def get_payout(call: Reading, payout_id: str) -> PayoutDetailOut:
    """One payout with the rewards that it paid."""
    async with call.transaction() as tx:
        return await _detail(tx, call.organization_id, payout_id)


@router.post("/payouts/{payout_id}/undo", response_model=PayoutDetailOut)
async def undo_payout(call: Writing, payout_id: str, body: UndoPayoutIn) -> Response:
    """Take a payout back by opposite entries; what it paid is payable again."""

    async def run(tx: Connection) -> PayoutDetailOut:
        await flows.undo_payout(tx, call.organization_id, payout_id, reason=body.reason, actor=call.actor, now=call.now)
        return await _detail(tx, call.organization_id, payout_id)

    return await call.write(200, run)


async def _detail(tx: Connection, organization_id: str, payout_id: str) -> PayoutDetailOut:
    found = await reports.payout_row(tx, organization_id, payout_id)
    if found is None:
        raise Refused("unknown_payout", "There is no payout with this id.", "payout_id")
    items = [
        PayoutItemOut(
            reward_id=item.reward_id, payment_key=item.payment_key, amount=amount(item.amount_minor, found.currency)
        )
        for item in await reports.payout_items(tx, organization_id, payout_id)
    ]
    return PayoutDetailOut(**_fields(found), items=items)


def _fields(row: PayoutRow) -> dict[str, Any]:
    names = PayoutOut.model_fields.keys() - {"amount"}
    return {name: getattr(row, name) for name in names} | {"amount": amount(row.amount_minor, row.currency)}
