"""/v1/approvals, /v1/reviews: what waits for a person, and what people decided."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.db import reports
from refref.db.pool import Connection
from refref.db.reports import ReviewRow
from refref.flows import reviews as flows
from refref.web.api.call import Reading, Writing
from refref.web.api.models import Out, RewardOut, present_reward
from refref.web.api.paging import Cursor, Limit, PageOf, Search, present_page
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["reviews"], generate_unique_id_function=operation_id)

Hold = Literal["awaiting_approval", "fraud_hold"]
Verdict = Literal["approved", "rejected"]


class ReviewOut(Out):
    review_id: str
    at: datetime
    actor: str
    program_id: str
    program_name: str
    subject: Literal["reward", "conversion", "referral"]
    rule_id: str | None
    stripe_id: str = Field(description="The conversion's key, or the referee.")
    verdict: Literal["approved", "rejected", "withdrawn"]
    reason: str
    is_current: bool = Field(description="Nobody decided anew since.")


class ReviewedOut(Out):
    reviewed: int = Field(description="Rewards that were decided on.")
    waiting: int = Field(description="Rewards that fit the filter and still wait.")


class WaitingIn(BaseModel):
    """Rewards that wait for a person, by what is given; empty: all of them."""

    model_config = ConfigDict(extra="forbid")

    program_id: str | None = None
    participant_id: str | None = None
    hold: Hold | None = None


class VerdictsIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    reason: str = Field(description="Why; it is kept.")
    reward_ids: list[str] | None = Field(default=None, description="At most 500; or give `waiting` instead.")
    waiting: WaitingIn | None = Field(default=None, description="Those that wait and fit, at most 500, oldest first.")
    connection_id: str | None = None


class VerdictIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Literal["approved", "rejected", "withdrawn"]
    reason: str = Field(description="Why; it is kept.")


class ConversionVerdictIn(VerdictIn):
    program_id: str
    payment_key: str
    connection_id: str | None = None


class WithdrawIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(description="Why; it is kept.")
    connection_id: str | None = None


@router.get("/approvals")
async def list_approvals(
    call: Reading,
    connection_id: str | None = None,
    program_id: str | None = None,
    participant_id: str | None = None,
    hold: Hold | None = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[RewardOut]:
    """Rewards that wait for a person, the latest conversion first."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.rewards_page(
            tx,
            *own,
            is_waiting=True,
            program_id=program_id,
            participant_id=participant_id,
            hold=hold,
            search=search,
            cursor=cursor,
            limit=limit,
        )
    return present_page(page, present_reward)


@router.post("/approvals", response_model=ReviewedOut)
async def decide_approvals(call: Writing, body: VerdictsIn) -> Response:
    """Approve or reject rewards: those that are named, or those that wait and fit."""
    if (body.reward_ids is None) == (body.waiting is None):
        raise Refused("invalid_choice", "Give either reward_ids or waiting.", "reward_ids")

    async def run(tx: Connection) -> ReviewedOut:
        own = await call.books(tx, body.connection_id)
        verdict, reason, actor, now = body.verdict, body.reason, call.actor, call.now
        if body.waiting is None:
            reviewed = await flows.review_rewards(
                tx, *own, body.reward_ids or [], verdict=verdict, reason=reason, actor=actor, now=now
            )
            return ReviewedOut(reviewed=reviewed, waiting=0)
        reviewed, waiting = await flows.review_waiting(
            tx, *own, **body.waiting.model_dump(), verdict=verdict, reason=reason, actor=actor, now=now
        )
        return ReviewedOut(reviewed=reviewed, waiting=waiting)

    return await call.write(200, run)


@router.get("/reviews")
async def list_reviews(
    call: Reading,
    connection_id: str | None = None,
    program_id: str | None = None,
    verdict: Literal["approved", "rejected", "withdrawn"] | None = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[ReviewOut]:
    """What people decided, the latest first."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.reviews_page(
            tx,
            *own,
            program_id=program_id,
            verdict=verdict,
            search=search,
            cursor=cursor,
            limit=limit,
        )
    return present_page(page, _present)


@router.post("/reviews/{review_id}/withdraw", response_model=ReviewOut)
async def withdraw_review(call: Writing, review_id: str, body: WithdrawIn) -> Response:
    """Take a verdict back, as if nobody had decided."""

    async def run(tx: Connection) -> ReviewOut:
        own = await call.books(tx, body.connection_id)
        await flows.withdraw_review(tx, *own, review_id, reason=body.reason, actor=call.actor, now=call.now)
        return _present(await reports.review_by_id(tx, *own, review_id))

    return await call.write(200, run)


@router.post("/referrals/{referral_id}/review", response_model=ReviewedOut)
async def review_referral(call: Writing, referral_id: str, body: VerdictIn) -> Response:
    """Decide on a whole referral, its later conversions included. Approving overrides what checks found."""

    async def run(tx: Connection) -> ReviewedOut:
        await flows.review_referral(
            tx,
            call.organization_id,
            referral_id,
            verdict=body.verdict,
            reason=body.reason,
            actor=call.actor,
            now=call.now,
        )
        return ReviewedOut(reviewed=1, waiting=0)

    return await call.write(200, run)


@router.post("/decisions/review", response_model=ReviewedOut)
async def review_conversion(call: Writing, body: ConversionVerdictIn) -> Response:
    """Decide on everything that one conversion gives in a program."""

    async def run(tx: Connection) -> ReviewedOut:
        own = await call.books(tx, body.connection_id)
        await flows.review_conversion(
            tx,
            *own,
            body.program_id,
            body.payment_key,
            verdict=body.verdict,
            reason=body.reason,
            actor=call.actor,
            now=call.now,
        )
        return ReviewedOut(reviewed=1, waiting=0)

    return await call.write(200, run)


def _present(row: ReviewRow) -> ReviewOut:
    return ReviewOut.model_validate(
        {name: getattr(row, name) for name in ReviewOut.model_fields.keys() - {"subject", "rule_id"}}
        | {
            "rule_id": row.rule_id or None,
            "subject": "reward" if row.rule_id else "referral" if row.is_referral else "conversion",
        }
    )
